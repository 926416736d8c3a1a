//! The report of a run from what the run left behind.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::document::{
    HostUse, LatencyNs, Percentiles, Report, SCHEMA, ServerCpu, Settings, Target, Throughput,
    Verdict,
};
use crate::address::format_socket_address;
use crate::load::config::assertion::Assertion;
use crate::load::config::{Config, Load, Server};
use crate::load::error::RunError;
use crate::load::judge;
use crate::load::record::ending::Ending;
use crate::load::record::evidence::Evidence;
use crate::load::record::host::Host;
use crate::load::record::recorder::Recorder;

impl Report {
    pub(in crate::load) fn new(
        config: &Config,
        host: Host,
        address: SocketAddr,
        recorder: Recorder,
        evidence: &Evidence,
    ) -> Result<Self, RunError> {
        let mut verdict = judge::judge(config, &recorder, evidence);
        if recorder.totals.received == 0 {
            let why = verdict.reasons.join("; ");
            return Err(RunError::NothingReceived { target: config.target.name.clone(), why });
        }
        let is_open_loop = config.load != Load::Closed;
        let usage = &evidence.usage;
        let latency = &recorder.latencies;
        let main = if is_open_loop { &latency.response } else { &latency.service };
        let of_open_loop = |histogram| is_open_loop.then(|| Percentiles::from(histogram));
        let throughput = throughput(evidence.measured_ns(), is_open_loop, &recorder);
        let carried_over_ns = recorder.carried_over.max_ns;
        let check = |assertion: &Assertion| {
            assertion.check(main, carried_over_ns, throughput.messages_per_s)
        };
        let assertions: Vec<_> = config.assertions.iter().map(check).collect();
        let without_lag = is_open_loop.then_some(&latency.without_lag);
        verdict.evaluate(&config.assertions, &assertions, without_lag);
        Ok(Self {
            schema: SCHEMA.to_owned(),
            target: Target {
                name: config.target.name.clone(),
                address: format_socket_address(address),
                embedded: matches!(config.server, Server::Embedded { .. }),
            },
            config: Settings::from(config),
            host: HostUse {
                host,
                generator_cpu_ns_per_message: usage.generator_ns_per_message,
                generator_cpu_share: usage.ran_share,
                generator_busy_share: is_open_loop.then_some(evidence.busiest),
                generator_waited_share: usage.waited_share,
                stolen_ns: usage.stolen_ns,
                hiccup_ns: Percentiles::from(&latency.hiccup),
            },
            totals: recorder.totals,
            throughput,
            latency_ns: LatencyNs {
                service: Percentiles::from(&latency.service),
                response: of_open_loop(&latency.response),
                send_lag: of_open_loop(&latency.send_lag),
                connect: config.reconnect.map(|_| Percentiles::from(&latency.connect)),
                close: config.reconnect.map(|_| Percentiles::from(&latency.close)),
            },
            carried_over: recorder.carried_over,
            transport: recorder.transport,
            server_cpu: usage.server_ns_per_message.map(|cpu_ns_per_message| ServerCpu {
                cpu_ns_per_message,
                waited_share: evidence.server_waited.as_ref().map(|waited| waited.share),
                longest_wait_ns: evidence.server_waited.as_ref().map(|waited| waited.longest_ns),
            }),
            verdict: Verdict {
                valid: verdict.is_valid(),
                outcome: verdict.outcome,
                reasons: verdict.reasons,
                warnings: verdict.warnings,
                endings: endings(&recorder),
                assertions,
                interrupted: evidence.was_interrupted,
                measured_ns: evidence.measured_ns(),
                rate_reached: verdict.is_rate_reached,
            },
            generator_fault: verdict.generator_fault,
            latency: *recorder.latencies,
        })
    }
}

fn throughput(measured_ns: u64, is_open_loop: bool, recorder: &Recorder) -> Throughput {
    let seconds = Duration::from_nanos(measured_ns).as_secs_f64();
    Throughput {
        messages_per_s: recorder.answered_in_window() as f64 / seconds,
        bytes_per_s: recorder.answered_bytes as f64 / seconds,
        offered_per_s: is_open_loop.then(|| recorder.window_intended as f64 / seconds),
    }
}

fn endings(recorder: &Recorder) -> BTreeMap<String, u64> {
    let mut endings: BTreeMap<String, u64> =
        Ending::KINDS.into_iter().map(|kind| (kind.name(), 0)).collect();
    for (ending, connections) in &recorder.endings {
        *endings.entry(ending.name()).or_default() += connections;
    }
    endings
}
