//! What the host did to the run: threads that could not run, whoever kept them from it.

use super::super::recorder::Recorder;
use super::super::report::format::{nanos, percent};

/// How much a reader must know of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The generator's process stood still. The closed loop shows no trace of it but a lower rate.
pub(super) fn stalls(recorder: &Recorder, gravity: Gravity) -> Option<String> {
    /// Shorter ones are the scheduler's, and in the latencies.
    const STALL_NS: u64 = 10_000_000;
    let hiccup = &recorder.latencies.hiccup;
    if hiccup.is_empty() {
        return None;
    }
    // Each millisecond of a stall is a sample.
    let share = hiccup.count_between(STALL_NS, u64::MAX) as f64 / hiccup.len() as f64;
    (Gravity::of(share) == Some(gravity)).then(|| {
        format!(
            "the generator stood still for {} of the time, once for {}: it was stopped (SIGSTOP), \
             frozen or throttled (cat /proc/self/cgroup, cpu.stat), or the host is overloaded",
            percent(share),
            nanos(hiccup.max()),
        )
    })
}
