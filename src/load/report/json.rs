//! The report for programs. Its keys are a contract: fields are added, never renamed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use super::format::rfc3339;
use super::schema::{json_of, schema_of};
use super::{Quantile, Report, Throughput};
use crate::cpus;
use crate::load::clock::nanos;
use crate::load::config::{Load, Server};
use crate::load::recorder::CarriedOver;
use crate::load::{Finding, Totals};

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-load/1";

/// The report as one JSON object, ended by a line feed.
pub fn json(report: &Report) -> String {
    json_of(&Document::from(report))
}

/// The JSON Schema (draft 2020-12) of that object, ended by a line feed.
pub fn json_schema() -> String {
    schema_of::<Document<'static>>()
}

/// One measurement by `ringback-load`. Times are in nanoseconds unless a key says otherwise; keys
/// may be added, none is renamed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Run", title = "Report of ringback-load")]
pub(in crate::load) struct Document<'a> {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// What was measured.
    target: Target<'a>,
    /// How.
    config: Config<'a>,
    /// On what, and what it cost there.
    host: Host<'a>,
    /// Counters of the whole run, warm-up and drain included.
    totals: Totals,
    /// What went on in the measured window, over its length.
    throughput: Throughput,
    /// Latencies of the messages intended in the measured window, in nanoseconds.
    latency_ns: LatencyNs,
    /// Messages that were due before the window and not answered before it.
    carried_over: CarriedOver,
    /// CPU time of the server, where its threads are known.
    server_cpu: Option<ServerCpu>,
    /// Whether the numbers may be used.
    verdict: Verdict<'a>,
}

/// What was measured.
#[derive(Serialize, JsonSchema)]
pub(in crate::load) struct Target<'a> {
    /// As it was named on the command line.
    name: &'a str,
    /// The address that was connected to.
    address: String,
    /// Whether the server ran in the generator's process.
    embedded: bool,
}

/// How a measurement was made.
#[derive(Serialize, JsonSchema)]
pub(in crate::load) struct Config<'a> {
    /// `closed`: each connection sends when it has been answered. `open`: the clock decides.
    #[serde(rename = "loop")]
    #[schemars(extend("enum" = ["closed", "open"]))]
    loop_kind: &'static str,
    /// What the server speaks.
    #[schemars(extend("enum" = ["raw", "framed"]))]
    protocol: &'static str,
    /// Connections that there were to be at a time.
    connections: usize,
    /// Over how long they were made.
    ramp_up_ns: u64,
    /// Messages that a connection carried before it was replaced; null where none is.
    reconnect: Option<u64>,
    /// Addresses that connections were made from; none where the kernel chose.
    sources: &'a [IpAddr],
    /// Bytes of a message; null where there are several sizes.
    size_bytes: Option<usize>,
    /// The sizes of messages as on the command line.
    sizes: String,
    /// Planned length of the measured window.
    duration_ns: u64,
    /// Load before the measured window.
    warmup_ns: u64,
    /// Open loop: messages a second over all connections.
    rate_per_s: Option<u64>,
    /// Open loop: how messages are spread over time.
    #[schemars(extend("enum" = ["uniform", "poisson", null]))]
    arrival: Option<&'static str>,
    /// Most messages in flight on a connection.
    depth: usize,
    /// How long replies were awaited after the measured window.
    timeout_ns: u64,
    /// Whether one message was exchanged before the load.
    preflight: bool,
    /// Generator threads.
    threads: usize,
    /// CPUs that they were pinned to; none if they were not.
    cpus: &'a [usize],
    /// CPUs that the server was pinned to, where that is known.
    server_cpus: Option<&'a [usize]>,
    /// What chose the bytes that were sent, and all else that is left to chance.
    seed: u64,
}

#[derive(Serialize, JsonSchema)]
struct Host<'a> {
    #[serde(flatten)]
    machine: Machine<'a>,
    /// CPU time of the generator's threads for each message in the measured window.
    generator_cpu_ns_per_message: Option<f64>,
    /// The same as a share of the time of the CPUs that they could have used, 0 to 1.
    generator_cpu_share: Option<f64>,
    /// Open loop: share of the window in which the busiest generator thread was not waiting.
    generator_busy_share: Option<f64>,
    /// Share of the window in which a generator thread was ready and had no CPU.
    generator_waited_share: Option<f64>,
    /// Time in the window that a hypervisor gave to others, where the kernel tells.
    stolen_ns: Option<u64>,
    /// The machine's own stalls: by how much a thread overslept that slept for a millisecond again
    /// and again, each weighed by its length.
    hiccup_ns: Percentiles,
}

/// On what it was made.
#[derive(Serialize, JsonSchema)]
pub(in crate::load) struct Machine<'a> {
    /// Release of the kernel.
    kernel: &'a str,
    /// Name of the CPU, where the kernel tells it.
    cpu_model: Option<&'a str>,
    /// How many CPUs the process may use.
    cpus: usize,
    /// Which CPUs these are.
    affinity: String,
    /// Which CPUs the machine has.
    online: Option<&'a str>,
    /// What the kernel reads the time from.
    clock_source: Option<&'a str>,
    /// Frequency governors of the CPUs, where they are visible.
    governors: &'a [String],
    /// Load average of the last minute when the run began.
    load_average: Option<f64>,
    /// The program and its arguments.
    command_line: &'a [String],
    /// When the measurement began, by the machine's clock.
    #[schemars(extend("format" = "date-time"))]
    began: Option<String>,
    /// Version of ringback-load.
    version: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct LatencyNs {
    /// From the actual send to the reply.
    service: Percentiles,
    /// Open loop: from the intended send to the reply.
    response: Option<Percentiles>,
    /// Open loop: from the intended send to the actual one.
    send_lag: Option<Percentiles>,
    /// Where connections are replaced: from the SYN until it is known to be taken.
    connect: Option<Percentiles>,
}

/// A distribution. Percentiles with fewer than ten samples beyond them are null. A distribution
/// without samples has no smallest, no mean and no largest either.
#[derive(Serialize, JsonSchema)]
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

#[derive(Serialize, JsonSchema)]
struct ServerCpu {
    /// For each message in the measured window.
    cpu_ns_per_message: f64,
    /// Share of the window that its threads waited for a CPU that others had, of the one that waited
    /// most; null where it cannot be known.
    waited_share: Option<f64>,
    /// The longest of their waits was at least so long.
    longest_wait_ns: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Verdict<'a> {
    /// Whether the numbers may be used.
    valid: bool,
    /// Why not: a sentence for each thing that is wrong.
    reasons: &'a [String],
    /// What makes the numbers doubtful without making them wrong.
    warnings: &'a [String],
    /// How many connections ended before the run did, by kind.
    endings: &'a BTreeMap<String, u64>,
    /// What became of the assertions, in their order.
    assertions: &'a [Finding],
    /// Whether the run was ended before its time.
    interrupted: bool,
    /// Length of the window that was measured: as planned, or less if it was interrupted.
    measured_ns: u64,
    /// Open loop: whether enough of the offered rate was answered in time; true in closed loop.
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
            carried_over: report.carried_over,
            server_cpu: report.server_cpu_ns_per_message.map(|cpu_ns_per_message| ServerCpu {
                cpu_ns_per_message,
                waited_share: report.server_waited_share,
                longest_wait_ns: report.server_longest_wait_ns,
            }),
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
            began: rfc3339(host.began),
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
            timeout_ns: nanos(config.timeout),
            preflight: config.preflight,
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
