//! What a run found, and the forms in which it is told.

pub(crate) mod format;
mod hgrm;
mod histogram;
pub(super) mod json;
mod merged;
pub(super) mod schema;
mod table;
pub(super) mod text;
mod usage;

use std::time::Duration;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

pub use self::hgrm::hgrm;
pub use self::json::{SCHEMA, json, json_schema};
pub use self::merged::{MERGED_SCHEMA, merged_json, merged_json_schema, merged_text};
pub use self::text::text;
use self::usage::Usage;
use super::assertion::Finding;
use super::clock::nanos;
use super::config::{Config, Load};
use super::host::Host;
use super::latencies::Latencies;
use super::outcome::{Evidence, Outcome};
use super::recorder::{CarriedOver, Recorder, Totals};
use super::run::{Measurement, RunError};
use super::verdict::{self, Circumstances, Verdict};
use super::wire::Ending;

/// What a run found.
#[derive(Debug)]
pub struct Report {
    /// What was measured, and how.
    pub config: Config,
    /// The address that was connected to.
    pub address: std::net::SocketAddr,
    /// Length of the window that was measured: `config.duration`, or less if the run was
    /// interrupted.
    pub measured: Duration,
    /// Whether the run was ended before its time.
    pub was_interrupted: bool,
    /// The generator's machine.
    pub host: Host,
    /// What it did during the measured window.
    pub machine: Machine,
    /// Counters of the whole run.
    pub totals: Totals,
    /// Rates in the measured window.
    pub throughput: Throughput,
    /// Latencies of the messages intended in the measured window.
    pub latency: Latency,
    /// What the window began with.
    pub carried_over: CarriedOver,
    /// CPU time of the server per message, in nanoseconds, where its threads are known.
    pub server_cpu_ns_per_message: Option<f64>,
    /// Share of the window that the server's threads waited for a CPU that others had, 0 to 1: of the
    /// one that waited most, where they are known.
    pub server_waited_share: Option<f64>,
    /// The longest of their waits was at least so long, in nanoseconds.
    pub server_longest_wait_ns: Option<u64>,
    /// CPU time of the generator's threads per message, in nanoseconds.
    pub generator_cpu_ns_per_message: Option<f64>,
    /// The same as a share of the time of the CPUs that it could have used, 0 to 1.
    pub generator_cpu_share: Option<f64>,
    /// Open loop: share of the window in which the busiest generator thread was not waiting for a
    /// reply or a message's time, 0 to 1. Polling is waiting.
    pub generator_busy_share: Option<f64>,
    /// What became of the assertions of `config`, in their order.
    pub findings: Vec<Finding>,
    /// How many connections ended before the run did, by the kind of their end: `closed`, `reset`
    /// and so on; kinds that did not occur are there with 0, `error_N` excepted.
    pub endings: BTreeMap<String, u64>,
    /// Whether the numbers may be used.
    pub verdict: Verdict,
}

/// What the generator's machine did during the measured window, beside the run.
#[derive(Debug)]
pub struct Machine {
    /// Share of its threads' time that the generator was able to run and did not: something else
    /// had its CPU. 0 to 1.
    pub generator_waited_share: Option<f64>,
    /// Time that the hypervisor kept the CPUs from running that the process may use, added up.
    pub stolen_ns: Option<u64>,
    /// The machine's own stalls, in nanoseconds: by how much a thread overslept that slept for a
    /// millisecond again and again, weighed by time.
    pub hiccup: Histogram<u64>,
}

/// What went on in the measured window, over its length. Replies that came after it are no part of
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Throughput {
    /// Replies a second.
    pub messages_per_s: f64,
    /// Payload bytes a second, in one direction.
    pub bytes_per_s: f64,
    /// Messages a second that were meant to be sent; `None` in closed loop.
    pub offered_per_s: Option<f64>,
}

/// Latencies in nanoseconds.
#[derive(Debug)]
pub struct Latency {
    /// From the actual send to the reply.
    pub service: Histogram<u64>,
    /// What only an open loop has.
    pub open_loop: Option<OpenLoopLatency>,
    /// From the SYN of a connection until it is known to be taken: of those that replaced others
    /// and were begun in the measured window; `None` where connections are not replaced.
    pub connect: Option<Histogram<u64>>,
}

impl Latency {
    /// The latency that users feel: `response` in open loop, `service` in closed loop.
    pub fn main(&self) -> &Histogram<u64> {
        self.open_loop.as_ref().map_or(&self.service, |open_loop| &open_loop.response)
    }
}

/// Latencies that count from the intended send, in nanoseconds.
#[derive(Debug)]
pub struct OpenLoopLatency {
    /// From the intended send to the reply.
    pub response: Histogram<u64>,
    /// From the intended send to the actual one.
    pub send_lag: Histogram<u64>,
}

/// A share of the samples, above 0 and below 1: millionths of a percent, so that it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantile(u64);

impl Quantile {
    pub(super) const P50: Self = Self(50_000_000);
    pub(super) const P90: Self = Self(90_000_000);
    pub(super) const P99: Self = Self(99_000_000);
    pub(super) const P99_9: Self = Self(99_900_000);
    pub(super) const P99_99: Self = Self(99_990_000);
    const ALL: u64 = 100_000_000;

    /// The share of so many millionths of a percent, if it is above 0 and below 1.
    pub fn from_micropercents(micropercents: u64) -> Option<Self> {
        (1..Self::ALL).contains(&micropercents).then_some(Self(micropercents))
    }

    /// Samples of which ten are beyond this quantile.
    pub fn samples_needed(self) -> u64 {
        const SAMPLES_BEYOND: u64 = 10;
        (SAMPLES_BEYOND * Self::ALL).div_ceil(Self::ALL - self.0)
    }

    /// The value at this quantile; `None` with fewer than ten samples beyond it, where it would
    /// be chance.
    pub fn of(self, histogram: &Histogram<u64>) -> Option<u64> {
        let is_known = histogram.len() >= self.samples_needed();
        is_known.then(|| histogram.value_at_quantile(self.0 as f64 / Self::ALL as f64))
    }
}

impl Report {
    pub(super) fn new(
        config: &Config,
        host: Host,
        measurement: Measurement,
    ) -> Result<Self, RunError> {
        let measured = Duration::from_nanos(measurement.window.length_ns());
        let threads = config.threads.min(measurement.connections as usize);
        let usage = Usage::between(measurement.before, measurement.after, threads);
        let busiest = busiest(&measurement);
        let circumstances = Circumstances {
            load: config.load,
            busiest,
            ran_share: usage.generator_ran_share(),
            waited_share: usage.generator_waited_share(),
            planned_ns: nanos(config.duration),
            measured_ns: nanos(measured),
            was_interrupted: measurement.was_interrupted,
            warmup_ns: nanos(config.warmup),
            depth: config.depth,
            backlogs: measurement.backlogs.clone(),
            server: measurement.server.clone(),
            server_waited: measurement.server_waited,
            server_idle_ns: usage.server_idle_ns.unwrap_or(0),
            shared_cpus: measurement.shared_cpus.clone(),
            stolen_ns: usage.stolen_in_use_ns.map(|ns| ns / measurement.cpus_in_use),
            gone_after_ns: measurement.gone_after_ns,
            drifts: measurement.drifts.clone(),
        };
        let server_waited_share = circumstances.server_waited_share();
        let server_longest_wait_ns = measurement.server_waited.map(|waited| waited.longest_ns);
        let (address, was_interrupted) = (measurement.address, measurement.was_interrupted);
        let recorder = merged(measurement);
        let verdict = verdict::judge(&recorder, &circumstances);
        if recorder.totals.received == 0 {
            let why = verdict.reasons.join("; ");
            return Err(RunError::NothingReceived { target: config.target.name.clone(), why });
        }
        let is_open_loop = config.load != Load::Closed;
        let (throughput, endings) =
            (throughput(measured, is_open_loop, &recorder), endings(&recorder));
        let Latencies { service, response, send_lag, punctual, hiccup, connect } =
            *recorder.latencies;
        let mut report = Self {
            address,
            measured,
            was_interrupted,
            host,
            machine: Machine {
                generator_waited_share: usage.generator_waited_share(),
                stolen_ns: usage.stolen_ns,
                hiccup,
            },
            totals: recorder.totals,
            carried_over: recorder.carried_over,
            throughput,
            server_cpu_ns_per_message: usage.server_ns_per_message(),
            server_waited_share,
            server_longest_wait_ns,
            generator_cpu_ns_per_message: usage.generator_ns_per_message(),
            generator_cpu_share: usage.generator_ran_share(),
            generator_busy_share: is_open_loop.then_some(busiest),
            findings: Vec::new(),
            endings,
            verdict,
            latency: Latency {
                service,
                open_loop: is_open_loop.then_some(OpenLoopLatency { response, send_lag }),
                connect: config.reconnect.map(|_| connect),
            },
            config: config.clone(),
        };
        report.findings =
            config.assertions.iter().map(|assertion| assertion.check(&report)).collect();
        let punctual = is_open_loop.then_some(&punctual);
        report.verdict.weigh(&config.assertions, &report.findings, punctual);
        Ok(report)
    }
}

impl Report {
    /// How the run came out.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(Evidence {
            was_interrupted: self.was_interrupted,
            is_invalid: !self.verdict.is_valid(),
            is_missed: self.findings.iter().any(|finding| !finding.met),
            ..Evidence::default()
        })
    }
}

/// Share of the window in which the busiest generator thread was not waiting.
fn busiest(measurement: &Measurement) -> f64 {
    let window_ns = measurement.window.length_ns() as f64;
    let busy =
        measurement.recorders.iter().map(|recorder| 1.0 - recorder.idle_ns as f64 / window_ns);
    busy.fold(0.0, f64::max)
}

/// What all threads measured, and what became of the first connections.
fn merged(measurement: Measurement) -> Recorder {
    let mut all = measurement
        .recorders
        .into_iter()
        .reduce(|mut all, recorder| {
            all.merge(&recorder);
            all
        })
        .expect("a run has at least one thread");
    *all.latencies = measurement.latencies;
    all.totals.connections += measurement.connections;
    for (failure, attempts) in measurement.connect_failures {
        all.fail_to_connect(failure, attempts);
    }
    all
}

fn throughput(measured: Duration, is_open_loop: bool, recorder: &Recorder) -> Throughput {
    let seconds = measured.as_secs_f64();
    Throughput {
        messages_per_s: recorder.answered_in_window() as f64 / seconds,
        bytes_per_s: recorder.answered_bytes as f64 / seconds,
        offered_per_s: is_open_loop.then(|| recorder.window_intended as f64 / seconds),
    }
}

fn endings(recorder: &Recorder) -> BTreeMap<String, u64> {
    let mut endings: BTreeMap<String, u64> =
        Ending::NAMES.iter().map(|name| ((*name).to_owned(), 0)).collect();
    for (ending, connections) in &recorder.endings {
        *endings.entry(ending.name()).or_default() += connections;
    }
    endings
}
