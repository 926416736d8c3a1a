//! Reads a log, and says of every line that is not one what is wrong with it.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, LogEntry,
};

use super::INCOMPLETE;

/// A log in memory, with its histograms still encoded: a few kilobytes an interval, where decoded
/// they take hundreds.
#[derive(Debug)]
pub struct Log {
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// The part that is missing in it, if it says so.
    pub incomplete: Option<String>,
}

/// One interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The kind of the values, where the log has one.
    pub tag: Option<String>,
    /// When it started.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// Where it stands, counted from 1.
    pub line: usize,
    encoded: String,
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
pub enum Problem {
    /// It is nothing that a log consists of.
    #[error("it is not a line of an HdrHistogram log (.hlog)")]
    NotALog,
    /// The file ends within it.
    #[error("it is cut off: the file is not complete")]
    CutOff,
    /// There are only comments, or nothing at all.
    #[error("there is no interval up to here: nothing was logged")]
    NoInterval,
    /// The text of the histogram is damaged.
    #[error("its histogram is damaged: {0}")]
    Damaged(String),
    /// It is of a kind that is not known.
    #[error("its histogram is not in the V2 format, compressed or not: log it anew with V2")]
    UnknownFormat,
    /// It cannot be added to others without loss.
    #[error(
        "its histograms have {digits} significant digits and a unit of {unit}, where those before \
         have {first_digits} and {first_unit}: these cannot be added without loss"
    )]
    OtherPrecision {
        /// Its digits.
        digits: u8,
        /// Its lowest discernible value.
        unit: u64,
        /// The digits of the first.
        first_digits: u8,
        /// The lowest discernible value of the first.
        first_unit: u64,
    },
}

impl Log {
    /// Reads a whole log.
    ///
    /// # Errors
    ///
    /// Names the first line that is not one. Histograms are not looked at yet.
    pub fn read(bytes: &[u8]) -> Result<Self, LogError> {
        let mut times = Times::default();
        let mut entries = Vec::new();
        let mut incomplete = None;
        let mut lines = 0;
        for (place, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            lines = place + 1;
            let error = |problem| LogError { line: lines, problem };
            let is_whole = line.ends_with(b"\n");
            if line.trim_ascii().is_empty() && is_whole {
                continue;
            }
            match IntervalLogIterator::new(line).next() {
                // A comment, or the names of the columns.
                None => incomplete = incomplete.or_else(|| missing_part(line)),
                Some(Ok(LogEntry::StartTime(time))) => times.start = Some(time),
                Some(Ok(LogEntry::BaseTime(time))) => times.base = Some(time),
                Some(Ok(LogEntry::Interval(interval))) => {
                    let (start, end) =
                        times.of(&interval).ok_or_else(|| error(Problem::NotALog))?;
                    entries.push(Entry {
                        tag: interval.tag().map(|tag| tag.as_str().to_owned()),
                        start,
                        end,
                        line: lines,
                        encoded: interval.encoded_histogram().to_owned(),
                    });
                }
                Some(Err(_)) if is_whole || entries.is_empty() => {
                    return Err(error(Problem::NotALog));
                }
                Some(Err(_)) => return Err(error(Problem::CutOff)),
            }
        }
        if entries.is_empty() {
            return Err(LogError { line: lines, problem: Problem::NoInterval });
        }
        Ok(Self { entries, incomplete })
    }
}

/// The part that a comment says to be missing.
fn missing_part(comment: &[u8]) -> Option<String> {
    let comment = str::from_utf8(comment).ok()?.trim_end();
    Some(comment.strip_prefix(INCOMPLETE)?.strip_suffix(']')?.to_owned())
}

impl Entry {
    /// Decodes the histogram.
    ///
    /// # Errors
    ///
    /// When it is damaged or of another format.
    pub fn histogram(&self) -> Result<Histogram<u64>, LogError> {
        decode(&self.encoded).map_err(|problem| LogError { line: self.line, problem })
    }
}

/// The origin of the intervals' timestamps, after `HistogramLogReader` of HdrHistogram.
#[derive(Debug, Default)]
struct Times {
    start: Option<Duration>,
    base: Option<Duration>,
}

impl Times {
    /// When an interval started and ended, if there is such a time.
    fn of(&mut self, interval: &IntervalLogHistogram<'_>) -> Option<(SystemTime, SystemTime)> {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let stamp = interval.start_timestamp();
        let base = *self.base.get_or_insert_with(|| match self.start {
            // A stamp that is a year before the start cannot be a date.
            Some(start) if stamp.saturating_add(YEAR) < start => start,
            _ => Duration::ZERO,
        });
        let start = SystemTime::UNIX_EPOCH.checked_add(base.checked_add(stamp)?)?;
        Some((start, start.checked_add(interval.duration())?))
    }
}

/// Header of a histogram in V2: cookie, length of the counts, and 32 bytes more.
const V2_HEADER: usize = 40;
/// The header of a histogram in V2-deflate: cookie, and length of what is compressed.
const V2_DEFLATE_HEADER: usize = 8;
/// Cookies, without the four bits that say how wide a count is.
const V2_COOKIE: u32 = 0x1c84_9303;
const V2_DEFLATE_COOKIE: u32 = 0x1c84_9304;
const WIDTH_BITS: u32 = 0xf0;
/// The counts of the finest histogram that there is take less.
const MAX_BYTES: u64 = 64 << 20;

fn decode(text: &str) -> Result<Histogram<u64>, Problem> {
    let binary = BASE64.decode(text).map_err(|error| Problem::Damaged(error.to_string()))?;
    let plain = match cookie(&binary) {
        Some(V2_COOKIE) => binary,
        Some(V2_DEFLATE_COOKIE) => inflate(&binary)?,
        _ => return Err(Problem::UnknownFormat),
    };
    // The decoder takes memory for whatever length it is told.
    check_length(&plain, V2_HEADER)?;
    Deserializer::new()
        .deserialize(&mut plain.as_slice())
        .map_err(|error| Problem::Damaged(error.to_string()))
}

/// The four bytes behind the cookie say how many bytes there are behind the header.
fn check_length(binary: &[u8], header: usize) -> Result<(), Problem> {
    let length =
        binary.get(4..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_be_bytes(*bytes));
    if length.is_some_and(|length| header + length as usize == binary.len()) {
        return Ok(());
    }
    Err(Problem::Damaged("it is not as long as it says".to_owned()))
}

fn cookie(binary: &[u8]) -> Option<u32> {
    let cookie = binary.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))?;
    Some(cookie & !WIDTH_BITS)
}

fn inflate(binary: &[u8]) -> Result<Vec<u8>, Problem> {
    check_length(binary, V2_DEFLATE_HEADER)?;
    let mut plain = Vec::new();
    ZlibDecoder::new(&binary[V2_DEFLATE_HEADER..])
        .take(MAX_BYTES)
        .read_to_end(&mut plain)
        .map_err(|error| Problem::Damaged(error.to_string()))?;
    match cookie(&plain) {
        Some(V2_COOKIE) => Ok(plain),
        _ => Err(Problem::UnknownFormat),
    }
}
