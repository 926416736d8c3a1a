//! Reads a log, and says of every line that is not one what is wrong with it.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use super::histogram;
use super::line::{self, IntervalLine, Line, Nanos};
use super::note::{ResultNote, RunNote};
use super::run::{LoggedRun, Runs};
use crate::load::format::printable;

/// A log in memory, with its histograms still encoded: a few kilobytes an interval, where decoded
/// they take hundreds.
#[derive(Debug)]
pub struct Log {
    /// The name by which reports call it; empty until the caller gives it one.
    pub name: String,
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// The part that is missing in it, if it says so.
    pub incomplete: Option<String>,
    /// The runs that these are of, in the order of the file.
    pub(in crate::load::report) runs: Vec<LoggedRun>,
    /// How many lines it has.
    pub(super) lines: usize,
}

/// One interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The kind of the values, where the log has one; a terminal can show it.
    pub tag: Option<String>,
    /// When it started.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// Where it stands, counted from 1.
    pub line: usize,
    encoded: String,
    /// A line feed ended it.
    is_whole: bool,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LogError {
    /// Counted from 1.
    pub line: usize,
    /// The problem.
    pub problem: Problem,
}

/// The problem of a line of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is nothing that a log consists of.
    #[error("it is not a line of an HdrHistogram log (.hlog)")]
    NotALog,
    /// The file ends within it.
    #[error("it is cut off: the file is not complete")]
    CutOff,
    /// There are only comments, or nothing at all.
    #[error("there is no interval up to here: nothing was logged")]
    NoInterval {
        /// Why the log is not complete, if it says so.
        incomplete: Option<String>,
    },
    /// It is a note on a run of ours, and not whole.
    #[error("its note on the run is damaged: {0}")]
    DamagedNote(String),
    /// It starts before or ends after all times that can be written.
    #[error(
        "its time is not in the years 1970 to 9999: StartTime, BaseTime and the columns count in \
         seconds, not in milliseconds"
    )]
    ImpossibleTime,
    /// It ends too long after the first interval for its nanoseconds.
    #[error(
        "it ends more than 584 years after the first interval: is the StartTime of a log missing \
         or wrong?"
    )]
    TooLongAfter,
    /// The text of the histogram is damaged.
    #[error("its histogram is damaged: {0}")]
    Damaged(String),
    /// It is of a kind that is not known.
    #[error("its histogram is not in the V2 format, compressed or not: log it anew with V2")]
    UnknownFormat,
    /// It does not count whole numbers.
    #[error(
        "its histogram is a DoubleHistogram, whose values are fractions: log a Histogram of \
         nanoseconds"
    )]
    DoubleHistogram,
    /// Its samples cannot be counted.
    #[error("with it there are more than 2^64 - 1 samples, too many to count")]
    TooManySamples,
    /// It cannot be added to others without loss.
    #[error(
        "its histogram has {} significant digits and a unit of {}, where others of its tag have {} \
         and {}: these cannot be added without loss",
        .own.0, .own.1, .others.0, .others.1
    )]
    OtherPrecision {
        /// Its digits, and its lowest discernible value.
        own: (u8, u64),
        /// Those of others.
        others: (u8, u64),
    },
}

impl Log {
    /// Reads a whole log, or several one after the other. A log without intervals is one if it says
    /// which run it is of.
    ///
    /// # Errors
    ///
    /// Names the first line that is not one. Histograms are not looked at yet.
    pub fn read(bytes: &[u8]) -> Result<Self, LogError> {
        let mut times = Times::default();
        let mut entries = Vec::new();
        let mut incomplete = None;
        let mut runs = Runs::default();
        let mut lines = 0;
        for (place, bytes) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            lines = place + 1;
            let error = |problem| LogError { line: lines, problem };
            let is_whole = bytes.ends_with(b"\n");
            match line::parse(&String::from_utf8_lossy(bytes)) {
                Some(Line::Ignored) => {}
                Some(Line::Incomplete(why)) => {
                    incomplete.get_or_insert_with(|| printable(why));
                    runs.interrupt();
                }
                Some(Line::Failed(why)) => runs.fail(printable(why)),
                Some(Line::Run(json)) => {
                    let damaged = |why| error(Problem::DamagedNote(why));
                    runs.begin(RunNote::read(json).map_err(damaged)?);
                }
                Some(Line::Result(json)) => {
                    let damaged = |why| error(Problem::DamagedNote(why));
                    runs.end(ResultNote::read(json).map_err(damaged)?);
                }
                Some(Line::StartTime(time)) => times.header().start = Some(time),
                Some(Line::BaseTime(time)) => times.header().base = Some(time),
                Some(Line::Interval(interval)) => {
                    let (start, end) =
                        times.of(&interval).ok_or_else(|| error(Problem::ImpossibleTime))?;
                    runs.add_interval(start);
                    entries.push(Entry {
                        tag: interval.tag.map(printable),
                        start,
                        end,
                        line: lines,
                        encoded: interval.histogram.to_owned(),
                        is_whole,
                    });
                }
                None if is_whole || (entries.is_empty() && !runs.is_known()) => {
                    return Err(error(Problem::NotALog));
                }
                None => return Err(error(Problem::CutOff)),
            }
        }
        if entries.is_empty() && !runs.is_known() {
            return Err(LogError { line: lines, problem: Problem::NoInterval { incomplete } });
        }
        Ok(Self { name: String::new(), entries, incomplete, runs: runs.into_all(), lines })
    }
}

impl Entry {
    /// Decodes the histogram.
    ///
    /// # Errors
    ///
    /// When it is damaged or of another format.
    pub fn histogram(&self) -> Result<Histogram<u64>, LogError> {
        histogram::decode(&self.encoded).map_err(|problem| match problem {
            Problem::Damaged(_) if !self.is_whole => self.error(Problem::CutOff),
            problem => self.error(problem),
        })
    }

    pub(super) fn duration(&self) -> Duration {
        self.end.duration_since(self.start).unwrap_or_default()
    }

    pub(super) fn error(&self, problem: Problem) -> LogError {
        LogError { line: self.line, problem }
    }
}

/// The origin of the intervals' stamps, after `HistogramLogReader` of HdrHistogram.
#[derive(Debug, Default)]
struct Times {
    start: Option<Nanos>,
    base: Option<Nanos>,
    /// An interval followed the header.
    is_complete: bool,
}

impl Times {
    /// The times of a header. One that follows intervals is that of another log, put behind the
    /// first.
    fn header(&mut self) -> &mut Self {
        if self.is_complete {
            *self = Self::default();
        }
        self
    }

    /// When an interval started and ended, if there is such a time.
    fn of(&mut self, interval: &IntervalLine<'_>) -> Option<(SystemTime, SystemTime)> {
        const YEAR: Nanos = 365 * 24 * 3600 * 1_000_000_000;
        self.is_complete = true;
        let base = *self.base.get_or_insert_with(|| match self.start {
            // A stamp that is a year before the start cannot be a date.
            Some(start) if interval.start + YEAR < start => start,
            _ => 0,
        });
        let start = base + interval.start;
        Some((time(start)?, time(start + interval.length)?))
    }
}

/// A time that RFC 3339 can write.
fn time(since_epoch: Nanos) -> Option<SystemTime> {
    const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);
    let since_epoch = u64::try_from(since_epoch / 1_000_000_000)
        .ok()
        .filter(|_| since_epoch >= 0)
        .map(|seconds| Duration::new(seconds, (since_epoch % 1_000_000_000) as u32))?;
    (since_epoch < YEAR_10000).then(|| SystemTime::UNIX_EPOCH + since_epoch)
}
