//! Assertions on a measurement: `p99<200us`. Decides whether numbers meet them.

mod text;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::quantile::Quantile;

pub use text::AssertionError;

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
