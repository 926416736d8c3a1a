//! HdrHistogram logs (`.hlog`): the histogram of every second and tag, as lines of text.
//!
//! The format is that of HdrHistogram's `HistogramLogWriter`, version 1.3, with histograms in
//! V2-deflate: any of its readers reads what is written here. Values are nanoseconds. Knows no
//! files: logs come and go as bytes.

mod histogram;
mod line;
mod merge;
mod note;
mod one_run;
mod read;
mod run;
#[cfg(test)]
mod tests;
mod totals;
mod write;

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

pub(in crate::load) use self::line::is_of_log;
pub(in crate::load) use self::merge::SLACK_SHARE;
pub(in crate::load::report) use self::merge::message_tags;
pub use self::merge::{MergeError, merge};
pub use self::note::{ResultNote, RunNote};
pub use self::one_run::check_one_run;
pub use self::read::{Entry, Log, LogError, Problem};
pub(in crate::load::report) use self::run::{LoggedRun, NO_RESULT, runs_of};
pub(in crate::load) use self::totals::add_any;
pub(in crate::load::report) use self::totals::growing;
pub use self::write::Writer;
use crate::load::record::watch::Interval;

/// How the comment begins that says of a log what is missing in it; `]` ends it.
const INCOMPLETE: &str = "#[Incomplete: ";
/// Likewise the one that says why there is nothing in it.
const FAILED: &str = "#[Failed: ";
/// Likewise the note on its run, as JSON.
const RUN: &str = "#[ringback-load run: ";
/// Likewise the note on how that came out.
const RESULT: &str = "#[ringback-load result: ";

/// An interval of a log.
#[derive(Debug, Clone, Copy)]
pub struct Logged<'a> {
    /// The kind of the values, where the log has one.
    pub tag: Option<&'a str>,
    /// When it started.
    pub start: SystemTime,
    /// How long it was.
    pub duration: Duration,
    /// The values, in nanoseconds.
    pub values: &'a Histogram<u64>,
}

impl<'a> From<&Interval<'a>> for Logged<'a> {
    fn from(interval: &Interval<'a>) -> Self {
        let Interval { tag, start, duration, latencies } = *interval;
        Self { tag: Some(tag.name()), start, duration, values: latencies }
    }
}
