//! What a reader should know of a measurement beyond whether it is valid.

use super::super::config::Load;
use super::super::recorder::{CarriedOver, Recorder};
use super::super::report::Quantile;
use super::super::report::format::{nanos, percent};
use super::Circumstances;
use super::host::{self, Gravity};
use super::pace::{Lateness, excused_by_stalls};

/// A generator whose threads want to run for this share of the time is what limits a closed loop:
/// it was hardly ever the server that it waited for.
const LIMITED_FROM: f64 = 0.95;
/// What a thread of an otherwise idle machine waits for its CPU stays far below this share.
const STARVED_FROM: f64 = 0.05;

/// The warnings, the gravest first.
pub(super) fn of(recorder: &Recorder, circumstances: &Circumstances) -> Vec<String> {
    let of_server = host::of_server(circumstances, Gravity::Notable);
    let others = [
        host::steal(circumstances, Gravity::Notable),
        host::hidden(circumstances),
        starvation(circumstances),
        limit(circumstances),
        late_tail(recorder, circumstances),
        carried_over(recorder, circumstances),
        host::stalls(recorder, Gravity::Notable),
    ];
    of_server
        .into_iter()
        .chain(others.into_iter().flatten())
        .chain(circumstances.drifts.iter().cloned())
        .collect()
}

/// Something else had the generator's CPUs.
fn starvation(circumstances: &Circumstances) -> Option<String> {
    let waited_share = circumstances.waited_share.filter(|share| *share >= STARVED_FROM)?;
    Some(format!(
        "the generator's threads waited for a CPU for {} of the time: something else ran there; \
         give them CPUs of their own (--cpus)",
        percent(waited_share),
    ))
}

/// The generator, not the server, decided the rate of a closed loop.
fn limit(circumstances: &Circumstances) -> Option<String> {
    let wanted_share = circumstances.ran_share? + circumstances.waited_share?;
    let is_limit = circumstances.load == Load::Closed && wanted_share >= LIMITED_FROM;
    is_limit.then(|| {
        format!(
            "the generator was the limit: its threads had work for {} of the time, so the server \
             may be able to do more; use more --threads and --cpus",
            percent(wanted_share.min(1.0)),
        )
    })
}

/// What waited longest was sent before the window.
fn carried_over(recorder: &Recorder, circumstances: &Circumstances) -> Option<String> {
    /// The tenth of the window: what is shorter may miss it by chance.
    const WINDOW_PARTS: u64 = 10;
    let CarriedOver { silent_connections, max_ns, .. } = recorder.carried_over;
    let latencies = &recorder.latencies;
    let longest_ns = latencies.service.max().max(latencies.response.max());
    let is_notable = max_ns > longest_ns && max_ns >= circumstances.measured_ns / WINDOW_PARTS;
    (silent_connections == 0 && is_notable).then(|| {
        format!(
            "a message sent before the window was not answered for {}, longer than any that was \
             sent in it: it is not in the latencies; measure for longer, or with --warmup 0s",
            nanos(max_ns),
        )
    })
}

/// The tail is the generator's, although the verdict does not hold it against it.
fn late_tail(recorder: &Recorder, circumstances: &Circumstances) -> Option<String> {
    let Load::Open { .. } = circumstances.load else { return None };
    let is_told = |quantile: Quantile| quantile.of(&recorder.latencies.response).is_some();
    let (p99, p99_9) = (Lateness::at(recorder, 0.99), Lateness::at(recorder, 0.999));
    let is_excused = p99.exceeds(0) && !p99.exceeds(excused_by_stalls(recorder));
    let (name, lateness) = if is_told(Quantile::P99) && is_excused {
        ("p99", p99)
    } else if is_told(Quantile::P99_9) && p99_9.exceeds(0) {
        ("p99.9", p99_9)
    } else {
        return None;
    };
    Some(format!(
        "the tail is the generator's: without its own delays the {name} response would be {}, not \
         {}; the hiccups tell whether the machine was the cause",
        nanos(lateness.without_ns),
        nanos(lateness.response_ns),
    ))
}
