//! The cost of a run between two samples: CPU time of server and generator, time that was stolen.

use super::cpu::CpuTime;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at_ns: u64,
    pub(crate) received: u64,
    pub(crate) server_ns: Option<u64>,
    pub(crate) generator: Option<CpuTime>,
    pub(crate) stolen_ns: Option<u64>,
    pub(crate) stolen_in_use_ns: Option<u64>,
}

/// The cost of the measured window.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) server_ns_per_message: Option<f64>,
    pub(crate) generator_ns_per_message: Option<f64>,
    /// Share of their time that the generator's threads were on a CPU.
    pub(crate) ran_share: Option<f64>,
    /// Share of it that they were able to run while something else had their CPU.
    pub(crate) waited_share: Option<f64>,
    /// Time that the hypervisor kept CPUs from running.
    pub(crate) stolen_ns: Option<u64>,
    /// Stolen time of the CPUs in use alone.
    pub(crate) stolen_in_use_ns: Option<u64>,
}

impl Usage {
    /// The difference of two samples of so many generator threads. What a thread that ended in
    /// between had used cannot be known.
    pub(crate) fn between(before: Sample, after: Sample, threads: usize) -> Self {
        let difference = |before: Option<u64>, after: Option<u64>| after?.checked_sub(before?);
        let threads_ns = (after.at_ns - before.at_ns) as f64 * threads as f64;
        let share = |ns: u64| ns as f64 / threads_ns;
        let messages = after.received - before.received;
        let per_message = |ns: u64| (messages > 0).then(|| ns as f64 / messages as f64);
        let generator = after.generator.zip(before.generator).and_then(|(a, b)| a.since(b));
        Self {
            server_ns_per_message: difference(before.server_ns, after.server_ns)
                .and_then(per_message),
            generator_ns_per_message: generator.and_then(|time| per_message(time.used_ns)),
            ran_share: generator.map(|time| share(time.used_ns)),
            waited_share: generator.map(|time| share(time.waited_ns)),
            stolen_ns: difference(before.stolen_ns, after.stolen_ns),
            stolen_in_use_ns: difference(before.stolen_in_use_ns, after.stolen_in_use_ns),
        }
    }
}
