//! Numbers with units, as they are written on command lines and in files.
//!
//! Text must be meant exactly: `1.5k` is 1500, `1.0005k` is an error, and so is a duration without
//! a unit. Only 0 is the same in every unit.

use std::time::Duration;

/// Decimal multiples, of counts.
const COUNT_UNITS: &[(&str, u128)] = &[
    ("", 1),
    ("K", 1_000),
    // Written with this one: the last of its size.
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
];
/// Units that other tools have, the nearest of ours, and what to know of it.
const FOREIGN_UNITS: &[(&str, &str, &str)] = &[
    ("kB", "KiB", ", of 1024 bytes"),
    ("KB", "KiB", ", of 1024 bytes"),
    ("k", "KiB", ", of 1024 bytes"),
    ("K", "KiB", ", of 1024 bytes"),
    ("MB", "MiB", ", of 1048576 bytes"),
    ("M", "MiB", ", of 1048576 bytes"),
    ("GB", "GiB", ", of 2^30 bytes"),
    ("G", "GiB", ", of 2^30 bytes"),
    ("sec", "s", ""),
    ("secs", "s", ""),
    ("seconds", "s", ""),
    ("min", "m", ""),
    ("mins", "m", ""),
    ("minutes", "m", ""),
    ("hours", "h", ""),
    ("msec", "ms", ""),
    ("usec", "us", ""),
];
/// Binary multiples, of bytes.
const SIZE_UNITS: &[(&str, u128)] =
    &[("B", 1), ("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// In millionths of a per cent.
const PERCENT_UNITS: &[(&str, u128)] = &[("%", 1_000_000)];
/// In nanoseconds.
const DURATION_UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("µs", 1_000),
    // Written with this one: the last of its size.
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Why a text is not a number with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// It does not begin with a number.
    #[error("it must begin with a number: write {example}")]
    NoNumber {
        /// An example of a valid value.
        example: &'static str,
    },
    /// The unit is missing or unknown.
    #[error("{}: use {known}, as in {example}", what_is_wrong_with(unit))]
    UnknownUnit {
        /// The text after the number.
        unit: String,
        /// The units that there are.
        known: &'static str,
        /// A valid value that may be meant.
        example: String,
    },
    /// Its thousands are set apart by commas, which part the items of a list.
    #[error("commas part the items of a list: write {example}")]
    Grouped {
        /// A value that is read, without them.
        example: String,
    },
    /// It needs a finer unit than there is.
    #[error("it is not a whole number of {smallest}: write fewer decimals")]
    NotWhole {
        /// The finest unit.
        smallest: &'static str,
    },
    /// It does not fit in 64 bits of the finest unit.
    #[error("it is too large: write at most {largest}")]
    TooLarge {
        /// The largest whole number of the largest unit.
        largest: String,
    },
}

fn what_is_wrong_with(unit: &str) -> String {
    if unit.is_empty() {
        "it has no unit".to_owned()
    } else {
        format!("{unit:?} is not a unit of it")
    }
}

/// Reads a count: `250`, `10k`, `1.5M`, `2G`.
///
/// # Errors
///
/// When it is not a whole number, has another unit, or does not fit.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    COUNT.parse(text)
}

/// Reads a size in bytes: `64`, `64KiB`, `1.5MiB`.
///
/// # Errors
///
/// When it is not a whole number of bytes, has another unit, or does not fit.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    SIZE.parse(text)
}

/// Reads a duration: `200us`, `1.5s`, `10m`, to the nanosecond and up to 584 years.
///
/// # Errors
///
/// When it has no unit or another, is not a whole number of nanoseconds, or does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    DURATION.parse(text).map(Duration::from_nanos)
}

/// As [`parse_duration`], of what takes microseconds: an error about a missing unit proposes them.
///
/// # Errors
///
/// As [`parse_duration`].
pub fn parse_latency(text: &str) -> Result<Duration, UnitError> {
    LATENCY.parse(text).map(Duration::from_nanos)
}

/// Reads a share in per cent: `1%`, `0.5%`; returns it as a part of one.
///
/// # Errors
///
/// When it has no `%`, or more than six decimals.
pub fn parse_percent(text: &str) -> Result<f64, UnitError> {
    Ok(PERCENT.parse(text)? as f64 / 1e8)
}

/// Writes a count exactly, as short as [`parse_count`] reads it: `10k`.
pub fn format_count(count: u64) -> String {
    COUNT.format(count)
}

/// Writes a size in bytes exactly, as short as [`parse_size`] reads it: `64KiB`.
pub fn format_size(bytes: u64) -> String {
    SIZE.format(bytes)
}

/// Writes a duration of up to 584 years exactly, as short as [`parse_duration`] reads it: `50us`.
pub fn format_duration(duration: Duration) -> String {
    DURATION.format(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// A number of things: `1 block`, `3 blocks`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", plural(number))
}

/// The ending of the name of so many things.
pub(crate) fn plural(number: u64) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// The text without the commas that set thousands apart, `20,000`; `None` if it has none.
pub(crate) fn without_grouping(text: &str) -> Option<String> {
    let mut pieces = text.split(',');
    let mut whole = pieces.next()?.to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let is_group = digits == 3 && whole.ends_with(|c: char| c.is_ascii_digit());
        whole.push_str(if is_group { "" } else { "," });
        whole.push_str(piece);
    }
    (whole != text).then_some(whole)
}

/// A kind of quantity and how it is written.
struct Quantity {
    units: &'static [(&'static str, u128)],
    known: &'static str,
    smallest: &'static str,
    /// The unit that is meant where there is none.
    usual: &'static str,
    example: &'static str,
}

const COUNT: Quantity = Quantity {
    units: COUNT_UNITS,
    known: "k, M, G or none",
    smallest: "ones",
    usual: "",
    example: "10k",
};
const SIZE: Quantity = Quantity {
    units: SIZE_UNITS,
    known: "KiB, MiB, GiB or none",
    smallest: "bytes",
    usual: "B",
    example: "64KiB",
};
const PERCENT: Quantity = Quantity {
    units: PERCENT_UNITS,
    known: "%",
    smallest: "millionths of 1%",
    usual: "%",
    example: "1%",
};
const DURATION: Quantity = Quantity {
    units: DURATION_UNITS,
    known: "ns, us, ms, s, m or h",
    smallest: "nanoseconds",
    usual: "s",
    example: "10s",
};
const LATENCY: Quantity = Quantity { usual: "us", example: "200us", ..DURATION };

impl Quantity {
    fn parse(&self, text: &str) -> Result<u64, UnitError> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..end], text[end..].trim_start());
        let (digits, decimals) =
            split_decimal(number).ok_or(UnitError::NoNumber { example: self.example })?;
        if unit.is_empty() && digits.bytes().all(|digit| digit == b'0') {
            return Ok(0);
        }
        let multiple = self.multiple(number, unit)?;
        let mantissa: u128 = digits.parse().map_err(|_| self.too_large())?;
        let scaled = mantissa.checked_mul(multiple).ok_or_else(|| self.too_large())?;
        let divisor = 10_u128.checked_pow(decimals).ok_or_else(|| self.too_large())?;
        if !scaled.is_multiple_of(divisor) {
            return Err(UnitError::NotWhole { smallest: self.smallest });
        }
        u64::try_from(scaled / divisor).map_err(|_| self.too_large())
    }

    fn too_large(&self) -> UnitError {
        let (name, multiple) = self.units.last().expect("every quantity has a unit");
        UnitError::TooLarge { largest: format!("{}{name}", u128::from(u64::MAX) / multiple) }
    }

    fn multiple(&self, number: &str, unit: &str) -> Result<u128, UnitError> {
        if let Some((_, multiple)) = self.units.iter().find(|(name, _)| *name == unit) {
            return Ok(*multiple);
        }
        let ungrouped = without_grouping(&format!("{number}{unit}"));
        if let Some(example) = ungrouped.filter(|text| self.parse(text).is_ok()) {
            return Err(UnitError::Grouped { example });
        }
        Err(UnitError::UnknownUnit {
            unit: unit.to_owned(),
            known: self.known,
            example: self.meant(number, unit),
        })
    }

    /// A valid value that may be meant.
    fn meant(&self, number: &str, unit: &str) -> String {
        if unit.is_empty() {
            return format!("{number}{}", self.usual);
        }
        let near = self.in_own_unit(number, unit);
        near.or_else(|| self.sum(&format!("{number}{unit}")))
            .unwrap_or_else(|| self.example.to_owned())
    }

    /// So many of the unit that is nearest to a foreign one; where that is no whole number, as many
    /// as the decimal multiple is.
    fn in_own_unit(&self, number: &str, unit: &str) -> Option<String> {
        let is_own = |own: &str| self.units.iter().any(|(name, _)| *name == own);
        let mut foreign = FOREIGN_UNITS.iter();
        let (_, own, note) = foreign.find(|(name, own, _)| *name == unit && is_own(own))?;
        let near = format!("{number}{own}");
        if self.parse(&near).is_ok() {
            return Some(near + note);
        }
        let decimal = format!("{number}{}", unit.trim_end_matches('B'));
        COUNT.parse(&decimal).ok().map(|number| self.format(number))
    }

    /// The sum of several numbers with units, `1m30s`, in the last unit: `90s`.
    fn sum(&self, text: &str) -> Option<String> {
        let (mut sum, mut rest, mut last) = (0_u64, text, "");
        while !rest.is_empty() {
            let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let digit = rest[unit..].find(|c: char| c.is_ascii_digit());
            let end = digit.map_or(rest.len(), |digit| unit + digit);
            if end == text.len() {
                // There is one alone, which was tried.
                return None;
            }
            sum = sum.checked_add(self.parse(&rest[..end]).ok()?)?;
            (last, rest) = (&rest[unit..end], &rest[end..]);
        }
        let (_, multiple) = self.units.iter().find(|(name, _)| *name == last)?;
        let sum = u128::from(sum);
        sum.is_multiple_of(*multiple).then(|| format!("{}{last}", sum / multiple))
    }

    /// In the largest unit that needs at most one decimal.
    fn format(&self, number: u64) -> String {
        let (name, multiple) = self
            .units
            .iter()
            .rev()
            .find(|(_, multiple)| {
                u128::from(number.max(1)) >= *multiple
                    && (u128::from(number) * 10).is_multiple_of(*multiple)
            })
            .expect("every number is a multiple of the unit of one");
        let tenths = u128::from(number) * 10 / multiple;
        let text = format!("{}.{}", tenths / 10, tenths % 10);
        format!("{}{name}", text.trim_end_matches(".0"))
    }
}

/// The digits of `1.50` as 15 and how many of them are decimals, 1.
fn split_decimal(text: &str) -> Option<(String, u32)> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = decimals.trim_end_matches('0');
    if whole.is_empty() || decimals.contains('.') {
        return None;
    }
    Some((format!("{whole}{decimals}"), u32::try_from(decimals.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let counts = [
            ("0", 0),
            ("250", 250),
            ("10k", 10_000),
            ("20K", 20_000),
            ("1.5M", 1_500_000),
            ("2G", 2_000_000_000),
        ];
        for (text, count) in counts {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        let sizes = [("64", 64), ("64B", 64), ("64KiB", 65_536), ("1.5 MiB", 1_572_864)];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        let shares = [("0%", 0.0), ("1%", 0.01), ("0.5 %", 0.005), ("150%", 1.5)];
        for (text, share) in shares {
            assert_eq!(parse_percent(text), Ok(share), "{text}");
        }
        let durations = [
            ("0s", 0),
            ("0", 0),
            ("0.0", 0),
            ("7ns", 7),
            ("200us", 200_000),
            ("200µs", 200_000),
            ("0.5ms", 500_000),
            ("1.500s", 1_500_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
        ];
        for (text, ns) in durations {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(ns)), "{text}");
        }
    }

    #[test]
    fn errors_name_cause_and_fix() {
        let cases = [
            (parse_count("").unwrap_err(), "it must begin with a number: write 10k"),
            (parse_count("-1").unwrap_err(), "it must begin with a number: write 10k"),
            (parse_count(".5k").unwrap_err(), "it must begin with a number: write 10k"),
            (parse_count("1.2.3").unwrap_err(), "it must begin with a number: write 10k"),
            (
                parse_count("10T").unwrap_err(),
                "\"T\" is not a unit of it: use k, M, G or none, as in 10k",
            ),
            (
                parse_size("10kB").unwrap_err(),
                "\"kB\" is not a unit of it: use KiB, MiB, GiB or none, as in 10KiB, of 1024 bytes",
            ),
            (
                parse_size("1.5M").unwrap_err(),
                "\"M\" is not a unit of it: use KiB, MiB, GiB or none, as in 1.5MiB, of 1048576 bytes",
            ),
            (
                parse_duration("5min").unwrap_err(),
                "\"min\" is not a unit of it: use ns, us, ms, s, m or h, as in 5m",
            ),
            (
                parse_duration("5k").unwrap_err(),
                "\"k\" is not a unit of it: use ns, us, ms, s, m or h, as in 10s",
            ),
            (
                parse_size("65.536k").unwrap_err(),
                "\"k\" is not a unit of it: use KiB, MiB, GiB or none, as in 64KiB",
            ),
            (
                parse_size("65.5361k").unwrap_err(),
                "\"k\" is not a unit of it: use KiB, MiB, GiB or none, as in 64KiB",
            ),
            (
                parse_duration("1m30s").unwrap_err(),
                "\"m30s\" is not a unit of it: use ns, us, ms, s, m or h, as in 90s",
            ),
            (
                parse_duration("1h0.5m").unwrap_err(),
                "\"h0.5m\" is not a unit of it: use ns, us, ms, s, m or h, as in 10s",
            ),
            (
                parse_latency("50").unwrap_err(),
                "it has no unit: use ns, us, ms, s, m or h, as in 50us",
            ),
            (
                parse_count("1,234,567").unwrap_err(),
                "commas part the items of a list: write 1234567",
            ),
            (
                parse_duration("20,000ms").unwrap_err(),
                "commas part the items of a list: write 20000ms",
            ),
            (
                parse_count("1,23").unwrap_err(),
                "\",23\" is not a unit of it: use k, M, G or none, as in 10k",
            ),
            (
                parse_duration("10").unwrap_err(),
                "it has no unit: use ns, us, ms, s, m or h, as in 10s",
            ),
            (
                parse_count("1.5").unwrap_err(),
                "it is not a whole number of ones: write fewer decimals",
            ),
            (parse_percent("1").unwrap_err(), "it has no unit: use %, as in 1%"),
            (
                parse_duration("0.1ns").unwrap_err(),
                "it is not a whole number of nanoseconds: write fewer decimals",
            ),
            (
                parse_count("18446744073709551616").unwrap_err(),
                "it is too large: write at most 18446744073G",
            ),
            (parse_duration("5124096h").unwrap_err(), "it is too large: write at most 5124095h"),
            (
                parse_duration(&format!("{}s", "9".repeat(60))).unwrap_err(),
                "it is too large: write at most 5124095h",
            ),
            (
                parse_size("17179869184GiB").unwrap_err(),
                "it is too large: write at most 17179869183GiB",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn numbers_are_written_as_short_as_they_are_exact() {
        assert_eq!(format_count(10_000), "10k");
        assert_eq!(format_count(1_234_567), "1234567");
        assert_eq!(format_count(65_536), "65536");
        assert_eq!(format_count(999), "999");
        assert_eq!(format_size(65_536), "64KiB");
        assert_eq!(format_size(1_572_864), "1.5MiB");
        assert_eq!(format_duration(Duration::from_micros(50)), "50us");
        assert_eq!(format_duration(Duration::from_secs(90)), "1.5m");
        assert_eq!(format_duration(Duration::ZERO), "0ns");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(number: u64) {
            prop_assert_eq!(parse_count(&format_count(number)), Ok(number));
            prop_assert_eq!(parse_size(&format_size(number)), Ok(number));
            let duration = Duration::from_nanos(number);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = (parse_count(&text), parse_size(&text), parse_duration(&text));
            let _ = without_grouping(&text);
        }

        #[test]
        fn no_number_is_too_long(text in "[0-9.]{0,90}[kMGhms]?[0-9,.]{0,9}[ms]?") {
            let _ = (parse_count(&text), parse_duration(&text));
        }
    }
}
