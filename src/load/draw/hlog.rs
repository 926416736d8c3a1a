//! Pictures of a log of histograms (`.hlog`): everything but the configuration.

use std::time::{Duration, SystemTime};

use super::percentiles::PercentileSeries;
use super::run::{Run, explain, warning};
use super::{History, ReadError};
use crate::load::format;
use crate::load::record::watch::Tag;
use crate::load::report::hlog::{Entry, Log, Part, Totals, message_tags};

/// Reads a log whose values are nanoseconds. Of its tags the response is drawn and the service;
/// of a log of another program, everything that it does not call a stall of the machine.
pub(super) fn read(saved: &[u8]) -> Result<Run, ReadError> {
    let Log { mut entries, incomplete } = Log::read(saved)?;
    entries.sort_by_key(|entry| entry.start);
    let tags = tags(&entries);
    let messages = message_tags(tags.iter().copied());
    let mut totals = Totals::default();
    let mut history = History::default();
    for entry in &entries {
        entry.check_since(entries[0].start)?;
        let tag = entry.tag.as_deref();
        let values = totals.add(Part { log: 0, entry }).map_err(|error| error.error)?;
        let duration = entry.end.duration_since(entry.start).unwrap_or_default();
        if tag == Some(Tag::Hiccup.name()) {
            history.record_stalls(entry.start, duration, &values);
        } else if messages.contains(&tag) {
            history.record(entry.start, duration, &values);
        }
    }
    let is_whole = incomplete.is_none();
    let reasons: Vec<String> = incomplete.into_iter().collect();
    let mut run = Run {
        latencies: latencies(&tags, &messages, &totals),
        facts: facts(&messages, &totals, &entries),
        warning: warning(is_whole, true, &reasons),
        ..Run::default()
    };
    run.add_history(history);
    Ok(run)
}

/// All tags, each once.
fn tags(entries: &[Entry]) -> Vec<Option<&str>> {
    let mut tags: Vec<_> = entries.iter().map(|entry| entry.tag.as_deref()).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// Of each tag whose values are latencies of messages, the one that matters most first.
fn latencies<'a>(
    tags: &[Option<&'a str>],
    messages: &[Option<&'a str>],
    totals: &Totals<'a>,
) -> Vec<PercentileSeries> {
    let service = Some(Tag::Service.name());
    let second = tags.iter().filter(|tag| **tag == service && !messages.contains(tag));
    let drawn = messages.iter().chain(second);
    let known = drawn.filter_map(|tag| totals.get(*tag).map(|total| (tag, total)));
    let series = known.map(|(tag, total)| {
        let name = tag.map_or_else(|| "latency".to_owned(), explain);
        PercentileSeries::of(name, total)
    });
    series.collect()
}

fn facts<'a>(messages: &[Option<&'a str>], totals: &Totals<'a>, entries: &[Entry]) -> Vec<String> {
    let count = messages.iter().filter_map(|tag| totals.get(*tag)).map(|total| total.len()).sum();
    let started = entries.first().and_then(|entry| started(entry.start));
    [format!("{} messages", format::count(count))].into_iter().chain(started).collect()
}

/// When a log started; `None` if it says only how long ago its start was.
fn started(time: SystemTime) -> Option<String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    if time < SystemTime::UNIX_EPOCH + YEAR {
        None
    } else {
        format::minute(&format::rfc3339(time)?)
    }
}
