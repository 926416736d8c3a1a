//! Pictures of a log of histograms (`.hlog`): everything but the configuration.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use super::percentiles::PercentileSeries;
use super::run::{Run, explain, warning};
use super::{History, ReadError};
use crate::load::format;
use crate::load::record::watch::Tag;
use crate::load::report::hlog::{Entry, Log};

/// Reads a log whose values are nanoseconds. Of its tags the response is drawn and the service;
/// of a log of another program, everything that it does not call a stall of the machine.
pub(super) fn read(saved: &[u8]) -> Result<Run, ReadError> {
    let Log { mut entries, incomplete } = Log::read(saved)?;
    entries.sort_by_key(|entry| entry.start);
    let tags = drawn_tags(&entries);
    let mut totals: BTreeMap<Option<&str>, Histogram<u64>> = BTreeMap::new();
    let mut history = History::default();
    for entry in &entries {
        let tag = entry.tag.as_deref();
        let is_stall = tag == Some(Tag::Hiccup.name());
        if !is_stall && !tags.contains(&tag) {
            continue;
        }
        let values = entry.histogram()?;
        let duration = entry.end.duration_since(entry.start).unwrap_or_default();
        if is_stall {
            history.record_stalls(entry.start, duration, &values);
            continue;
        }
        if tags.first() == Some(&tag) {
            history.record(entry.start, duration, &values);
        }
        totals.entry(tag).or_insert_with(growing).add(&values).expect("it grows as needed");
    }
    let drawn = run(&tags, &totals, &entries, history);
    let is_whole = incomplete.is_none();
    let reasons: Vec<String> = incomplete.into_iter().collect();
    Ok(Run { warning: warning(is_whole, true, &reasons), ..drawn })
}

fn run(
    tags: &[Option<&str>],
    totals: &BTreeMap<Option<&str>, Histogram<u64>>,
    entries: &[Entry],
    history: History,
) -> Run {
    let total = |tag| totals.get(tag).map(|total| (tag, total));
    let latencies = tags.iter().filter_map(total).map(|(tag, total)| {
        let name = tag.map_or_else(|| "latency".to_owned(), explain);
        PercentileSeries::of(name, total)
    });
    let messages = tags.first().and_then(|tag| totals.get(tag)).map(Histogram::len);
    let mut run = Run {
        latencies: latencies.collect(),
        facts: messages
            .map(|messages| format!("{} messages", format::count(messages)))
            .into_iter()
            .chain(entries.first().and_then(|entry| began(entry.start)))
            .collect(),
        ..Run::default()
    };
    run.add_history(history);
    run
}

/// The tags whose values are latencies, the one that matters most first.
fn drawn_tags(entries: &[Entry]) -> Vec<Option<&str>> {
    let own = [Tag::Response, Tag::Service].map(|tag| Some(tag.name()));
    let is_there = |tag: &Option<&str>| entries.iter().any(|entry| entry.tag.as_deref() == *tag);
    let known: Vec<_> = own.into_iter().filter(is_there).collect();
    if !known.is_empty() {
        return known;
    }
    let mut others: Vec<_> = entries.iter().map(|entry| entry.tag.as_deref()).collect();
    others.retain(|tag| *tag != Some(Tag::Hiccup.name()));
    others.sort_unstable();
    others.dedup();
    others
}

fn growing() -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are possible");
    histogram.auto(true);
    histogram
}

/// When a log started; `None` if it says only how long ago its start was.
fn began(time: SystemTime) -> Option<String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    if time < SystemTime::UNIX_EPOCH + YEAR {
        None
    } else {
        format::minute(&format::rfc3339(time)?)
    }
}
