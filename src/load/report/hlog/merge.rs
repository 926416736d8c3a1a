//! Adds logs up: those of many machines become one, and no count is lost.
//!
//! Intervals that started in the same second, counted from the first, become one interval for each
//! tag. Its histogram is the exact sum, its time reaches from the first beginning to the last end.

use std::collections::BTreeMap;
use std::time::SystemTime;

use hdrhistogram::Histogram;

use super::Logged;
use super::read::{Entry, Log, LogError, Problem};
use crate::load::outcome::Outcome;
use crate::load::record::watch::Tag;

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
    /// All intervals of each tag.
    pub totals: BTreeMap<Option<String>, Histogram<u64>>,
}

impl Merged {
    /// The outcome: what is merged of incomplete logs is not complete.
    pub fn outcome(&self) -> Outcome {
        if self.incomplete.is_empty() { Outcome::Passed } else { Outcome::Incomplete }
    }

    /// The tag that matters most, and its sum: the response, else the service, else the first.
    pub fn main(&self) -> (Option<&str>, &Histogram<u64>) {
        let by_name = |tag: Tag| self.totals.get_key_value(&Some(tag.name().to_owned()));
        let main = by_name(Tag::Response).or_else(|| by_name(Tag::Service));
        let (tag, total) =
            main.or_else(|| self.totals.first_key_value()).expect("a log has an interval");
        (tag.as_deref(), total)
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
    let mut merged = Merged {
        logs: logs.len(),
        intervals: entries(logs).count(),
        start: entries(logs).map(|part| part.entry.start).min().expect("a log has an interval"),
        end: entries(logs).map(|part| part.entry.end).max().expect("a log has an interval"),
        incomplete: logs.iter().filter_map(|log| log.incomplete.clone()).collect(),
        totals: BTreeMap::new(),
    };
    let mut precision = None;
    for (second, parts) in seconds(logs, merged.start) {
        let sum = sum(&parts, &mut precision)?;
        let start = parts.iter().map(|part| part.entry.start).min().expect("it has a part");
        let end = parts.iter().map(|part| part.entry.end).max().expect("it has a part");
        let duration = end.duration_since(start).unwrap_or_default();
        show(&Logged { tag: second.tag, start, duration, values: &sum });
        match merged.totals.get_mut(&second.tag.map(ToOwned::to_owned)) {
            Some(total) => add(total, &sum),
            None => drop(merged.totals.insert(second.tag.map(ToOwned::to_owned), sum)),
        }
    }
    Ok(merged)
}

/// The key of the intervals that become one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Second<'a> {
    number: u64,
    tag: Option<&'a str>,
}

/// An interval of one log.
#[derive(Clone, Copy)]
struct Part<'a> {
    log: usize,
    entry: &'a Entry,
}

fn entries(logs: &[Log]) -> impl Iterator<Item = Part<'_>> {
    logs.iter()
        .enumerate()
        .flat_map(|(log, Log { entries, .. })| entries.iter().map(move |entry| Part { log, entry }))
}

fn seconds(logs: &[Log], first: SystemTime) -> BTreeMap<Second<'_>, Vec<Part<'_>>> {
    let mut seconds: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for part in entries(logs) {
        let number = part.entry.start.duration_since(first).unwrap_or_default().as_secs();
        let second = Second { number, tag: part.entry.tag.as_deref() };
        seconds.entry(second).or_default().push(part);
    }
    seconds
}

/// The properties by which histograms can be added without loss: their significant digits and their
/// lowest discernible value. The highest does not matter, they grow.
type Precision = (u8, u64);

fn sum(
    parts: &[Part<'_>],
    precision: &mut Option<Precision>,
) -> Result<Histogram<u64>, MergeError> {
    let mut sum: Option<Histogram<u64>> = None;
    for Part { log, entry } in parts {
        let error = |error| MergeError { log: *log, error };
        let mut histogram = entry.histogram().map_err(error)?;
        let own = (histogram.sigfig(), histogram.low());
        let (first_digits, first_unit) = *precision.get_or_insert(own);
        if own != (first_digits, first_unit) {
            let (digits, unit) = own;
            let problem = Problem::OtherPrecision { digits, unit, first_digits, first_unit };
            return Err(error(LogError { line: entry.line, problem }));
        }
        match &mut sum {
            Some(sum) => add(sum, &histogram),
            None => {
                histogram.auto(true);
                sum = Some(histogram);
            }
        }
    }
    Ok(sum.expect("a second has a part"))
}

fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    sum.add(other).expect("it has the same precision, and the sum grows");
}
