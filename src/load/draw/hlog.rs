//! The facts and the curves of a log of histograms (`.hlog`): everything but the configuration.

use std::time::{Duration, SystemTime};

use super::run::named;
use super::saved::{Curves, RunCurves, Saved, warning};
use super::{History, ReadError};
use crate::load::format;
use crate::load::record::watch::Tag;
use crate::load::report::hlog::{Log, merge};

/// Reads a log whose values are nanoseconds. Of its tags the response is drawn and the service;
/// of a log of another program, everything that it does not call a stall of the machine.
pub(super) fn read(saved: &[u8]) -> Result<Saved, ReadError> {
    let log = Log::read(saved)?;
    let mut history = History::of_messages(log.message_tags());
    // A part is drawn as well as a whole run, and by its own verdict.
    let flaw = log.flaw();
    let offered_per_s = log.offered_per_s();
    let merged = merge(&[log], &mut |interval| history.follow(interval));
    let merged = merged.map_err(|error| error.error)?;
    let messages = merged.message_tags();
    let service = Some(Tag::Service.name().to_owned());
    let second = (!messages.contains(&service)).then_some(service);
    let drawn = messages.iter().chain(&second);
    let latencies = drawn.filter_map(|tag| {
        let sum = merged.latency.get(tag)?;
        Some(named(tag.as_deref().unwrap_or("latency"), sum))
    });
    let count = messages.iter().map(|tag| merged.latency[tag].len()).sum();
    let saved = Saved {
        kind: "a run",
        target: None,
        facts: vec![format::counted(count, "message")],
        date: started(merged.started),
        warning: flaw.and_then(|(outcome, reasons)| warning(outcome, &reasons)),
        curves: Curves::Run(RunCurves { latencies: latencies.collect(), timeline: None }),
    };
    Ok(saved.with_history(history, offered_per_s))
}

/// When a log started; `None` if it says only how long ago its start was.
fn started(time: SystemTime) -> Option<String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    if time < SystemTime::UNIX_EPOCH + YEAR {
        return None;
    }
    format::minute(&format::rfc3339(time)?)
}
