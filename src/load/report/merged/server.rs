//! The server's own account of what it received and sent, beside that of all generators.

use schemars::JsonSchema;
use serde::Serialize;

use super::Merged;
use crate::load::judge::merged::{Bytes, disagreement};
use crate::load::outcome::Outcome;
use crate::load::record::recorder::Totals;

/// Bytes that a server received and sent between two scrapes of its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServerTotals {
    /// Bytes that it received.
    pub bytes_received: u64,
    /// Bytes that it sent.
    pub bytes_sent: u64,
    /// Bytes that the generators exchanged with it before their loads, in each direction: part of
    /// the server's counts, and not of `totals`.
    pub preflight_bytes: u64,
    /// True if it received what the generators sent, and sent what they received.
    pub agrees: bool,
}

/// The counters of a server at one time, as `ringback serve --admin` answers at `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scrape {
    bytes: Bytes,
    /// When its process started, in seconds since 1970, where that is known.
    process_start: Option<f64>,
}

/// A text that is no scrape of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no {0} in it: save what ringback serve --admin answers at /metrics, as in curl -s \
     http://ADDR/metrics"
)]
pub struct ScrapeError(&'static str);

const RECEIVED: &str = "ringback_received_bytes_total";
const SENT: &str = "ringback_sent_bytes_total";
const STARTED: &str = "process_start_time_seconds";

impl Scrape {
    /// Reads OpenMetrics.
    ///
    /// # Errors
    ///
    /// When a counter is missing.
    pub fn read(text: &str) -> Result<Self, ScrapeError> {
        let counter = |name| {
            let counts: Vec<u64> = series(text, name).filter_map(whole).collect();
            let sum = counts.into_iter().reduce(u64::saturating_add);
            sum.ok_or(ScrapeError(name))
        };
        Ok(Self {
            bytes: Bytes { received: counter(RECEIVED)?, sent: counter(SENT)? },
            process_start: series(text, STARTED).find_map(|value| value.parse().ok()),
        })
    }

    /// The bytes since an earlier scrape; `None` where that was of another process.
    fn since(self, before: Self) -> Option<Bytes> {
        let is_same = self.process_start == before.process_start;
        Some(Bytes {
            received: self.bytes.received.checked_sub(before.bytes.received)?,
            sent: self.bytes.sent.checked_sub(before.bytes.sent)?,
        })
        .filter(|_| is_same)
    }
}

/// The values of the series of this metric, whatever their labels.
fn series<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let values = match rest.strip_prefix('{') {
            // A label's value may hold any character.
            Some(labels) => labels.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        values.split_ascii_whitespace().next()
    })
}

/// A count, be it written as a real number, as whoever stored it meanwhile may have.
fn whole(value: &str) -> Option<u64> {
    /// Above it not every whole number is a real one.
    const MAX_EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    let real = || value.parse::<f64>().ok().filter(|real| (0.0..=MAX_EXACT).contains(real));
    value.parse().ok().or_else(|| real().filter(|real| real.fract() == 0.0).map(|real| real as u64))
}

impl Merged {
    /// Compares what the generators sent and received with the account of each server, of which
    /// there is a scrape before the run and one after it.
    pub fn check_servers(&mut self, scrapes: &[(Scrape, Scrape)]) {
        let added = |one: Bytes, other: Bytes| Bytes {
            received: one.received.saturating_add(other.received),
            sent: one.sent.saturating_add(other.sent),
        };
        let counts = scrapes.iter().map(|(before, after)| after.since(*before));
        let counts: Option<Vec<Bytes>> = counts.collect();
        let Some(server) = counts.and_then(|counts| counts.into_iter().reduce(added)) else {
            return self.refute(
                "the server's counters are not of one process: it was started anew between the \
                 scrapes, or they are of two; scrape the same process before and after the run"
                    .to_owned(),
            );
        };
        let Some(Totals { bytes_sent, bytes_received, .. }) = self.totals else {
            return self.refute(
                "the server's counters cannot be compared: a log does not say what its run sent \
                 and received; name the logs of runs that ended"
                    .to_owned(),
            );
        };
        let preflight = Bytes { received: self.preflight_bytes, sent: self.preflight_bytes };
        let load = Bytes { received: bytes_received, sent: bytes_sent };
        let found = disagreement(server, added(load, preflight));
        self.server = Some(ServerTotals {
            bytes_received: server.received,
            bytes_sent: server.sent,
            preflight_bytes: self.preflight_bytes,
            agrees: found.is_none(),
        });
        found.into_iter().for_each(|reason| self.refute(reason));
    }

    /// The numbers are not those of a whole run, for this reason.
    fn refute(&mut self, reason: String) {
        self.verdict.reasons.push(reason);
        self.verdict.worsen(Outcome::NotWhole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_is_the_sum_over_all_workers() {
        let text = "# TYPE ringback_received_bytes counter\n\
                    ringback_received_bytes_total{worker=\"0\"} 10\n\
                    ringback_received_bytes_total{worker=\"1\",pod=\"a } 7\"} 2.5e1 1700000000.1\n\
                    ringback_sent_bytes_total 40\n\
                    ringback_sent_bytes_total_more 1000\n\
                    process_start_time_seconds 1700000000.25\n# EOF\n";
        let scrape = Scrape::read(text).unwrap();
        assert_eq!(scrape.bytes, Bytes { received: 35, sent: 40 });
        assert_eq!(scrape.process_start, Some(1_700_000_000.25));
        let missing = Scrape::read("# EOF\n").unwrap_err().to_string();
        assert!(missing.starts_with("there is no ringback_received_bytes_total in"), "{missing}");
        let none = Scrape::read(&text.replace("ringback_sent", "other_sent")).unwrap_err();
        assert_eq!(none, ScrapeError(SENT));
    }

    #[test]
    fn counts_between_scrapes_are_those_of_one_process() {
        let at = |received, start| Scrape {
            bytes: Bytes { received, sent: 2 * received },
            process_start: Some(start),
        };
        assert_eq!(at(9, 1.5).since(at(4, 1.5)), Some(Bytes { received: 5, sent: 10 }));
        assert_eq!(at(9, 1.5).since(at(4, 2.5)), None);
        assert_eq!(at(3, 1.5).since(at(4, 1.5)), None);
    }
}
