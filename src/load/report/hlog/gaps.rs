//! Gaps of logs: times in which nothing was logged.

use std::time::{Duration, SystemTime};

use super::read::Entry;

/// Loggers are late, and round: intervals that are nearer to each other than a tenth of their
/// length follow each other.
pub(in crate::load) const SLACK_SHARE: u32 = 10;

/// The gaps between the first interval and the last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gaps {
    /// How many there are.
    pub count: usize,
    /// All of them together.
    pub total: Duration,
    /// The start and the length of the longest.
    pub longest: Option<(SystemTime, Duration)>,
}

impl Gaps {
    /// The gaps between intervals, in the order of their start.
    pub(super) fn between<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut gaps = Self::default();
        let mut logged: Option<(SystemTime, Duration)> = None;
        for entry in entries {
            let length = entry.end.duration_since(entry.start).unwrap_or_default();
            if let Some((end, slack)) = logged {
                let gap = entry.start.duration_since(end).unwrap_or_default();
                if gap > slack.max(length / SLACK_SHARE) {
                    gaps.add(end, gap);
                }
            }
            if logged.is_none_or(|(end, _)| entry.end > end) {
                logged = Some((entry.end, length / SLACK_SHARE));
            }
        }
        gaps
    }

    fn add(&mut self, start: SystemTime, length: Duration) {
        self.count += 1;
        self.total += length;
        if self.longest.is_none_or(|(_, longest)| length > longest) {
            self.longest = Some((start, length));
        }
    }
}
