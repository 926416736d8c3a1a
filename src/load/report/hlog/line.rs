//! One line of a log, taken apart. Knows nothing of what a histogram is.
//!
//! Accepts what the writers of HdrHistogram in other languages make of the format: times in whole
//! seconds (Go), `Basetime` (Java before 2.1.10), blanks around fields, a byte order mark.

use super::{FAILED, INCOMPLETE, RESULT, RUN};

/// Nanoseconds, of a time since the epoch or of a stamp, which may lie before its base.
pub(super) type Nanos = i128;

const NS_PER_S: Nanos = 1_000_000_000;

/// The beginnings of lines of `ringback-load` on standard error, which a container's log has as well.
const OWN_MESSAGES: [&str; 3] = ["ringback-load: ", "ringback-load  ", "warning: "];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A comment, the names of the columns, or nothing.
    Ignored,
    /// The part that a comment says to be missing.
    Incomplete(&'a str),
    /// The cause that a comment gives for there being nothing.
    Failed(&'a str),
    /// A note on the run, and one on its result, in JSON.
    Run(&'a str),
    Result(&'a str),
    StartTime(Nanos),
    BaseTime(Nanos),
    Interval(IntervalLine<'a>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct IntervalLine<'a> {
    pub(super) tag: Option<&'a str>,
    /// Since the log's base.
    pub(super) start: Nanos,
    /// Not negative.
    pub(super) length: Nanos,
    /// In Base64.
    pub(super) histogram: &'a str,
}

/// `None` if it is nothing that a log consists of.
pub(super) fn parse(line: &str) -> Option<Line<'_>> {
    // Logs that were put together may have a mark before each.
    let line = line.trim_start_matches('\u{feff}').trim();
    if line.is_empty() || line.trim_start_matches('"').starts_with("StartTimestamp") {
        return Some(Line::Ignored);
    }
    if line.starts_with('#') {
        return comment(line);
    }
    if is_own_message(line) {
        return Some(Line::Ignored);
    }
    interval(line).map(Line::Interval)
}

/// Returns whether a line that is no comment is of a log, even of a damaged one.
pub(in crate::load) fn is_of_log(line: &str) -> bool {
    let is_likely = line.starts_with("Tag=") || line.contains(",HIST");
    is_likely || (parse(line).is_some() && !is_own_message(line))
}

fn is_own_message(line: &str) -> bool {
    OWN_MESSAGES.iter().any(|start| line.starts_with(start))
}

fn comment(line: &str) -> Option<Line<'_>> {
    let text = |start| line.strip_prefix(start)?.strip_suffix(']');
    let incomplete = text(INCOMPLETE).map(Line::Incomplete);
    let known = incomplete.or_else(|| text(FAILED).map(Line::Failed));
    let notes = || text(RUN).map(Line::Run).or_else(|| text(RESULT).map(Line::Result));
    // One that is cut off is no comment of others.
    let is_note = [RUN, RESULT].iter().any(|start| line.starts_with(start));
    known.or_else(notes).or_else(|| if is_note { None } else { header(line) })
}

fn header(line: &str) -> Option<Line<'_>> {
    let Some((name, value)) = line.strip_prefix("#[").and_then(|line| line.split_once(':')) else {
        return Some(Line::Ignored);
    };
    let number = || seconds(value.trim_start().split([' ', '\t', ',', ']']).next()?);
    match name.trim().to_ascii_lowercase().as_str() {
        "starttime" => number().map(Line::StartTime),
        "basetime" => number().map(Line::BaseTime),
        _ => Some(Line::Ignored),
    }
}

fn interval(line: &str) -> Option<IntervalLine<'_>> {
    let (tag, columns) = match line.strip_prefix("Tag=") {
        Some(tagged) => tagged.split_once(',').map(|(tag, rest)| (Some(tag.trim()), rest))?,
        None => (None, line),
    };
    let mut columns = columns.splitn(4, ',').map(str::trim);
    let start = seconds(columns.next()?)?;
    let length = seconds(columns.next()?).filter(|length| *length >= 0)?;
    // The longest value is in the histogram as well; it tells a log from other tables.
    columns.next()?.parse::<f64>().ok()?;
    let histogram = columns.next()?;
    // A table of numbers has the first columns too.
    let is_of_table = histogram.contains(',') || histogram.parse::<f64>().is_ok();
    (tag.is_some() || !is_of_table).then_some(IntervalLine { tag, start, length, histogram })
}

/// A decimal number of seconds; exactly, unless it has an exponent, but for what is finer than a
/// nanosecond.
fn seconds(text: &str) -> Option<Nanos> {
    if text.contains(['e', 'E']) {
        // As many as digits alone can say.
        let is_possible = |seconds: &f64| seconds.abs() <= u64::MAX as f64;
        let seconds = text.parse::<f64>().ok().filter(is_possible)?;
        return Some((seconds * NS_PER_S as f64).round() as Nanos);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0, |nanos, digit| nanos * 10 + Nanos::from(digit - b'0'));
    Some(sign * (Nanos::from(whole.parse::<u64>().ok()?) * NS_PER_S + nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        let cases = [
            ("0", 0),
            ("5", 5_000_000_000),
            ("1700000000.123", 1_700_000_000_123_000_000),
            ("0.000000001999", 1),
            ("-0.5", -500_000_000),
            ("1.", 1_000_000_000),
            ("1.7e+09", 1_700_000_000_000_000_000),
            ("5E-3", 5_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(seconds(text), Some(nanos), "{text}");
        }
        for text in [
            "",
            "-",
            ".5",
            "1e",
            "1e168",
            "1e999",
            "+1",
            "NaN",
            "1.5.0",
            "1,5",
            "99999999999999999999",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn headers_are_read_in_every_spelling() {
        let started = Some(Line::StartTime(1_700_000_000_000_000_000));
        for line in [
            "#[StartTime: 1700000000.000 (seconds since epoch), Tue Nov 14 22:13:20 UTC 2023]",
            "#[StartTime: 1700000000 (seconds since epoch)]",
            "\u{feff}#[StartTime: 1700000000]\r\n",
            "#[StartTime:1700000000.0, now]  \n",
        ] {
            assert_eq!(parse(line), started, "{line:?}");
        }
        for line in ["#[BaseTime: 5.000 (x)]", "#[Basetime: 5 (x)]", "#[basetime: 5]\t"] {
            assert_eq!(parse(line), Some(Line::BaseTime(5_000_000_000)), "{line:?}");
        }
        for line in ["", " \r\n", "# StartTime: 1", "#[Histogram log format version 1.3]", "#["] {
            assert_eq!(parse(line), Some(Line::Ignored), "{line:?}");
        }
        assert_eq!(parse("#[StartTime: yesterday]"), None);
    }

    #[test]
    fn blanks_around_fields_are_no_part_of_them() {
        let interval = IntervalLine {
            tag: Some("get one"),
            start: 500_000_000,
            length: 1_000_000_000,
            histogram: "HISTF",
        };
        let line = "Tag=get one, 0.500 ,1.000, 2.5 , HISTF \r\n";
        assert_eq!(parse(line), Some(Line::Interval(interval)));
        for line in ["1,1,1", "1,-1,1,HISTF", "Tag=a", "a,b,c,d", "1,1,x,HISTF"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
