//! The report of a run: measured, written as text, JSON and picture, and read back.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::target_name;
use crate::load::clock::nanos;
use crate::load::config::assertion::AssertionResult;
use crate::load::config::part::Part;
use crate::load::config::quantile::Quantile;
use crate::load::config::{self, Arrival, Load, Protocol, Server};
use crate::load::format::rfc3339_exact;
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::record::latencies::Latencies;
use crate::load::record::recorder::{CarriedOver, Totals};
use crate::load::record::transport::Transport;

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-load/1";

/// One measurement by `ringback-load`. Times are in nanoseconds unless a key says otherwise; keys
/// may be added, none is renamed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Run", title = "Report of ringback-load")]
pub struct Report {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The measured value.
    pub target: Target,
    /// How.
    pub config: Settings,
    /// On what, and what it cost there.
    pub host: HostUse,
    /// Counters of the whole run, warm-up and drain included.
    pub totals: Totals,
    /// Rates of the measured window.
    pub throughput: Throughput,
    /// Latencies of the messages intended in the measured window, in nanoseconds.
    pub latency_ns: LatencyNs,
    /// Messages that were due before the window and not answered before it.
    #[serde(default)]
    pub carried_over: CarriedOver,
    /// Repetitions of TCP.
    #[serde(default)]
    pub transport: Transport,
    /// CPU time of the server, where its threads are known.
    pub server_cpu: Option<ServerCpu>,
    /// True if the numbers may be used.
    pub verdict: Verdict,
    /// The resource that this host lacked to make the load, if it lacked one.
    #[serde(skip)]
    pub(in crate::load) generator_fault: Option<String>,
    /// The whole distributions behind `latency_ns`; empty in a report that was read back.
    #[serde(skip)]
    pub latency: Latencies,
}

impl Report {
    /// The latency that users feel: `response` in open loop, `service` in closed loop.
    pub fn main_latency(&self) -> &Histogram<u64> {
        match self.config.loop_kind {
            LoopKind::Open => &self.latency.response,
            LoopKind::Closed => &self.latency.service,
        }
    }

    /// The [main latency](Self::main_latency) that a share of the messages does not exceed; `None`
    /// where too few were measured to say, or the report was read back.
    pub fn latency(&self, quantile: Quantile) -> Option<Duration> {
        quantile.of(self.main_latency()).map(Duration::from_nanos)
    }
}

/// The measured value.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// As it was named on the command line.
    pub name: String,
    /// The address that was connected to.
    pub address: String,
    /// True if the server ran in the generator's process.
    pub embedded: bool,
}

impl Target {
    /// The server's name in a report.
    pub(in crate::load) fn shown_name(&self) -> &str {
        target_name(&self.name, self.embedded)
    }

    /// The server's name, for a title.
    pub(in crate::load) fn title(&self) -> &str {
        if self.embedded { "the embedded server" } else { &self.name }
    }
}

/// The pace of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoopKind {
    /// Each connection sends when it has been answered.
    Closed,
    /// The clock decides.
    Open,
}

/// How a measurement was made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Config")]
pub struct Settings {
    /// The pace of the messages.
    #[serde(rename = "loop")]
    pub loop_kind: LoopKind,
    /// The protocol of the server.
    pub protocol: Protocol,
    /// Connections that there were to be at a time, of all parts.
    pub connections: usize,
    /// Over how long they were made.
    pub ramp_up_ns: u64,
    /// Messages that a connection carried before it was replaced; null where none is.
    pub reconnect: Option<u64>,
    /// Addresses that connections were made from; none where the kernel chose.
    pub sources: Vec<String>,
    /// Bytes of a message; null where there are several sizes.
    pub size_bytes: Option<usize>,
    /// The sizes of messages as on the command line.
    pub sizes: String,
    /// Planned length of the measured window.
    pub duration_ns: u64,
    /// Load before the measured window.
    pub warmup_ns: u64,
    /// Open loop: messages a second over all connections, of all parts; null where several rates
    /// were measured.
    pub rate_per_s: Option<u64>,
    /// Open loop: how messages are spread over time.
    pub arrival: Option<Arrival>,
    /// Most messages in flight on a connection.
    pub depth: usize,
    /// How long replies were awaited after the measured window.
    #[serde(default)]
    pub timeout_ns: u64,
    /// True if one message was exchanged before the load.
    #[serde(default)]
    pub preflight: bool,
    /// The part of the run that this generator made; null where it made all.
    pub part: Option<Part>,
    /// When the warm-up was to begin; null where it began as soon as all connections were made.
    #[schemars(extend("format" = "date-time"))]
    pub start_at: Option<String>,
    /// Generator threads.
    pub threads: usize,
    /// CPUs that they were pinned to; none if they were not.
    pub cpus: Vec<usize>,
    /// CPUs that the server was pinned to, where that is known.
    pub server_cpus: Option<Vec<usize>>,
    /// Seed of the bytes that were sent, and of all else that is left to chance.
    pub seed: u64,
}

impl From<&config::Config> for Settings {
    fn from(config: &config::Config) -> Self {
        let (loop_kind, rate_per_s, arrival) = match config.load {
            Load::Closed => (LoopKind::Closed, None, None),
            Load::Open { rate, arrival } => (LoopKind::Open, Some(rate), Some(arrival)),
        };
        Self {
            loop_kind,
            protocol: config.protocol,
            connections: config.connections,
            ramp_up_ns: nanos(config.ramp_up),
            reconnect: config.reconnect,
            sources: config.sources.iter().map(ToString::to_string).collect(),
            size_bytes: config.sizes.only(),
            sizes: config.sizes.to_string(),
            duration_ns: nanos(config.duration),
            warmup_ns: nanos(config.warmup),
            rate_per_s,
            arrival,
            depth: config.depth,
            timeout_ns: nanos(config.timeout),
            preflight: config.preflight,
            part: config.part,
            start_at: config.start_at.map(rfc3339_exact),
            threads: config.threads,
            cpus: config.cpus.clone(),
            server_cpus: match &config.server {
                Server::External => None,
                Server::Started { cpus, .. } | Server::Embedded { cpus, .. } => Some(cpus.clone()),
            },
            seed: config.seed,
        }
    }
}

/// The generator's host, and what it did in the measured window.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HostUse {
    /// Its kind.
    #[serde(flatten)]
    pub host: Host,
    /// CPU time of the generator's threads for each message in the measured window.
    pub generator_cpu_ns_per_message: Option<f64>,
    /// CPU time of the generator's threads as a share of the time of the CPUs that they could have
    /// used, 0 to 1.
    pub generator_cpu_share: Option<f64>,
    /// Open loop: share of the window in which the busiest generator thread was not waiting for a
    /// reply or a message's time, 0 to 1. Polling is waiting.
    pub generator_busy_share: Option<f64>,
    /// Share of the window in which a generator thread was ready and had no CPU.
    pub generator_waited_share: Option<f64>,
    /// Time in the window that a hypervisor gave to others, where the kernel tells.
    pub stolen_ns: Option<u64>,
    /// The machine's own stalls: by how much a thread overslept that slept for a millisecond again
    /// and again, each weighed by its length.
    pub hiccup_ns: Percentiles,
}

/// Rates in the measured window, over its length. Replies that came after it are no part of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Throughput {
    /// Replies a second.
    pub messages_per_s: f64,
    /// Payload bytes a second, in one direction.
    pub bytes_per_s: f64,
    /// Messages a second that were meant to be sent; `None` in closed loop.
    pub offered_per_s: Option<f64>,
}

/// Latencies in nanoseconds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LatencyNs {
    /// From the actual send to the reply.
    pub service: Percentiles,
    /// Open loop: from the intended send to the reply.
    pub response: Option<Percentiles>,
    /// Open loop: from the intended send to the actual one.
    pub send_lag: Option<Percentiles>,
    /// Where connections are replaced: from the SYN until it is known to be taken.
    pub connect: Option<Percentiles>,
    /// Where connections are replaced: from the generator's FIN to the server's.
    pub close: Option<Percentiles>,
}

impl LatencyNs {
    /// The latency that users feel: `response` in open loop, `service` in closed loop.
    pub fn main(&self) -> &Percentiles {
        self.response.as_ref().unwrap_or(&self.service)
    }
}

/// A distribution. Percentiles with fewer than ten samples beyond them are null. A distribution
/// without samples has no smallest, no mean and no largest either.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the quantities")]
pub struct Percentiles {
    pub count: u64,
    pub min: Option<u64>,
    pub mean: Option<f64>,
    pub p50: Option<u64>,
    pub p75: Option<u64>,
    pub p90: Option<u64>,
    pub p95: Option<u64>,
    pub p99: Option<u64>,
    pub p99_9: Option<u64>,
    pub p99_99: Option<u64>,
    pub max: Option<u64>,
}

impl Percentiles {
    /// The percentiles in ascending order.
    pub(in crate::load) fn quantiles(&self) -> [(Quantile, Option<u64>); 7] {
        let known = [self.p50, self.p75, self.p90, self.p95, self.p99, self.p99_9, self.p99_99];
        std::array::from_fn(|place| (Quantile::SHOWN[place], known[place]))
    }
}

impl From<&Histogram<u64>> for Percentiles {
    fn from(histogram: &Histogram<u64>) -> Self {
        let some = (!histogram.is_empty()).then_some(histogram);
        let known = Quantile::SHOWN.map(|shown| shown.of(histogram));
        let [p50, p75, p90, p95, p99, p99_9, p99_99] = known;
        Self {
            count: histogram.len(),
            min: some.map(Histogram::min),
            mean: some.map(Histogram::mean),
            p50,
            p75,
            p90,
            p95,
            p99,
            p99_9,
            p99_99,
            max: some.map(Histogram::max),
        }
    }
}

/// CPU time of the server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct ServerCpu {
    /// For each message in the measured window.
    pub cpu_ns_per_message: f64,
    /// Share of the window that its threads waited for a CPU that others had, of the one that
    /// waited most; null where it cannot be known.
    pub waited_share: Option<f64>,
    /// The longest of these waits was at least so long.
    pub longest_wait_ns: Option<u64>,
}

/// The verdict on a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// True if the numbers may be used.
    pub valid: bool,
    /// The run's outcome.
    pub outcome: Outcome,
    /// Why not: a sentence for each thing that is wrong.
    pub reasons: Vec<String>,
    /// Sentences on what makes the numbers doubtful without making them wrong.
    pub warnings: Vec<String>,
    /// How many connections ended before the run did, by kind: `closed`, `reset` and so on; kinds
    /// that did not occur are there with 0, `error_N` excepted.
    pub endings: BTreeMap<String, u64>,
    /// The results of the assertions, in their order. They are not read back: a number alone has
    /// lost its unit.
    #[serde(skip_deserializing)]
    pub assertions: Vec<AssertionResult>,
    /// True if the run was ended before its time.
    pub interrupted: bool,
    /// Length of the window that was measured: as planned, or less if it was interrupted.
    pub measured_ns: u64,
    /// Open loop: whether enough of the offered rate was answered in time; true in closed loop.
    pub rate_reached: bool,
}
