//! The cost of a run between two samples: CPU time of server and generator, time that was stolen.

use crate::load::record::cpu::CpuTime;
use crate::load::record::measurement::Samples;

/// CPU time and messages of the measured window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    messages: u64,
    /// Wall-clock time of all generator threads together.
    threads_ns: f64,
    generator: Option<CpuTime>,
    server_ns: Option<u64>,
    /// Time that the hypervisor kept CPUs from running.
    pub(super) stolen_ns: Option<u64>,
    /// Stolen time of the CPUs in use alone.
    pub(super) stolen_in_use_ns: Option<u64>,
    /// Time that the server's CPUs had nothing to run, added up.
    pub(super) server_idle_ns: Option<u64>,
}

impl Usage {
    /// The difference of two samples of so many generator threads. What a thread that ended in
    /// between had used cannot be known.
    pub(super) fn between(before: Samples, after: Samples, threads: usize) -> Self {
        let difference = |before: Option<u64>, after: Option<u64>| after?.checked_sub(before?);
        Self {
            messages: after.received - before.received,
            threads_ns: (after.at_ns - before.at_ns) as f64 * threads as f64,
            generator: after.generator.zip(before.generator).and_then(|(a, b)| a.since(b)),
            server_ns: difference(before.server_ns, after.server_ns),
            stolen_ns: difference(before.stolen_ns, after.stolen_ns),
            server_idle_ns: difference(before.server_idle_ns, after.server_idle_ns),
            stolen_in_use_ns: difference(before.stolen_in_use_ns, after.stolen_in_use_ns),
        }
    }

    /// CPU time of the server per message, in nanoseconds.
    pub(super) fn server_ns_per_message(&self) -> Option<f64> {
        self.per_message(self.server_ns?)
    }

    /// CPU time of the generator per message, in nanoseconds.
    pub(super) fn generator_ns_per_message(&self) -> Option<f64> {
        self.per_message(self.generator?.used_ns)
    }

    /// Share of its threads' time that the generator was on a CPU.
    pub(super) fn generator_ran_share(&self) -> Option<f64> {
        Some(self.generator?.used_ns as f64 / self.threads_ns)
    }

    /// Share of it that it was able to run and did not.
    pub(super) fn generator_waited_share(&self) -> Option<f64> {
        Some(self.generator?.waited_ns as f64 / self.threads_ns)
    }

    fn per_message(&self, ns: u64) -> Option<f64> {
        (self.messages > 0).then(|| ns as f64 / self.messages as f64)
    }
}
