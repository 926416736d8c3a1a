//! Warnings about a measurement that may be valid.

use super::host::{self, Gravity};
use super::pace::{Lateness, excused_by_stalls};
use crate::load::config::quantile::Quantile;
use crate::load::config::{Config, Load};
use crate::load::format::{nanos, percent};
use crate::load::record::evidence::Evidence;
use crate::load::record::quotas::UsedUp;
use crate::load::record::recorder::{CarriedOver, Recorder};

/// A generator whose threads want to run for this share of the time is what limits a closed loop:
/// it was hardly ever the server that it waited for.
const LIMITED_FROM: f64 = 0.95;
/// On an otherwise idle host a thread waits for its CPU far less than this share.
const STARVED_FROM: f64 = 0.05;

/// The warnings, the gravest first.
pub(super) fn of(config: &Config, recorder: &Recorder, evidence: &Evidence) -> Vec<String> {
    let of_loop = match config.load {
        Load::Closed => limit(evidence),
        Load::Open { .. } => late_tail(recorder),
    };
    let others = [
        host::steal(evidence, Gravity::Notable),
        host::hidden(evidence),
        host::clock(config, evidence),
        starvation(evidence),
        of_loop,
        carried_over(recorder, evidence),
        carried_connect(recorder, evidence),
        carried_close(recorder, evidence),
        host::stalls(recorder, evidence, Gravity::Notable),
    ];
    let of_server = host::of_server(config.load, evidence, Gravity::Notable);
    of_server.into_iter().chain(others.into_iter().flatten()).collect()
}

/// The message that waited longest was sent before the window.
fn carried_over(recorder: &Recorder, evidence: &Evidence) -> Option<String> {
    let CarriedOver { silent_connections, max_ns, .. } = recorder.carried_over;
    let latencies = &recorder.latencies;
    let longest_ns = latencies.service.max().max(latencies.response.max());
    let is_notable = silent_connections == 0 && is_carried_notably(max_ns, longest_ns, evidence);
    is_notable.then(|| {
        format!(
            "a message sent before the window was not answered for {}, longer than any that was \
             sent in it: it is not in the latencies; measure for longer, or with --warmup 0s",
            nanos(max_ns),
        )
    })
}

fn carried_connect(recorder: &Recorder, evidence: &Evidence) -> Option<String> {
    let (took_ns, latencies) = (recorder.carried_connect_ns, &recorder.latencies.connect);
    is_carried_notably(took_ns, latencies.max(), evidence).then(|| {
        format!(
            "a handshake that began before the window took {}, longer than any that began in it: it \
             is not in the latencies; measure for longer, or with --warmup 0s",
            nanos(took_ns),
        )
    })
}

fn carried_close(recorder: &Recorder, evidence: &Evidence) -> Option<String> {
    let (took_ns, latencies) = (recorder.carried_close_ns, &recorder.latencies.close);
    is_carried_notably(took_ns, latencies.max(), evidence).then(|| {
        format!(
            "a connection that was closed before the window had its FIN after {}, longer than any \
             that was closed in it: it is not in the latencies; measure for longer, or with \
             --warmup 0s",
            nanos(took_ns),
        )
    })
}

fn is_carried_notably(took_ns: u64, longest_ns: u64, evidence: &Evidence) -> bool {
    /// The tenth of the window: what is shorter may miss it by chance.
    const WINDOW_PARTS: u64 = 10;
    took_ns > longest_ns && took_ns >= evidence.measured_ns() / WINDOW_PARTS
}

fn starvation(evidence: &Evidence) -> Option<String> {
    if host::generator_waits(evidence).is_some() {
        return None;
    }
    let waited_share = evidence.usage.waited_share.filter(|share| *share >= STARVED_FROM)?;
    let cause = match &evidence.used_up {
        Some(UsedUp { quota, .. }) => {
            format!(
                "something else ran there, or the CPU quota, {quota}, was used up; raise it, or"
            )
        }
        None => "something else ran there;".to_owned(),
    };
    Some(format!(
        "the generator's threads waited for a CPU for {} of the time: {cause} give them CPUs of \
         their own (--cpus)",
        percent(waited_share),
    ))
}

/// The generator, not the server, decided the rate of a closed loop.
fn limit(evidence: &Evidence) -> Option<String> {
    let wanted_share = evidence.usage.ran_share? + evidence.usage.waited_share?;
    (wanted_share >= LIMITED_FROM).then(|| {
        format!(
            "the generator was the limit: its threads had work for {} of the time, so the server \
             may be able to do more; use more --threads and --cpus",
            percent(wanted_share.min(1.0)),
        )
    })
}

/// The tail is the generator's, although the verdict does not hold it against it.
fn late_tail(recorder: &Recorder) -> Option<String> {
    let is_known = |quantile: Quantile| quantile.of(&recorder.latencies.response).is_some();
    let (p99, p99_9) = (Lateness::at(recorder, 0.99), Lateness::at(recorder, 0.999));
    let is_excused = p99.exceeds(0) && !p99.exceeds(excused_by_stalls(recorder));
    let (name, lateness) = if is_known(Quantile::P99) && is_excused {
        ("p99", p99)
    } else if is_known(Quantile::P99_9) && p99_9.exceeds(0) {
        ("p99.9", p99_9)
    } else {
        return None;
    };
    Some(format!(
        "generator lag inflates the tail: {name} response {} measured, {} without it; see \
         in the host stalls whether the host was the cause",
        nanos(lateness.response_ns),
        nanos(lateness.without_ns),
    ))
}
