//! What a JSON report tells a picture.
//!
//! A run that has just ended is told through the same form, so that its picture and one drawn from
//! its saved report say the same.

use serde::Deserialize;
use serde_json::Value;

use super::super::chart::{PercentilePoint, PercentileSeries};
use super::super::report::{self, Report, format};
use super::super::watch::Tag;
use super::run::explain;
use super::{ReadError, Run, Saved, saved, sweep};

/// The kinds of reports that can be drawn.
const RUN: &str = report::SCHEMA;
const SWEEP: &str = super::super::sweep::report::SCHEMA;
const SEARCH: &str = super::super::find_max::report::SCHEMA;

/// Reads a report.
pub(super) fn read(text: &str) -> Result<Saved, ReadError> {
    let document: Value = serde_json::from_str(text)?;
    match document["schema"].as_str() {
        Some(RUN) => saved::run(Document::deserialize(document)?.into()),
        Some(SWEEP | SEARCH) => sweep::read(document),
        other => Err(ReadError::UnknownSchema {
            found: other.map_or("missing".to_owned(), |schema| format!("{schema:?}")),
            known: [RUN, SWEEP, SEARCH].join(", "),
        }),
    }
}

/// A run that has just ended, with its whole histograms.
pub(super) fn of_report(report: &Report) -> Run {
    let document: Document =
        serde_json::from_str(&report::json(report)).expect("it was written by its own schema");
    let (service, open_loop) = (&report.latency.service, &report.latency.open_loop);
    let mut latencies = vec![PercentileSeries::of(explain(Tag::Service.name()), service)];
    if let Some(open_loop) = open_loop {
        latencies
            .insert(0, PercentileSeries::of(explain(Tag::Response.name()), &open_loop.response));
    }
    Run { latencies, ..document.into() }
}

/// The part of a report that a picture shows.
#[derive(Deserialize)]
pub(super) struct Document {
    target: Target,
    config: Config,
    host: Host,
    throughput: Throughput,
    latency_ns: LatencyNs,
    verdict: Verdict,
}

#[derive(Deserialize)]
pub(super) struct Target {
    name: String,
    embedded: bool,
}

#[derive(Deserialize)]
pub(super) struct Config {
    #[serde(rename = "loop")]
    loop_kind: String,
    protocol: String,
    connections: u64,
    size_bytes: Option<u64>,
    #[serde(default)]
    sizes: String,
    rate_per_s: Option<u64>,
    depth: u64,
}

#[derive(Deserialize)]
pub(super) struct Host {
    kernel: String,
    cpu_model: Option<String>,
    cpus: u64,
    /// Missing in reports of the first versions.
    began: Option<String>,
}

#[derive(Deserialize)]
struct Throughput {
    messages_per_s: f64,
}

#[derive(Deserialize)]
struct LatencyNs {
    service: Percentiles,
    response: Option<Percentiles>,
}

#[derive(Deserialize)]
pub(super) struct Percentiles {
    count: u64,
    min: Option<u64>,
    pub(super) p50: Option<u64>,
    p90: Option<u64>,
    pub(super) p99: Option<u64>,
    p99_9: Option<u64>,
    p99_99: Option<u64>,
    max: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Verdict {
    valid: bool,
    reasons: Vec<String>,
}

impl From<Document> for Run {
    fn from(document: Document) -> Self {
        let Document { target, config, host, throughput, latency_ns, verdict } = document;
        let response = latency_ns.response.map(|response| response.series(Tag::Response));
        let service = latency_ns.service.series(Tag::Service);
        let facts = [
            config.load(),
            config.messages(),
            format!("{}/s answered", format::count(throughput.messages_per_s.round() as u64)),
        ];
        Self {
            target: Some(target.name()),
            facts: facts.into_iter().chain(host.facts()).collect(),
            warning: verdict.warning(),
            latencies: response.into_iter().chain([service]).collect(),
            timeline: None,
        }
    }
}

impl Document {
    /// The one that matters most.
    pub(super) fn main_latency(&self) -> &Percentiles {
        self.latency_ns.response.as_ref().unwrap_or(&self.latency_ns.service)
    }

    pub(super) fn messages_per_s(&self) -> f64 {
        self.throughput.messages_per_s
    }
}

impl Target {
    pub(super) fn name(self) -> String {
        if self.embedded { "the embedded server".to_owned() } else { self.name }
    }
}

impl Verdict {
    pub(super) fn warning(&self) -> Option<String> {
        (!self.valid).then(|| format!("INVALID: {}", self.reasons.join("; ")))
    }
}

impl Config {
    pub(super) fn load(&self) -> String {
        match self.rate_per_s {
            Some(rate) => format!("open loop at {}/s", format::count(rate)),
            None => format!("{} loop, {} in flight each", self.loop_kind, self.depth),
        }
    }

    pub(super) fn messages(&self) -> String {
        let size = match self.size_bytes {
            Some(bytes) => format::bytes(bytes as f64),
            None => format!("{} B", self.sizes),
        };
        let connections = format::count(self.connections);
        format!("{connections} connections × {size}, {}", self.protocol)
    }
}

impl Host {
    /// What it is, and when it was measured.
    pub(super) fn facts(&self) -> impl Iterator<Item = String> {
        let model = self.cpu_model.as_deref().unwrap_or("CPU of unknown model");
        let host = format!("Linux {}, {} × {model}", self.kernel, self.cpus);
        let began = self.began.as_ref().and_then(|began| humantime::parse_rfc3339(began).ok());
        [host].into_iter().chain(began.and_then(format::minute))
    }
}

impl Percentiles {
    /// The percentiles that are known; what was withheld had fewer than ten samples beyond.
    fn series(&self, tag: Tag) -> PercentileSeries {
        let firm = [
            (0.0, self.min),
            (0.5, self.p50),
            (0.9, self.p90),
            (0.99, self.p99),
            (0.999, self.p99_9),
            (0.9999, self.p99_99),
        ];
        let firm = firm.into_iter().filter_map(|(quantile, latency_ns)| {
            Some(PercentilePoint { quantile, latency_ns: latency_ns?, is_firm: true })
        });
        let slowest = self.max.filter(|_| self.count > 0).map(|latency_ns| PercentilePoint {
            quantile: 1.0 - 1.0 / self.count as f64,
            latency_ns,
            is_firm: false,
        });
        PercentileSeries { name: explain(tag.name()), points: firm.chain(slowest).collect() }
    }
}
