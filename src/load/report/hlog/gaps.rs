//! Gaps of logs: times between the first interval and the last in which nothing was logged.

use std::time::{Duration, SystemTime};

use super::read::Entry;

/// Loggers are late, and round: intervals that are nearer to each other than a tenth of their
/// length follow each other.
pub(in crate::load) const SLACK_SHARE: u32 = 10;

/// A time in which nothing was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When it started.
    pub start: SystemTime,
    /// How long it was.
    pub duration: Duration,
}

/// The gaps between intervals that come in the order of their start.
pub(super) fn gaps<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut last: Option<&Entry> = None;
    for entry in entries {
        if let Some(last) = last {
            let duration = entry.start.duration_since(last.end).unwrap_or_default();
            if duration > slack(last).max(slack(entry)) {
                gaps.push(Gap { start: last.end, duration });
            }
        }
        if last.is_none_or(|last| entry.end > last.end) {
            last = Some(entry);
        }
    }
    gaps
}

fn slack(entry: &Entry) -> Duration {
    entry.end.duration_since(entry.start).unwrap_or_default() / SLACK_SHARE
}
