//! Adds logs up: those of many machines become one, and no count is lost.
//!
//! Intervals of the same time become one for each tag, whose histogram is the exact sum. Others
//! stay as they are, also where they overlap: what was logged together cannot be divided, and an
//! interval that reached over several would be wrong about their rate. Readers add the rates of
//! intervals that overlap.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::Logged;
use super::read::{Entry, Log, LogError, Problem};
use super::totals::{Totals, add_any, growing};
use crate::load::record::watch::Tag;
use crate::load::report::merged::{Gap, Merged};

/// Loggers are late, and round: intervals that are nearer to each other than a tenth of their
/// length follow each other.
pub(in crate::load) const SLACK_SHARE: u32 = 10;

impl Log {
    /// The tags whose samples are the messages of a log, one for each: the response of our own
    /// logs, or the service; of other logs all tags, host stalls excepted.
    pub(in crate::load) fn message_tags(&self) -> Vec<Option<String>> {
        message_tags(self.entries.iter().map(|entry| entry.tag.as_deref()).collect())
    }
}

pub(in crate::load::report) fn message_tags(tags: BTreeSet<Option<&str>>) -> Vec<Option<String>> {
    let own = [Tag::Response, Tag::Service].map(|tag| Some(tag.name()));
    if let Some(own) = own.into_iter().find(|own| tags.contains(own)) {
        return vec![own.map(str::to_owned)];
    }
    let is_message = |tag: &Option<&str>| *tag != Some(Tag::Hiccup.name());
    tags.into_iter().filter(is_message).map(|tag| tag.map(str::to_owned)).collect()
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

/// An interval and the log that it is from, counted from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) log: usize,
    pub(super) entry: &'a Entry,
}

impl<'a> Piece<'a> {
    pub(super) fn error(&self, problem: Problem) -> MergeError {
        MergeError { log: self.log, error: self.entry.error(problem) }
    }

    /// Equal of intervals that become one, in the order of time and then of tags.
    fn key(&self) -> (SystemTime, Option<&'a str>, SystemTime) {
        (self.entry.start, self.entry.tag.as_deref(), self.entry.end)
    }

    /// Checks that its end can be given in nanoseconds since the first interval.
    fn check_since(&self, first: SystemTime) -> Result<(), MergeError> {
        let since_first = self.entry.end.duration_since(first).unwrap_or_default();
        match u64::try_from(since_first.as_nanos()) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.error(Problem::TooLongAfter)),
        }
    }
}

/// Adds logs up, of which at least one has an interval. Shows each merged interval, in the order of
/// time and then of tags; returns the sums over all of them.
///
/// # Errors
///
/// When there is no interval, or a histogram cannot be read, or not be added without loss.
pub fn merge(logs: &[Log], show: &mut dyn FnMut(&Logged<'_>)) -> Result<Merged, MergeError> {
    let mut pieces = Vec::new();
    for (log, Log { entries, .. }) in logs.iter().enumerate() {
        pieces.extend(entries.iter().map(|entry| Piece { log, entry }));
    }
    pieces.sort_by_key(Piece::key);
    let Some(first) = pieces.first() else {
        let incomplete = logs.iter().find_map(|log| log.incomplete.clone());
        let line = logs.first().map_or(0, |log| log.lines);
        let error = LogError { line, problem: Problem::NoInterval { incomplete } };
        return Err(MergeError { log: 0, error });
    };
    let start = first.entry.start;
    let mut totals = Totals::default();
    for same in pieces.chunk_by(|one, other| one.key() == other.key()) {
        let mut sum = growing();
        for piece in same {
            piece.check_since(start)?;
            add_any(&mut sum, &totals.add(*piece)?);
        }
        let entry = same[0].entry;
        let (tag, duration) = (entry.tag.as_deref(), entry.duration());
        show(&Logged { tag, start: entry.start, duration, values: &sum });
    }
    let end = pieces.iter().map(|piece| piece.entry.end).max().expect("a log has an interval");
    let merged = Merged::new(logs, (start, end), totals.into_sums());
    Ok(Merged { gaps: all_gaps(logs, &pieces), ..merged })
}

/// Times in which nothing was logged, then those in which one log has nothing while others have.
fn all_gaps(logs: &[Log], pieces: &[Piece<'_>]) -> Vec<Gap> {
    let common = gaps(pieces.iter().map(|piece| piece.entry));
    let is_common = |(start, length): &(SystemTime, Duration)| {
        let shared = common.iter().map(|(common_start, common_length)| {
            let (end, common_end) = (*start + *length, *common_start + *common_length);
            end.min(common_end).duration_since(*start.max(common_start)).unwrap_or_default()
        });
        shared.sum::<Duration>() * 2 > *length
    };
    let own = logs.iter().flat_map(|log| {
        let mut entries: Vec<&Entry> = log.entries.iter().collect();
        entries.sort_by_key(|entry| entry.start);
        gaps(entries.into_iter()).into_iter().map(|gap| (Some(log.name.as_str()), gap))
    });
    let own: Vec<_> = own.filter(|(_, gap)| !is_common(gap)).collect();
    let all = common.iter().map(|gap| (None, *gap)).chain(own);
    all.map(|(log, (start, length))| Gap::new(log, start, length)).collect()
}

/// The gaps between intervals that come in the order of their start.
fn gaps<'a>(mut entries: impl Iterator<Item = &'a Entry>) -> Vec<(SystemTime, Duration)> {
    let mut gaps = Vec::new();
    let Some(mut last) = entries.next() else { return gaps };
    for entry in entries {
        let gap = entry.start.duration_since(last.end).unwrap_or_default();
        if gap > last.duration().max(entry.duration()) / SLACK_SHARE {
            gaps.push((last.end, gap));
        }
        if entry.end > last.end {
            last = entry;
        }
    }
    gaps
}
