//! Measured quantities as a person reads them: rounded to three digits, with their unit.

use std::fmt::{self, Write};
use std::time::SystemTime;

use crate::units::plural;

/// A whole number with its thousands set apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds in the unit that suits them: `842 ns`, `61.2 µs`, `1.35 ms`, `12.0 s`.
pub(crate) fn nanos(ns: u64) -> String {
    if ns < 1000 {
        return format!("{ns} ns");
    }
    scaled(ns as f64 / 1e3, 1e3, &["µs", "ms", "s"])
}

/// Bytes in binary units: `64 B`, `1.50 KiB`, `12.3 MiB`.
pub(crate) fn bytes(bytes: f64) -> String {
    if bytes < 1024.0 {
        return format!("{bytes:.0} B");
    }
    scaled(bytes / 1024.0, 1024.0, &["KiB", "MiB", "GiB", "TiB"])
}

/// A share of one: `81.3 %`.
pub(crate) fn percent(share: f64) -> String {
    let percents = share * 100.0;
    let decimals = if percents.fract() == 0.0 || percents >= 999.5 { 0 } else { 1 };
    format!("{percents:.decimals$} %")
}

/// As [`counted`](crate::units::counted), with thousands set apart.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), plural(number))
}

/// So many of a number of things, as one says it: `3 of 7 blocks`, `both blocks`, `no block`.
pub(crate) fn part(number: u64, of: u64, thing: &str) -> String {
    match (number, of) {
        (0, _) => format!("no {thing}"),
        (1, 1) => format!("the only {thing}"),
        (2, 2) => format!("both {thing}s"),
        (number, of) if number == of => format!("all {}", counted(of, thing)),
        (number, of) => format!("{} of {}", count(number), counted(of, thing)),
    }
}

/// A time of day, to the second, as RFC 3339 has it; `None` outside the years 1970 to 9999.
pub(crate) fn rfc3339(time: SystemTime) -> Option<String> {
    written(time, humantime::format_rfc3339_seconds(time))
}

/// A time of day with as many decimals as it needs, as RFC 3339 has it; outside of the years 1970
/// to 9999, which that can write, as Rust does.
pub(crate) fn rfc3339_exact(time: SystemTime) -> String {
    written(time, humantime::format_rfc3339(time)).unwrap_or_else(|| format!("{time:?}"))
}

fn written(time: SystemTime, form: impl fmt::Display) -> Option<String> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let mut text = String::new();
    write!(text, "{form}").ok()?;
    Some(text)
}

/// Such a time to the minute, for people: `2026-11-24 17:40 UTC`.
pub(crate) fn minute(rfc3339: &str) -> Option<String> {
    Some(format!("{} {} UTC", rfc3339.get(..10)?, rfc3339.get(11..16)?))
}

/// Text from elsewhere that a terminal only shows: characters that it would obey, or that would
/// turn the direction of the text, are escaped as Rust does.
pub(crate) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() || turns_text(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Marks, embeddings, overrides and isolates of Unicode's bidirectional algorithm.
fn turns_text(c: char) -> bool {
    matches!(
        c,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter();
    let mut unit = units.next().expect("there is a unit");
    // What would be rounded up to the next unit is given in it.
    while value >= step - 0.5 {
        let Some(next) = units.next() else { break };
        unit = next;
        value /= step;
    }
    // Rounding decides how many digits stand before the point: 9.996 is 10.0.
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn times_keep_three_digits() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1000, "1.00 µs"),
            (9_996, "10.0 µs"),
            (61_234, "61.2 µs"),
            (99_960, "100 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (1_350_000, "1.35 ms"),
            (59_990_000_000, "60.0 s"),
            (3_600_000_000_000, "3600 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(nanos(ns), text);
        }
    }

    #[test]
    fn bytes_are_binary() {
        let cases =
            [(0.0, "0 B"), (1023.0, "1023 B"), (1536.0, "1.50 KiB"), (1048576.0, "1.00 MiB")];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn times_of_day_are_in_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(rfc3339(time).as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(minute("2023-11-14T22:13:20Z").as_deref(), Some("2023-11-14 22:13 UTC"));
        let too_early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!((rfc3339(too_early), minute("today")), (None, None));
        assert_eq!(rfc3339_exact(time), "2023-11-14T22:13:20Z");
        let precise = time + Duration::from_millis(250);
        assert_eq!(rfc3339_exact(precise), "2023-11-14T22:13:20.250000000Z");
        assert!(rfc3339_exact(too_early).contains("tv_sec: -1"));
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(printable("get größe"), "get größe");
        assert_eq!(
            printable("a\x1b[31m\x07\u{9b}b\u{202e}c"),
            "a\\u{1b}[31m\\u{7}\\u{9b}b\\u{202e}c"
        );
    }

    #[test]
    fn parts_are_said_as_one_says_them() {
        let said = |number, of| part(number, of, "block");
        assert_eq!([said(0, 7), said(0, 1)], ["no block"; 2]);
        assert_eq!([said(1, 1), said(2, 2)], ["the only block", "both blocks"]);
        assert_eq!([said(7, 7), said(3, 1000)], ["all 7 blocks", "3 of 1,000 blocks"]);
    }

    #[test]
    fn shares_are_percents() {
        assert_eq!(percent(0.99), "99 %");
        assert_eq!(percent(0.8134), "81.3 %");
    }
}
