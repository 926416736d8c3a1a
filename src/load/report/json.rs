//! The report for programs. Its keys are a contract: fields are added, never renamed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Quantile, Report, Throughput};
use crate::cpus;
use crate::load::clock::nanos;
use crate::load::config::{Load, Server};
use crate::load::{Finding, Totals};

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-load/1";

/// The report as one JSON object, ended by a line feed.
pub fn json(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(&Document::from(report))
        .expect("the document holds strings and finite numbers only");
    text.push('\n');
    text
}

/// The whole report.
#[derive(Serialize)]
pub(in crate::load) struct Document<'a> {
    schema: &'static str,
    target: Target<'a>,
    config: Config<'a>,
    host: Host<'a>,
    totals: Totals,
    throughput: Throughput,
    latency_ns: LatencyNs,
    server_cpu: Option<ServerCpu>,
    verdict: Verdict<'a>,
}

/// What was measured.
#[derive(Serialize)]
pub(in crate::load) struct Target<'a> {
    name: &'a str,
    address: String,
    embedded: bool,
}

/// How a measurement was made.
#[derive(Serialize)]
pub(in crate::load) struct Config<'a> {
    #[serde(rename = "loop")]
    loop_kind: &'static str,
    protocol: &'static str,
    connections: usize,
    ramp_up_ns: u64,
    reconnect: Option<u64>,
    sources: &'a [IpAddr],
    /// Null where there are several.
    size_bytes: Option<usize>,
    sizes: String,
    duration_ns: u64,
    warmup_ns: u64,
    rate_per_s: Option<u64>,
    arrival: Option<&'static str>,
    depth: usize,
    threads: usize,
    cpus: &'a [usize],
    server_cpus: Option<&'a [usize]>,
    seed: u64,
}

#[derive(Serialize)]
struct Host<'a> {
    #[serde(flatten)]
    machine: Machine<'a>,
    generator_cpu_ns_per_message: Option<f64>,
    generator_cpu_share: Option<f64>,
    generator_busy_share: Option<f64>,
    generator_waited_share: Option<f64>,
    stolen_ns: Option<u64>,
    hiccup_ns: Percentiles,
}

/// On what it was made.
#[derive(Serialize)]
pub(in crate::load) struct Machine<'a> {
    kernel: &'a str,
    cpu_model: Option<&'a str>,
    cpus: usize,
    affinity: String,
    online: Option<&'a str>,
    clock_source: Option<&'a str>,
    governors: &'a [String],
    load_average: Option<f64>,
    command_line: &'a [String],
    version: &'static str,
}

#[derive(Serialize)]
struct LatencyNs {
    service: Percentiles,
    response: Option<Percentiles>,
    send_lag: Option<Percentiles>,
    connect: Option<Percentiles>,
}

/// A histogram without samples has no smallest, no mean and no largest either.
#[derive(Serialize)]
pub(super) struct Percentiles {
    count: u64,
    min: Option<u64>,
    mean: Option<f64>,
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    p99_9: Option<u64>,
    p99_99: Option<u64>,
    max: Option<u64>,
}

#[derive(Serialize)]
struct ServerCpu {
    cpu_ns_per_message: f64,
}

#[derive(Serialize)]
struct Verdict<'a> {
    valid: bool,
    reasons: &'a [String],
    warnings: &'a [String],
    endings: &'a BTreeMap<String, u64>,
    assertions: &'a [Finding],
    interrupted: bool,
    measured_ns: u64,
    rate_reached: bool,
}

impl<'a> From<&'a Report> for Document<'a> {
    fn from(report: &'a Report) -> Self {
        let open_loop = report.latency.open_loop.as_ref();
        Self {
            schema: SCHEMA,
            target: Target::from(report),
            config: Config::from(&report.config),
            host: Host::from(report),
            totals: report.totals,
            throughput: report.throughput,
            latency_ns: LatencyNs {
                service: Percentiles::from(&report.latency.service),
                response: open_loop.map(|latency| Percentiles::from(&latency.response)),
                send_lag: open_loop.map(|latency| Percentiles::from(&latency.send_lag)),
                connect: report.latency.connect.as_ref().map(Percentiles::from),
            },
            server_cpu: report
                .server_cpu_ns_per_message
                .map(|cpu_ns_per_message| ServerCpu { cpu_ns_per_message }),
            verdict: Verdict {
                valid: report.verdict.is_valid(),
                reasons: &report.verdict.reasons,
                warnings: &report.verdict.warnings,
                endings: &report.endings,
                assertions: &report.findings,
                interrupted: report.was_interrupted,
                measured_ns: nanos(report.measured),
                rate_reached: report.verdict.is_rate_reached,
            },
        }
    }
}

impl<'a> From<&'a Report> for Target<'a> {
    fn from(report: &'a Report) -> Self {
        Self {
            name: &report.config.target.name,
            address: report.address.to_string(),
            embedded: matches!(report.config.server, Server::Embedded { .. }),
        }
    }
}

impl<'a> From<&'a Report> for Host<'a> {
    fn from(report: &'a Report) -> Self {
        Self {
            machine: Machine::from(&report.host),
            generator_cpu_ns_per_message: report.generator_cpu_ns_per_message,
            generator_cpu_share: report.generator_cpu_share,
            generator_busy_share: report.generator_busy_share,
            generator_waited_share: report.machine.generator_waited_share,
            stolen_ns: report.machine.stolen_ns,
            hiccup_ns: Percentiles::from(&report.machine.hiccup),
        }
    }
}

impl<'a> Config<'a> {
    /// For runs whose rates differ.
    pub(in crate::load) fn without_rate(self) -> Self {
        Self { rate_per_s: None, ..self }
    }

    /// For a configuration that does not say where the server is.
    pub(in crate::load) fn with_server_on(self, cpus: &'a [usize]) -> Self {
        Self { server_cpus: Some(cpus), ..self }
    }
}

impl<'a> From<&'a crate::load::Host> for Machine<'a> {
    fn from(host: &'a crate::load::Host) -> Self {
        Self {
            kernel: &host.kernel,
            cpu_model: host.cpu_model.as_deref(),
            cpus: host.cpus.len(),
            affinity: cpus::format_list(&host.cpus),
            online: host.online.as_deref(),
            clock_source: host.clock_source.as_deref(),
            governors: &host.governors,
            load_average: host.load_average,
            command_line: &host.command_line,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl<'a> From<&'a crate::load::Config> for Config<'a> {
    fn from(config: &'a crate::load::Config) -> Self {
        let (loop_kind, rate_per_s, arrival) = match config.load {
            Load::Closed => ("closed", None, None),
            Load::Open { rate, arrival } => ("open", Some(rate), Some(arrival.name())),
        };
        Self {
            loop_kind,
            protocol: config.protocol.name(),
            connections: config.connections,
            ramp_up_ns: nanos(config.ramp_up),
            reconnect: config.reconnect,
            sources: &config.sources,
            size_bytes: config.sizes.only(),
            sizes: config.sizes.to_string(),
            duration_ns: nanos(config.duration),
            warmup_ns: nanos(config.warmup),
            rate_per_s,
            arrival,
            depth: config.depth,
            threads: config.threads,
            cpus: &config.cpus,
            server_cpus: match &config.server {
                Server::External => None,
                Server::Started { cpus, .. } | Server::Embedded { cpus, .. } => Some(cpus),
            },
            seed: config.seed,
        }
    }
}

impl From<&Histogram<u64>> for Percentiles {
    fn from(histogram: &Histogram<u64>) -> Self {
        let is_empty = histogram.is_empty();
        Self {
            count: histogram.len(),
            min: (!is_empty).then(|| histogram.min()),
            mean: (!is_empty).then(|| histogram.mean()),
            p50: Quantile::P50.of(histogram),
            p90: Quantile::P90.of(histogram),
            p99: Quantile::P99.of(histogram),
            p99_9: Quantile::P99_9.of(histogram),
            p99_99: Quantile::P99_99.of(histogram),
            max: (!is_empty).then(|| histogram.max()),
        }
    }
}
