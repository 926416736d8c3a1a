//! Times of day on command lines.

use std::time::{Duration, SystemTime};

/// From here on RFC 3339 cannot write a time: it has four digits for the year.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

/// Reads a time: RFC 3339 with its offset, as `date -Is` and `date --rfc-3339=ns` print it, or
/// seconds since 1970, as `date +%s.%N` does.
pub(super) fn parse_moment(text: &str) -> Result<SystemTime, String> {
    let text = text.trim();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let since_1970 = if is_number { seconds(text) } else { rfc3339(text)? };
    let since_1970 = since_1970.ok_or_else(|| {
        "it is neither a time, as in 2026-12-24T18:00:00Z, nor seconds since 1970, as date +%s \
         prints them"
            .to_owned()
    })?;
    match since_1970 < YEAR_10000 {
        true => Ok(SystemTime::UNIX_EPOCH + since_1970),
        false => Err("it is after the year 9999: it counts in seconds since 1970".to_owned()),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    const DECIMALS: usize = 9;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction = fraction.get(..DECIMALS).unwrap_or(fraction);
    let nanos: u32 = format!("{fraction:0<DECIMALS$}").parse().ok()?;
    Some(Duration::new(whole.parse().ok()?, nanos))
}

/// `None` if it is no such time; without an offset it is an error of its own.
fn rfc3339(text: &str) -> Result<Option<Duration>, String> {
    const DATE_AND_TIME: usize = "2026-12-24T18:00:00".len();
    // RFC 3339, 5.6: letters may be small, and a blank may stand for the T.
    let text = text.to_ascii_uppercase().replacen(' ', "T", 1);
    let Some((time, rest)) = text.split_at_checked(DATE_AND_TIME) else { return Ok(None) };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (fraction, offset) = rest.split_at(end);
    let Ok(utc) = humantime::parse_rfc3339(&format!("{time}{fraction}Z")) else { return Ok(None) };
    let utc = utc.duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    match offset {
        "" => Err(format!("it has no offset from UTC: write {text}Z, or the offset, as in +01:00")),
        "Z" => Ok(Some(utc)),
        _ => Ok(ahead_of_utc(offset).and_then(|(is_ahead, offset)| match is_ahead {
            true => utc.checked_sub(offset),
            false => utc.checked_add(offset),
        })),
    }
}

/// The difference from UTC: true where clocks show a later time, and by how much they differ.
fn ahead_of_utc(offset: &str) -> Option<(bool, Duration)> {
    let (sign, rest) = offset.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let two_digits = |text: &str, below: u64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten().filter(|number: &u64| *number < below)
    };
    let minutes = two_digits(hours, 24)? * 60 + two_digits(minutes, 60)?;
    let is_ahead = matches!(sign, "+");
    matches!(sign, "+" | "-").then_some((is_ahead, Duration::from_secs(minutes * 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_printed() {
        let at = |ms| Ok(SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
        for (text, expected) in [
            ("1700000000", at(1_700_000_000_000)),
            ("1700000000.25", at(1_700_000_000_250)),
            ("1700000000.250000000", at(1_700_000_000_250)),
            ("0", at(0)),
            ("2023-11-14T22:13:20Z", at(1_700_000_000_000)),
            ("2023-11-14t22:13:20.25z", at(1_700_000_000_250)),
            ("2023-11-14T23:13:20+01:00", at(1_700_000_000_000)),
            ("2023-11-14 16:43:20.250000000-05:30", at(1_700_000_000_250)),
            ("9999-12-31T23:59:59Z", at(253_402_300_799_000)),
        ] {
            assert_eq!(parse_moment(text), expected, "{text}");
        }
        for (text, words) in [
            ("1700000000000", "it is after the year 9999: it counts in seconds"),
            ("2023-11-14T22:13:20", "it has no offset from UTC: write 2023-11-14T22:13:20Z"),
            ("2023-11-14T22:13:20+1", "it is neither a time"),
            ("2023-11-14T22:13:20+01:60", "it is neither a time"),
            ("2023-11-14", "it is neither a time"),
            ("22:13:20", "it is neither a time"),
            ("1.2.3", "it is neither a time"),
            ("", "it is neither a time"),
            ("2023-11-14T22:13:2\u{e9}", "it is neither a time"),
            ("1970-01-01T00:00:00+01:00", "it is neither a time"),
        ] {
            let error = parse_moment(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
