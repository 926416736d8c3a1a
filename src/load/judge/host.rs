//! The host's part in the run: threads that could not run, whoever kept them from it.

use crate::cpus;
use crate::load::config::{Config, Load};
use crate::load::format::{counted, nanos, percent};
use crate::load::record::evidence::Evidence;
use crate::load::record::host::ClockState;
use crate::load::record::quotas::UsedUp;
use crate::load::record::recorder::Recorder;
use crate::load::record::server_view::Hidden;
use crate::load::record::waits::Waited;

/// How much a reader must know of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gravity {
    /// The numbers may be used.
    Notable,
    /// They may not.
    Fatal,
}

impl Gravity {
    /// Of a share of the time. Below 2 % of it lie the waits and stalls of a host that does nothing
    /// else; from 10 % on throughput and median are as much the host's as the server's.
    fn of(share: f64) -> Option<Self> {
        match share {
            0.10.. => Some(Self::Fatal),
            0.02.. => Some(Self::Notable),
            _ => None,
        }
    }
}

pub(super) fn reasons(load: Load, recorder: &Recorder, evidence: &Evidence) -> Vec<String> {
    let mut reasons = of_server(load, evidence, Gravity::Fatal);
    reasons.extend(steal(evidence, Gravity::Fatal));
    reasons.extend(stalls(recorder, evidence, Gravity::Fatal));
    reasons.extend(generator_waits(evidence));
    reasons
}

/// The server's threads waited for their CPUs. Before that, and before the generator's waits, comes
/// what both share.
pub(super) fn of_server(load: Load, evidence: &Evidence, gravity: Gravity) -> Vec<String> {
    let waits = waits(load, evidence);
    let of_server = waits.as_ref().map(|(gravity, _)| *gravity);
    let of_generator = generator_waits(evidence).map(|_| Gravity::Fatal);
    // A warning of its own where nobody waits.
    let of_overlap = of_server.max(of_generator).unwrap_or(Gravity::Notable);
    let overlap = overlap(evidence).filter(|_| of_overlap == gravity);
    let waits = waits.filter(|(of_waits, _)| *of_waits == gravity).map(|(_, waits)| waits);
    overlap.into_iter().chain(waits).collect()
}

fn waits(load: Load, evidence: &Evidence) -> Option<(Gravity, String)> {
    let waited = evidence.server_waited.as_ref()?;
    let gravity = gravity_of_waits(load, waited, !evidence.shared_cpus().is_empty())?;
    let is_of_quota = |used_up: &&UsedUp| {
        used_up.time_ns as f64 * 2.0 >= waited.share * evidence.measured_ns() as f64
    };
    let cause = match waited.used_up.as_ref().filter(is_of_quota) {
        Some(UsedUp { times, quota, .. }) => format!(
            "to be allowed to run, once for {} or longer: its CPU quota, {quota}, was used up {}; \
             raise it, or lower the load",
            nanos(waited.longest_ns),
            counted(*times, "time"),
        ),
        None => for_cpus(evidence, waited),
    };
    let (name, share) = (evidence.server.name(), percent(waited.share));
    Some((gravity, format!("{name} waited {share} of the time {cause}")))
}

fn for_cpus(evidence: &Evidence, waited: &Waited) -> String {
    let are_shared = !evidence.shared_cpus().is_empty();
    let for_others = match waited.foreign_share * 2.0 < waited.share {
        true if are_shared => {
            format!(", {} for others than the generator", percent(waited.foreign_share))
        }
        true => format!(", {} for other processes", percent(waited.foreign_share)),
        false => String::new(),
    };
    let whose = match Gravity::of(waited.foreign_share) {
        Some(_) => {
            "the host's latencies; see what runs there (ps -eLo psr,pcpu,pid,comm --sort=-pcpu | \
             head), and give the server CPUs of its own (taskset)"
        }
        None if are_shared => "the latencies of both on the same CPUs",
        None => {
            "the latencies of a CPU that has interrupts, and the generator's watch for host \
             stalls, beside the server"
        }
    };
    format!(
        "for CPU {}{for_others}, once for {} or longer: these are {whose}",
        cpus::format_list(&waited.cpus),
        nanos(waited.longest_ns),
    )
}

/// A closed loop whose generator keeps the server from running is asked less meanwhile: every
/// generator on these CPUs measures the same, so it is a property of the set-up. An open loop's
/// messages are due all the same, and wait for both.
fn gravity_of_waits(load: Load, waited: &Waited, is_shared: bool) -> Option<Gravity> {
    let gravity = Gravity::of(waited.share)?;
    let of_others = Gravity::of(waited.foreign_share);
    match load {
        Load::Closed if of_others == Some(Gravity::Fatal) => of_others,
        // On a CPU of its own a server at its capacity waits for interrupts and for the watch for host
        // stalls: up to 6 % of the time was seen, and is shown with its CPU time.
        Load::Closed if of_others.is_none() && !is_shared && gravity == Gravity::Notable => None,
        Load::Closed => Some(Gravity::Notable),
        _ => Some(gravity),
    }
}

fn overlap(evidence: &Evidence) -> Option<String> {
    let shared = evidence.shared_cpus();
    (!shared.is_empty()).then(|| {
        format!(
            "{} and generator share CPU{} {}: each waits for the other; bind the server to some \
             (ringback serve --cpus, or taskset), the generator to others (--cpus)",
            evidence.server.name(),
            if shared.len() == 1 { "" } else { "s" },
            cpus::format_list(&shared),
        )
    })
}

/// The question that a server which is not seen leaves open.
pub(super) fn hidden(evidence: &Evidence) -> Option<String> {
    let (whose, remedy) = match evidence.server.threads.as_ref().err()? {
        Hidden::OtherHost => (
            "it is on another host, or in another network namespace of this one",
            "compare /proc/PID/schedstat there before and after a run, or run ringback-load there",
        ),
        Hidden::OtherUser => (
            "its process is another user's, or in another container",
            "run ringback-load as that user or as root, in the host's PID namespace",
        ),
        Hidden::Transient => (
            "its work is done by processes or threads that come and go, or by others than the one \
             that listens",
            "look with top -H while it runs",
        ),
        Hidden::NoAccount => (
            "the kernel keeps no account of it in /proc/PID/task/TID/schedstat",
            "measure on a kernel with CONFIG_SCHED_INFO",
        ),
        Hidden::ThisProcess => return None,
    };
    Some(format!("whether the server waited for a CPU cannot be known: {whose}; {remedy}"))
}

/// Foreign processes had the generator's CPUs: replies lie there until it runs, and a closed loop
/// sends nothing meanwhile. A server of this host that is not seen may be what it waited for, and
/// then it is a property of the set-up.
pub(super) fn generator_waits(evidence: &Evidence) -> Option<String> {
    let may_be_server =
        matches!(evidence.server.threads, Err(Hidden::OtherUser | Hidden::Transient));
    let share = evidence.generator_foreign_share;
    (Gravity::of(share) == Some(Gravity::Fatal) && !may_be_server).then(|| {
        format!(
            "the generator waited {} of the time for CPUs that other processes had: these are the \
             host's latencies; see what runs there (ps -eLo psr,pcpu,pid,comm --sort=-pcpu | head), \
             and give the generator CPUs of its own (--cpus)",
            percent(share),
        )
    })
}

/// The clock that a warning of a run is about; who adds runs up knows it by its state.
pub(crate) const OWN_CLOCK: &str = "this host's clock";

/// Others agreed on a time with this host, whose clock may show another.
pub(super) fn clock(config: &Config, evidence: &Evidence) -> Option<String> {
    let is_shared = config.part.is_some() || config.start_at.is_some();
    is_shared.then(|| doubt_of_clock(evidence.clock, OWN_CLOCK)).flatten()
}

/// A clock that may show another time than those of other generators.
pub(super) fn doubt_of_clock(clock: Option<ClockState>, whose: &str) -> Option<String> {
    let fact = match clock {
        Some(clock) if clock.synchronised => return None,
        Some(_) => format!("{whose} is not synchronised"),
        None => format!("whether {whose} is synchronised cannot be known (adjtimex)"),
    };
    Some(format!(
        "{fact}: its window may be another time than that of the other generators; run chrony or \
         systemd-timesyncd on every host (see timedatectl)",
    ))
}

/// A hypervisor ran something else on the CPUs in use.
pub(super) fn steal(evidence: &Evidence, gravity: Gravity) -> Option<String> {
    /// The kernel counts in ticks of 10 ms: fewer than three are chance.
    const MIN_STOLEN_NS: u64 = 30_000_000;
    let stolen_ns = evidence.usage.stolen_in_use_ns.filter(|ns| *ns >= MIN_STOLEN_NS)?;
    let share = stolen_ns as f64 / evidence.measured_ns() as f64;
    (Gravity::of(share) == Some(gravity)).then(|| {
        format!(
            "the hypervisor ran something else on the CPUs in use for {} of the time (steal, see \
             vmstat 1): these are the host's latencies; measure on a host with CPUs of its own",
            percent(share),
        )
    })
}

/// The generator's quota was used up, in stalls of any length.
fn throttling(evidence: &Evidence) -> Option<(Gravity, String)> {
    let UsedUp { time_ns, times, quota } = evidence.used_up.as_ref()?;
    let share = *time_ns as f64 / evidence.measured_ns() as f64;
    let text = format!(
        "the generator was not allowed to run for {} of the time: its CPU quota, {quota}, was used \
         up {}; raise it, or lower the load",
        percent(share),
        counted(*times, "time"),
    );
    Some((Gravity::of(share)?, text))
}

/// The generator could not run; a quota that explains as much as was seen is named.
pub(super) fn stalls(recorder: &Recorder, evidence: &Evidence, gravity: Gravity) -> Option<String> {
    let seen = [standstill(recorder), throttling(evidence)];
    // Of equals the last.
    let (gravest, text) = seen.into_iter().flatten().max_by_key(|(gravity, _)| *gravity)?;
    (gravest == gravity).then_some(text)
}

/// The generator's process stood still. The closed loop shows no trace of it but a lower rate.
fn standstill(recorder: &Recorder) -> Option<(Gravity, String)> {
    /// Shorter ones are the scheduler's, and in the latencies.
    const STALL_NS: u64 = 10_000_000;
    let hiccup = &recorder.latencies.hiccup;
    if hiccup.is_empty() {
        return None;
    }
    // Each millisecond of a stall is a sample.
    let share = hiccup.count_between(STALL_NS, u64::MAX) as f64 / hiccup.len() as f64;
    let text = format!(
        "the generator stood still for {} of the time, once for {}: it was stopped (SIGSTOP), \
         frozen or throttled (cat /proc/self/cgroup, cpu.stat), or the host is overloaded",
        percent(share),
        nanos(hiccup.max()),
    );
    Some((Gravity::of(share)?, text))
}
