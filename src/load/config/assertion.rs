//! Assertions on a measurement: `p99<200us`. Decides whether numbers meet them.

use std::str::FromStr;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::quantile::Quantile;
use crate::load::error::ConfigError;
use crate::units::{parse_count, parse_latency};

/// A bound on a metric of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion {
    /// As the user wrote it, for the report.
    pub name: String,
    /// The metric that is bounded.
    pub metric: Metric,
    /// How the metric must compare with the limit.
    pub comparison: Comparison,
    /// The bound: nanoseconds for a latency, messages a second for the throughput.
    pub limit: u64,
}

/// A metric of a run. Latencies are `response` in open loop, `service` in closed loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The latency that this share of the messages does not exceed.
    Latency(Quantile),
    /// The mean latency.
    Mean,
    /// The smallest latency.
    Min,
    /// The largest latency.
    Max,
    /// Replies a second.
    Throughput,
}

/// How a metric must compare with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// An assertion, what was measured, and whether it holds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AssertionResult {
    /// As the user wrote it.
    pub assertion: String,
    /// The measured value.
    #[schemars(with = "Option<f64>")]
    pub measured: Measured,
    /// True if that is what was asserted.
    pub met: bool,
}

/// A metric's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measured {
    /// A latency in nanoseconds, rounded.
    Ns(u64),
    /// A rate.
    PerSecond(f64),
    /// Too few samples to say.
    Withheld,
}

impl Assertion {
    /// Returns whether it would hold as well had response times been shorter and replies more.
    pub(crate) fn holds_sooner(&self) -> bool {
        self.comparison.is_upper() != matches!(self.metric, Metric::Throughput)
    }

    /// Compares what was measured with the limit. What is withheld meets nothing. The largest
    /// latency is the largest that was seen, that of messages from before the window included.
    pub(crate) fn check(
        &self,
        latency: &Histogram<u64>,
        carried_over_ns: u64,
        messages_per_s: f64,
    ) -> AssertionResult {
        let measured = match self.metric.of_latency(latency) {
            Some(Measured::Ns(ns)) if self.metric == Metric::Max => {
                Measured::Ns(ns.max(carried_over_ns))
            }
            Some(measured) => measured,
            None => Measured::PerSecond(messages_per_s),
        };
        AssertionResult { assertion: self.name.clone(), measured, met: self.is_met_by(measured) }
    }

    /// Returns whether it would hold had the latencies been these.
    pub(crate) fn would_hold(&self, latency: &Histogram<u64>) -> bool {
        self.metric.of_latency(latency).is_some_and(|measured| self.is_met_by(measured))
    }

    fn is_met_by(&self, measured: Measured) -> bool {
        match measured {
            Measured::Ns(ns) => self.comparison.holds(ns as f64, self.limit as f64),
            Measured::PerSecond(rate) => self.comparison.holds(rate, self.limit as f64),
            Measured::Withheld => false,
        }
    }
}

impl Metric {
    /// Messages that must be measured for it to be told.
    pub fn samples_needed(self) -> u64 {
        match self {
            Self::Latency(quantile) => quantile.samples_needed(),
            Self::Mean | Self::Min | Self::Max | Self::Throughput => 1,
        }
    }

    /// The metric's value in these latencies; `None` if it is none of latency.
    fn of_latency(self, latency: &Histogram<u64>) -> Option<Measured> {
        let ns = match self {
            Self::Throughput => return None,
            Self::Latency(quantile) => quantile.of(latency),
            _ if latency.is_empty() => None,
            Self::Mean => Some(latency.mean().round() as u64),
            Self::Min => Some(latency.min()),
            Self::Max => Some(latency.max()),
        };
        Some(ns.map_or(Measured::Withheld, Measured::Ns))
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

    /// Returns whether it is met by what is small.
    pub fn is_upper(self) -> bool {
        matches!(self, Self::Below | Self::AtMost)
    }

    pub(crate) fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
        }
    }
}

impl Measured {
    /// The number by which it stands beside others of its kind; what is withheld comes last.
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Ns(ns) => ns as f64,
            Self::PerSecond(rate) => rate,
            Self::Withheld => f64::INFINITY,
        }
    }
}

/// A number, or null where it is withheld.
impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ns(ns) => serializer.serialize_u64(*ns),
            Self::PerSecond(rate) => serializer.serialize_f64(*rate),
            Self::Withheld => serializer.serialize_none(),
        }
    }
}

impl FromStr for Assertion {
    type Err = ConfigError;

    /// Reads a metric, a comparison and a limit with its unit, as in `p99<200us` and
    /// `throughput>=100k`; blanks between them do not matter.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let Some((metric, comparison, limit)) = Comparison::split(text) else {
            let metric = text.split('=').next().unwrap_or_default().trim();
            if text.contains('=') {
                // Of an unknown metric that is the greater mistake.
                metric.parse::<Metric>()?;
            }
            return Err(ConfigError(
                "it compares nothing: use <, <=, > or >=, as in 'p99<200us' (in quotes)".to_owned(),
            ));
        };
        let metric: Metric = metric.parse()?;
        let limit_in_unit = match metric {
            Metric::Throughput => parse_count(limit.strip_suffix("/s").unwrap_or(limit)),
            _ => parse_latency(limit).map(|limit| limit.as_nanos() as u64),
        };
        match limit_in_unit {
            Ok(limit) => Ok(Self { name: text.trim().to_owned(), metric, comparison, limit }),
            Err(why) => Err(ConfigError(format!("its limit {limit:?} is not one: {why}"))),
        }
    }
}

impl FromStr for Metric {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "mean" => Ok(Self::Mean),
            "min" => Ok(Self::Min),
            "max" => Ok(Self::Max),
            "throughput" => Ok(Self::Throughput),
            _ => match text.strip_prefix('p') {
                Some(percent) if percent.starts_with(|c: char| c.is_ascii_digit()) => {
                    text.parse().map(Self::Latency)
                }
                _ => Err(ConfigError(not_a_metric(text))),
            },
        }
    }
}

/// The message about a metric of another name, or of none.
fn not_a_metric(text: &str) -> String {
    let meant = match text {
        "errors" | "lost" | "corrupted" | "failures" | "error_rate" => {
            return format!(
                "{text:?} is not a metric: a run is INVALID (exit code 4) as soon as one message is \
                 lost or corrupted, so it needs no assertion"
            );
        }
        "rps" | "qps" | "rate" | "reqs" | "requests" => Some("throughput"),
        "median" | "med" => Some("p50"),
        "avg" | "average" | "latency" => Some("mean"),
        _ => None,
    };
    let percent = text.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
    let percentile = percent.map(|percent| format!("p{percent}"));
    let meant = percentile.as_deref().or(meant);
    let meant = meant.map_or_else(String::new, |meant| format!("write {meant}; "));
    format!(
        "{text:?} is not a metric: {meant}use p50, p99, p99.9 or another percentile, mean, min, max \
         or throughput"
    )
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
            ("p(95)<1ms", "\"p(95)\" is not a metric: write p95; use p50"),
            ("p<1ms", "\"p\" is not a metric: use p50"),
            ("P99<1ms", "\"P99\" is not a metric: use p50"),
            ("median<1ms", "\"median\" is not a metric: write p50; use p50"),
            ("errors==0", "\"errors\" is not a metric: a run is INVALID (exit code 4) as soon as"),
            ("p100<1ms", "p100 is not a percentile: it must be above p0 and below p100"),
            ("p0<1ms", "p0 is not a percentile"),
            ("p99.9999999<1ms", "p99.9999999 is not a percentile"),
            ("p9x<1ms", "p9x is not a percentile"),
            (
                "p99<200",
                "its limit \"200\" is not one: it has no unit: use ns, us, ms, s, m or h, as in 200us",
            ),
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
