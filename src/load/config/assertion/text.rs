//! Assertions as they are written on the command line: `p99<200us`, `throughput>=100k`.

use std::str::FromStr;

use super::{Assertion, Comparison, Metric};
use crate::load::config::quantile::Quantile;
use crate::units::{UnitError, parse_count, parse_duration};

/// Why a text is not an assertion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// There is no comparison in it.
    #[error("it compares nothing: use <, <=, > or >=, as in 'p99<200us' (in quotes)")]
    NoComparison,
    /// The metric is none that a report has.
    #[error(
        "{0:?} is not a metric: use p50, p99, p99.9 or another percentile, mean, min, max or \
         throughput"
    )]
    UnknownMetric(String),
    /// The percentile is outside 0 to 100, or too fine.
    #[error(
        "{0} is not a percentile: it must be above p0 and below p100, with at most six decimals; \
         the largest latency is max"
    )]
    NoPercentile(String),
    /// The limit is no number with a unit.
    #[error("its limit {text:?} is not one: {source}")]
    Limit {
        /// The words behind the comparison.
        text: String,
        /// The error in it.
        source: UnitError,
    },
}

impl FromStr for Assertion {
    type Err = AssertionError;

    /// Reads a metric, a comparison and a limit with its unit; blanks between them do not matter.
    fn from_str(text: &str) -> Result<Self, AssertionError> {
        let (metric, comparison, limit) =
            Comparison::split(text).ok_or(AssertionError::NoComparison)?;
        let metric = parse_metric(metric)?;
        let limit_in_unit = match metric {
            Metric::Throughput => parse_count(limit.strip_suffix("/s").unwrap_or(limit)),
            _ => parse_duration(limit).map(|limit| limit.as_nanos() as u64),
        };
        match limit_in_unit {
            Ok(limit) => Ok(Self { name: text.trim().to_owned(), metric, comparison, limit }),
            Err(source) => Err(AssertionError::Limit { text: limit.to_owned(), source }),
        }
    }
}

impl Comparison {
    /// Splits a text at the first comparison: what stands before it, and what behind.
    pub(crate) fn split(text: &str) -> Option<(&str, Self, &str)> {
        /// Longest first: `<=` begins with `<`.
        const SIGNS: [(&str, Comparison); 4] = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Below),
            (">", Comparison::Above),
        ];
        let (before, rest) = text.split_at(text.find(['<', '>'])?);
        let (sign, comparison) = SIGNS.into_iter().find(|(sign, _)| rest.starts_with(sign))?;
        Some((before.trim(), comparison, rest[sign.len()..].trim()))
    }
}

fn parse_metric(text: &str) -> Result<Metric, AssertionError> {
    match text {
        "mean" => Ok(Metric::Mean),
        "min" => Ok(Metric::Min),
        "max" => Ok(Metric::Max),
        "throughput" => Ok(Metric::Throughput),
        _ => match text.strip_prefix('p') {
            Some(percent) if percent.starts_with(|c: char| c.is_ascii_digit()) => {
                let quantile = parse_percent(percent).and_then(Quantile::from_micropercents);
                quantile
                    .map(Metric::Latency)
                    .ok_or_else(|| AssertionError::NoPercentile(text.to_owned()))
            }
            _ => Err(AssertionError::UnknownMetric(text.to_owned())),
        },
    }
}

/// Percents with at most six decimals, in millionths.
fn parse_percent(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(decimals) || decimals.len() > 6 {
        return None;
    }
    format!("{whole}{decimals:0<6}").parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let percentile =
            |millionths| Metric::Latency(Quantile::from_micropercents(millionths).unwrap());
        let cases = [
            ("p99<200us", percentile(99_000_000), Comparison::Below, 200_000),
            (" p99.9 <= 1.5ms ", percentile(99_900_000), Comparison::AtMost, 1_500_000),
            ("p99.999999<1s", percentile(99_999_999), Comparison::Below, 1_000_000_000),
            ("p0.5>1us", percentile(500_000), Comparison::Above, 1_000),
            ("mean<=50µs", Metric::Mean, Comparison::AtMost, 50_000),
            ("min>0ns", Metric::Min, Comparison::Above, 0),
            ("max < 1m", Metric::Max, Comparison::Below, 60_000_000_000),
            ("throughput>=100k", Metric::Throughput, Comparison::AtLeast, 100_000),
            ("throughput > 2M/s", Metric::Throughput, Comparison::Above, 2_000_000),
        ];
        for (text, metric, comparison, limit) in cases {
            let name = text.trim().to_owned();
            let expected = Assertion { name, metric, comparison, limit };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_cause_and_fix() {
        let cases = [
            ("", "it compares nothing: use <, <=, > or >="),
            ("p99", "it compares nothing: use <, <=, > or >="),
            ("p99=1ms", "it compares nothing: use <, <=, > or >="),
            ("<1ms", "\"\" is not a metric: use p50"),
            ("p<1ms", "\"p\" is not a metric: use p50"),
            ("P99<1ms", "\"P99\" is not a metric: use p50"),
            ("median<1ms", "\"median\" is not a metric: use p50"),
            ("p100<1ms", "p100 is not a percentile: it must be above p0 and below p100"),
            ("p0<1ms", "p0 is not a percentile"),
            ("p99.9999999<1ms", "p99.9999999 is not a percentile"),
            ("p9x<1ms", "p9x is not a percentile"),
            ("p99<200", "its limit \"200\" is not one: it has no unit: use ns, us, ms, s, m or h"),
            ("p99<", "its limit \"\" is not one: it must begin with a number"),
            ("p99<<1ms", "its limit \"<1ms\" is not one"),
            ("p99=<1ms", "p99= is not a percentile"),
            ("throughput>5ms", "its limit \"5ms\" is not one: \"ms\" is not a unit of it"),
        ];
        for (text, words) in cases {
            let error = text.parse::<Assertion>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC*", parts in "[pmax0-9.]{0,20}[<>=]{1,3}[0-9a-z. ]{0,20}") {
            let _ = (text.parse::<Assertion>(), parts.parse::<Assertion>());
        }
    }
}
