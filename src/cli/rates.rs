//! Lists of rates, as they are written on command lines: `10k,20k,40k` or `10k..100k:10k`.

use crate::load::MAX_RATE;
use crate::units::{UnitError, format_count, parse_count};

/// More take too long and are not told apart in a picture.
const MAX_RATES: usize = 200;

/// Rates in ascending order, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RateList(pub(super) Vec<u64>);

/// Why a text is not a list of rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RatesError {
    /// A number in it is none.
    #[error("{text:?} is not a rate: {source}")]
    NotARate {
        /// Where it should be.
        text: String,
        /// The fault in it.
        source: UnitError,
    },
    /// A rate of nothing, or of more than anybody sends.
    #[error("{} is not a rate that can be offered: use 1 to {}", format_count(*.0), format_count(MAX_RATE))]
    OutOfRange(u64),
    /// A range without a step, or one that does not ascend.
    #[error("{0:?} is not a range: write FIRST..LAST:STEP, ascending, as in 10k..100k:10k")]
    NotARange(String),
    /// Too many rates.
    #[error("these are {0} rates: use at most {MAX_RATES}")]
    TooMany(u64),
}

/// Reads a list of rates and ranges; the last rate of a range is in it if a step leads there.
pub(super) fn parse_rates(text: &str) -> Result<RateList, RatesError> {
    let mut rates = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            None => rates.push(parse_rate(part)?),
            Some((first, rest)) => {
                let range = || RatesError::NotARange(part.to_owned());
                let (last, step) = rest.split_once(':').ok_or_else(range)?;
                let (first, last) = (parse_rate(first)?, parse_rate(last)?);
                let step = parse_rate(step)?;
                if first > last {
                    return Err(range());
                }
                let count = (last - first) / step + 1;
                if count > MAX_RATES as u64 {
                    return Err(RatesError::TooMany(count));
                }
                rates.extend((0..count).map(|place| first + place * step));
            }
        }
    }
    rates.sort_unstable();
    rates.dedup();
    if rates.len() > MAX_RATES {
        return Err(RatesError::TooMany(rates.len() as u64));
    }
    Ok(RateList(rates))
}

fn parse_rate(text: &str) -> Result<u64, RatesError> {
    let not_a_rate = |source| RatesError::NotARate { text: text.to_owned(), source };
    let rate = parse_count(text).map_err(not_a_rate)?;
    if (1..=MAX_RATE).contains(&rate) { Ok(rate) } else { Err(RatesError::OutOfRange(rate)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_read() {
        let rates = |text| parse_rates(text).unwrap().0;
        assert_eq!(rates("10k"), [10_000]);
        assert_eq!(rates("20k, 10k,40k,10k"), [10_000, 20_000, 40_000]);
        assert_eq!(rates("10k..30k:10k"), [10_000, 20_000, 30_000]);
        assert_eq!(rates("1..10:4"), [1, 5, 9]);
        assert_eq!(rates("5..5:1"), [5]);
        assert_eq!(rates("100,1k..2k:500"), [100, 1_000, 1_500, 2_000]);
    }

    #[test]
    fn errors_name_cause_and_fix() {
        let cases = [
            ("", "\"\" is not a rate: it must begin with a number: write 10k"),
            ("10k,", "\"\" is not a rate: it must begin with a number: write 10k"),
            ("0", "0 is not a rate that can be offered: use 1 to 1G"),
            ("2G", "2G is not a rate that can be offered: use 1 to 1G"),
            (
                "1k..2k",
                "\"1k..2k\" is not a range: write FIRST..LAST:STEP, ascending, as in 10k..100k:10k",
            ),
            (
                "2k..1k:100",
                "\"2k..1k:100\" is not a range: write FIRST..LAST:STEP, ascending, as in \
                 10k..100k:10k",
            ),
            ("1k..2k:0", "0 is not a rate that can be offered: use 1 to 1G"),
            ("1..1k:1", "these are 1000 rates: use at most 200"),
        ];
        for (text, error) in cases {
            assert_eq!(parse_rates(text).unwrap_err().to_string(), error, "{text}");
        }
    }
}
