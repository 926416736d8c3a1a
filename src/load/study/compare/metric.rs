//! The metric by which two servers are compared.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;

use crate::load::config::quantile::Quantile;
use crate::load::format::{count, nanos};
use crate::load::report::Report;

/// The metric by which two servers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema, ValueEnum)]
#[serde(into = "MetricReport")]
pub enum Metric {
    /// Messages a second.
    Throughput,
    /// CPU time of the server per message.
    Cpu,
    /// Median latency: response with --rate, else service.
    P50,
    /// Latency that 99 % do not exceed.
    P99,
    /// Latency that 99.9 % do not exceed.
    #[value(name = "p99.9")]
    P99_9,
}

/// A metric in a report.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Metric")]
struct MetricReport {
    name: &'static str,
    unit: &'static str,
    better: &'static str,
}

impl From<Metric> for MetricReport {
    fn from(metric: Metric) -> Self {
        let Words { name, unit, better, .. } = metric.words();
        Self { name, unit, better: better.name() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
}

impl Better {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::More => "more",
            Self::Less => "less",
        }
    }
}

/// A metric in words.
struct Words {
    /// As on the command line.
    name: &'static str,
    description: &'static str,
    /// The name of what its numbers count.
    unit: &'static str,
    better: Better,
}

impl Metric {
    fn words(self) -> Words {
        let words = |name, description, unit, better| Words { name, description, unit, better };
        let less = |name, description, unit| words(name, description, unit, Better::Less);
        match self {
            Self::Throughput => words("throughput", "throughput", "messages/s", Better::More),
            Self::Cpu => less("cpu", "CPU time per message", "ns/message"),
            Self::P50 => less("p50", "p50 latency", "ns"),
            Self::P99 => less("p99", "p99 latency", "ns"),
            Self::P99_9 => less("p99.9", "p99.9 latency", "ns"),
        }
    }

    pub(in crate::load) fn description(self) -> &'static str {
        self.words().description
    }

    pub(super) fn better(self) -> Better {
        self.words().better
    }

    pub(super) fn format(self, value: f64) -> String {
        match self {
            Self::Throughput => format!("{}/s", count(value.round() as u64)),
            Self::Cpu | Self::P50 | Self::P99 | Self::P99_9 => nanos(value.round() as u64),
        }
    }

    /// Its value in a run, or why the run has none that may be used.
    pub(super) fn of(self, report: &Report) -> Result<f64, String> {
        if !report.verdict.valid {
            return Err(report.verdict.reasons.join("; "));
        }
        let value = match self {
            Self::Throughput => report.throughput.messages_per_s,
            Self::Cpu => {
                report
                    .server_cpu
                    .ok_or("the CPU time of the server cannot be read from /proc")?
                    .cpu_ns_per_message
            }
            Self::P50 => self.latency(report, Quantile::P50)?,
            Self::P99 => self.latency(report, Quantile::P99)?,
            Self::P99_9 => self.latency(report, Quantile::P99_9)?,
        };
        // Ratios need something to divide by.
        if value > 0.0 { Ok(value) } else { Err(format!("its {} is zero", self.words().name)) }
    }

    fn latency(self, report: &Report, quantile: Quantile) -> Result<f64, String> {
        let histogram = report.main_latency();
        quantile.of(histogram).map(|ns| ns as f64).ok_or_else(|| {
            format!(
                "its {} is withheld, with fewer than ten of {} samples beyond it; use a longer \
                 --duration",
                self.words().name,
                count(histogram.len()),
            )
        })
    }
}
