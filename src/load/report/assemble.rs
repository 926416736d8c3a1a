//! The report of a run from what the run left behind.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{
    HostUse, LatencyNs, Percentiles, Report, SCHEMA, ServerCpu, Settings, Target, Throughput,
    Verdict,
};
use super::usage::Usage;
use crate::address::format_socket_address;
use crate::cgroup::CpuQuota;
use crate::load::clock::nanos;
use crate::load::config::assertion::Assertion;
use crate::load::config::{Config, Load, Server};
use crate::load::error::RunError;
use crate::load::judge::{self, Evidence};
use crate::load::record::ending::Ending;
use crate::load::record::host::Host;
use crate::load::record::measurement::Measurement;
use crate::load::record::recorder::Recorder;

impl Report {
    pub(in crate::load) fn new(
        config: &Config,
        host: Host,
        measurement: Measurement,
    ) -> Result<Self, RunError> {
        let measured = Duration::from_nanos(measurement.window.length_ns());
        let threads = config.threads.min(measurement.connections as usize);
        let usage = Usage::between(measurement.before, measurement.after, threads);
        // A thread that waits for its CPU is not busy: `waited_share` tells of that.
        let waited_share = usage.generator_waited_share();
        let busiest = (busiest(&measurement) - waited_share.unwrap_or(0.0)).max(0.0);
        let evidence = Evidence {
            load: config.load,
            busiest,
            ran_share: usage.generator_ran_share(),
            waited_share,
            planned_ns: nanos(config.duration),
            measured_ns: nanos(measured),
            cpu_quota: CpuQuota::detect("/".as_ref())
                .map(|quota| format!("the CPU quota, {quota},")),
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
        };
        let (address, interrupted) = (measurement.address, measurement.was_interrupted);
        let recorder = merged(measurement);
        let verdict = judge::judge(&recorder, &evidence);
        if recorder.totals.received == 0 {
            let why = verdict.reasons.join("; ");
            return Err(RunError::NothingReceived { target: config.target.name.clone(), why });
        }
        let is_open_loop = config.load != Load::Closed;
        let latency = &recorder.latencies;
        let of_open_loop = |histogram| is_open_loop.then(|| Percentiles::from(histogram));
        let mut report = Self {
            schema: SCHEMA.to_owned(),
            target: Target {
                name: config.target.name.clone(),
                address: format_socket_address(address),
                embedded: matches!(config.server, Server::Embedded { .. }),
            },
            config: Settings::from(config),
            host: HostUse {
                host,
                generator_cpu_ns_per_message: usage.generator_ns_per_message(),
                generator_cpu_share: usage.generator_ran_share(),
                generator_busy_share: is_open_loop.then_some(busiest),
                generator_waited_share: usage.generator_waited_share(),
                stolen_ns: usage.stolen_ns,
                hiccup_ns: Percentiles::from(&latency.hiccup),
            },
            totals: recorder.totals,
            throughput: throughput(measured, is_open_loop, &recorder),
            latency_ns: LatencyNs {
                service: Percentiles::from(&latency.service),
                response: of_open_loop(&latency.response),
                send_lag: of_open_loop(&latency.send_lag),
                connect: config.reconnect.map(|_| Percentiles::from(&latency.connect)),
                close: config.reconnect.map(|_| Percentiles::from(&latency.close)),
            },
            carried_over: recorder.carried_over,
            transport: recorder.transport,
            server_cpu: usage.server_ns_per_message().map(|cpu_ns_per_message| ServerCpu {
                cpu_ns_per_message,
                waited_share: evidence.server_waited_share(),
                longest_wait_ns: evidence.server_waited.map(|waited| waited.longest_ns),
            }),
            verdict: Verdict {
                valid: false,
                outcome: verdict.outcome,
                reasons: Vec::new(),
                warnings: Vec::new(),
                endings: endings(&recorder),
                assertions: Vec::new(),
                interrupted,
                measured_ns: nanos(measured),
                rate_reached: verdict.is_rate_reached,
            },
            generator_fault: verdict.generator_fault.clone(),
            latency: *recorder.latencies,
        };
        report.judge(config, verdict);
        Ok(report)
    }

    /// Adds what the assertions say to what the run itself does.
    fn judge(&mut self, config: &Config, mut verdict: judge::Verdict) {
        let assertions = &config.assertions;
        let (latency, messages_per_s) = (self.main_latency(), self.throughput.messages_per_s);
        let carried_over_ns = self.carried_over.max_ns;
        let check =
            |assertion: &Assertion| assertion.check(latency, carried_over_ns, messages_per_s);
        let results: Vec<_> = assertions.iter().map(check).collect();
        let without_lag = (config.load != Load::Closed).then_some(&self.latency.without_lag);
        verdict.evaluate(assertions, &results, without_lag);
        self.verdict.valid = verdict.is_valid();
        self.verdict.outcome = verdict.outcome;
        self.verdict.reasons = verdict.reasons;
        self.verdict.warnings = verdict.warnings;
        self.verdict.assertions = results;
    }
}

/// Share of the window in which the busiest generator thread was not waiting.
fn busiest(measurement: &Measurement) -> f64 {
    let window_ns = measurement.window.length_ns() as f64;
    let busy =
        measurement.recorders.iter().map(|recorder| 1.0 - recorder.idle_ns as f64 / window_ns);
    busy.fold(0.0, f64::max)
}

/// The sum over all threads and the first connections.
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
    all.transport += measurement.transport;
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
