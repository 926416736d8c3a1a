//! The pace of an open loop: every message on its time, and answered as it came.

use hdrhistogram::Histogram;

use crate::load::clock;
use crate::load::config::quantile::Quantile;
use crate::load::config::{Arrival, Config};
use crate::load::format::{count, nanos, percent};
use crate::load::record::recorder::Recorder;

/// The server must answer this share of the offered rate within the window.
const MIN_ACHIEVED: f64 = 0.99;
/// A backlog that grew by less says nothing, however steadily.
const MIN_GROWTH: u64 = 10;
/// The generator's own lateness may make up this share of a response time.
const MAX_LATENESS: f64 = 0.25;
/// Lateness that does not matter, whatever the latency: a few system calls' worth.
const LATENESS_ALWAYS_ALLOWED_NS: u64 = 5_000;
/// At the p99 lateness may also be so many times what the machine's stalls make any thread late for
/// a hundredth of the time: a message that a stall makes late delays those behind it.
const STALLS_ALLOWED: u64 = 2;
/// But no more than this: a machine that stalls for longer is none to measure on.
const MAX_EXCUSED_NS: u64 = 1_000_000;
/// A generator thread may be busy for this share of the window.
const MAX_BUSY: f64 = 0.9;

pub(super) fn not_reached(
    config: &Config,
    recorder: &Recorder,
    backlogs: &[u64],
    (rate, arrival): (f64, Arrival),
) -> Option<String> {
    let achieved = achieved_share(recorder, clock::nanos(config.warmup), rate, arrival);
    let backlog = Backlog::of(backlogs);
    let finding = if achieved < MIN_ACHIEVED {
        format!(
            "{} of it was answered within the window, at least {} must be",
            percent(achieved),
            percent(MIN_ACHIEVED),
        )
    } else if backlog.is_some_and(|backlog| backlog.grew_throughout) {
        "the backlog grew all through the window".to_owned()
    } else {
        return None;
    };
    let backlog = backlog.map(|Backlog { at_start, at_end, .. }| {
        let (at_start, at_end) = (count(at_start), count(at_end));
        format!(
            "; {at_start} messages were due and unanswered at its beginning, {at_end} at its end"
        )
    });
    Some(format!(
        "the rate was not reached: {finding}{}; {}",
        backlog.unwrap_or_default(),
        remedy(recorder, config.depth),
    ))
}

/// The remedy for a rate that is not reached: more in flight, where that is what was lacking.
fn remedy(recorder: &Recorder, depth: usize) -> String {
    if recorder.waited_for_room * 2 <= recorder.window_received {
        return "lower --rate or give the server more".to_owned();
    }
    format!(
        "the limit is --depth: most messages waited until fewer than {} were in flight on their \
         connection; raise --depth or --connections, or lower --rate",
        count(depth as u64),
    )
}

/// Messages that were due and not answered, over the window.
#[derive(Debug, Clone, Copy)]
struct Backlog {
    at_start: u64,
    at_end: u64,
    grew_throughout: bool,
}

impl Backlog {
    /// By chance each of six steps leads up in one of 5,040 windows; a pause at the end of one is
    /// one step.
    fn of(samples: &[u64]) -> Option<Self> {
        let (at_start, at_end) = (*samples.first()?, *samples.last()?);
        let is_up = samples.windows(2).all(|pair| pair[0] < pair[1]);
        let grew_throughout = is_up && at_end - at_start >= MIN_GROWTH;
        Some(Self { at_start, at_end, grew_throughout })
    }
}

/// The generator's lateness is a good part of what it reports as the server's.
///
/// Judged at the percentiles that most messages decide. A host stall that a few messages in a
/// thousand met is in the tail with the host stalls beside it, and is not held against the rest.
/// Nor is one that reaches a percentile which too few samples support: that one is withheld.
pub(super) fn lateness(recorder: &Recorder) -> Option<String> {
    let is_known = |quantile: Quantile| quantile.of(&recorder.latencies.response).is_some();
    let at = |quantile| Lateness::at(recorder, quantile);
    let (name, lateness, _) = [
        Some(("median", at(0.5), 0)),
        is_known(Quantile::P90).then(|| ("p90", at(0.9), 0)),
        is_known(Quantile::P99).then(|| ("p99", at(0.99), excused_by_stalls(recorder))),
    ]
    .into_iter()
    .flatten()
    .find(|(_, lateness, excused_ns)| lateness.exceeds(*excused_ns))?;
    Some(format!(
        "generator lag inflates the {name} response: {} measured, {} without it, more than {}; \
         give the generator CPUs of its own (--cpus) or lower --rate",
        nanos(lateness.response_ns),
        nanos(lateness.without_ns),
        percent(MAX_LATENESS),
    ))
}

/// Lateness at the p99 that the machine's own stalls account for.
pub(super) fn excused_by_stalls(recorder: &Recorder) -> u64 {
    let stalled_ns = Quantile::P99.of(&recorder.latencies.hiccup).unwrap_or(0);
    (STALLS_ALLOWED * stalled_ns).min(MAX_EXCUSED_NS)
}

/// The generator could hardly have sent more, so what it sent it sent late.
pub(super) fn no_headroom(busiest: f64) -> Option<String> {
    (busiest > MAX_BUSY).then(|| {
        format!(
            "a generator thread was busy for {} of the time, at most {} leaves it headroom; \
             use more --threads and --cpus, or lower --rate",
            percent(busiest),
            percent(MAX_BUSY),
        )
    })
}

/// A percentile of the response, and what it would be had the generator never been late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lateness {
    pub(super) response_ns: u64,
    pub(super) without_ns: u64,
}

impl Lateness {
    pub(super) fn at(recorder: &Recorder, quantile: f64) -> Self {
        let at = |histogram: &Histogram<u64>| histogram.value_at_quantile(quantile);
        let latencies = &recorder.latencies;
        Self { response_ns: at(&latencies.response), without_ns: at(&latencies.without_lag) }
    }

    pub(super) fn exceeds(self, excused_ns: u64) -> bool {
        let added_ns = self.response_ns.saturating_sub(self.without_ns);
        let allowed_ns = (self.response_ns as f64 * MAX_LATENESS) as u64;
        added_ns > allowed_ns.max(LATENESS_ALWAYS_ALLOWED_NS).max(excused_ns)
    }
}

/// The share of the offered messages that the server answered within the window.
///
/// In a steady state as many replies come to messages of the warm-up as are on the way at the end.
/// Where the warm-up is shorter than the way, or there is none, more are on the way at the end: as
/// many as the fastest message of the run explains, which found no queue. Where messages come by
/// chance, both numbers are chance as well: three standard deviations of their difference are
/// allowed, without those that wait in a queue; an overloaded server's is as long as you like.
fn achieved_share(recorder: &Recorder, warmup_ns: u64, rate: f64, arrival: Arrival) -> f64 {
    if recorder.window_intended == 0 || recorder.fastest_ns == u64::MAX {
        return 1.0;
    }
    let unmatched_ns = recorder.fastest_ns.saturating_sub(warmup_ns);
    let on_the_way = (rate * unmatched_ns as f64 / 1e9).ceil().max(1.0);
    let chance = match arrival {
        Arrival::Uniform => 0.0,
        Arrival::Poisson => {
            let without_queue = 2.0 * rate * recorder.fastest_ns as f64 / 1e9;
            3.0 * without_queue.min((recorder.early + recorder.late) as f64).sqrt()
        }
    };
    let answered = recorder.answered_in_window() as f64 + on_the_way + chance;
    (answered / recorder.window_intended as f64).min(1.0)
}
