//! Adds logs up: those of many machines become one, and no count is lost.
//!
//! Intervals of the same time become one for each tag, whose histogram is the exact sum. Others
//! stay as they are, also where they overlap: what was logged together cannot be divided, and an
//! interval that reached over several would be wrong about their rate. Readers add the rates of
//! intervals that overlap.

use std::collections::BTreeMap;
use std::time::SystemTime;

use hdrhistogram::Histogram;

use super::Logged;
use super::gaps::{Gap, gaps};
use super::read::{Log, LogError};
use super::totals::{Part, Totals, add_any, growing, message_tags};
use crate::load::outcome::Outcome;

/// The sum of logs.
#[derive(Debug)]
pub struct Merged {
    /// How many logs were added up.
    pub logs: usize,
    /// How many intervals they had.
    pub intervals: usize,
    /// When the first interval started.
    pub start: SystemTime,
    /// When the last one ended.
    pub end: SystemTime,
    /// A sentence for each log that is not complete.
    pub incomplete: Vec<String>,
    /// The times between in which nothing was logged.
    pub gaps: Vec<Gap>,
    /// All intervals of each tag.
    pub totals: BTreeMap<Option<String>, Histogram<u64>>,
}

impl Merged {
    /// The outcome: what is merged of incomplete logs is not complete.
    pub fn outcome(&self) -> Outcome {
        if self.incomplete.is_empty() { Outcome::Passed } else { Outcome::Incomplete }
    }

    /// The tags that matter most, and their sum: the response, else the service, else all others.
    pub fn main(&self) -> (Vec<Option<&str>>, Histogram<u64>) {
        let all: Vec<_> = self.totals.keys().map(Option::as_deref).collect();
        let messages = message_tags(all.iter().copied());
        let tags = if messages.is_empty() { all } else { messages };
        let sums = self.totals.iter().filter(|(tag, _)| tags.contains(&tag.as_deref()));
        let mut sum = growing();
        sums.for_each(|(_, other)| add_any(&mut sum, other));
        (tags, sum)
    }
}

/// A log that cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct MergeError {
    /// Which of the logs it is, counted from 0.
    pub log: usize,
    /// The problem.
    pub error: LogError,
}

/// Adds up at least one log. Shows each merged interval, in the order of time and then of tags;
/// returns the sums over all of them.
///
/// # Errors
///
/// When a histogram cannot be read, or not be added without loss.
///
/// # Panics
///
/// When there is no log.
pub fn merge(logs: &[Log], show: &mut dyn FnMut(&Logged<'_>)) -> Result<Merged, MergeError> {
    let spans = spans(logs);
    let start = spans.first_key_value().expect("a log has an interval").0.start;
    let mut totals = Totals::default();
    for (span, parts) in &spans {
        let sum = sum(parts, start, &mut totals)?;
        let duration = span.end.duration_since(span.start).unwrap_or_default();
        show(&Logged { tag: span.tag, start: span.start, duration, values: &sum });
    }
    let parts = || spans.values().flatten();
    Ok(Merged {
        logs: logs.len(),
        intervals: parts().count(),
        start,
        end: parts().map(|part| part.entry.end).max().expect("a log has an interval"),
        incomplete: logs.iter().filter_map(|log| log.incomplete.clone()).collect(),
        gaps: gaps(parts().map(|part| part.entry)),
        totals: totals.into_sums(),
    })
}

/// The key of the intervals that become one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Span<'a> {
    start: SystemTime,
    tag: Option<&'a str>,
    end: SystemTime,
}

fn spans(logs: &[Log]) -> BTreeMap<Span<'_>, Vec<Part<'_>>> {
    let mut spans: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (log, Log { entries, .. }) in logs.iter().enumerate() {
        for entry in entries {
            let span = Span { start: entry.start, tag: entry.tag.as_deref(), end: entry.end };
            spans.entry(span).or_default().push(Part { log, entry });
        }
    }
    spans
}

/// The sum of parts, which are added to the totals as well.
fn sum<'a>(
    parts: &[Part<'a>],
    first: SystemTime,
    totals: &mut Totals<'a>,
) -> Result<Histogram<u64>, MergeError> {
    let mut sum = growing();
    for part in parts {
        let late = |error| MergeError { log: part.log, error };
        part.entry.check_since(first).map_err(late)?;
        add_any(&mut sum, &totals.add(*part)?);
    }
    Ok(sum)
}
