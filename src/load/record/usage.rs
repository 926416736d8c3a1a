//! The cost of a run between two samples: CPU time of server and generator, time that was stolen.

use super::cpu::CpuTime;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at_ns: u64,
    pub(crate) received: u64,
    pub(crate) server_ns: Option<u64>,
    pub(crate) generator: Option<CpuTime>,
    pub(crate) stolen_ns: Option<u64>,
    /// Of the CPUs of the generator and of the server, on average over each.
    pub(crate) stolen_of_sides_ns: [Option<u64>; 2],
}

/// The cost of the measured window.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) server_ns: Option<u64>,
    pub(crate) server_ns_per_message: Option<f64>,
    pub(crate) generator_ns_per_message: Option<f64>,
    /// Share of their time that the generator's threads were on a CPU.
    pub(crate) ran_share: Option<f64>,
    /// Share of it that they were able to run while something else had their CPU.
    pub(crate) waited_share: Option<f64>,
    /// Time that the hypervisor kept CPUs from running.
    pub(crate) stolen_ns: Option<u64>,
    /// Stolen time of a CPU of the server or of the generator, on average over those of the side from
    /// which more was stolen.
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
        let server_ns = difference(before.server_ns, after.server_ns);
        let sides = before.stolen_of_sides_ns.into_iter().zip(after.stolen_of_sides_ns);
        let stolen_of_sides_ns = sides.filter_map(|(before, after)| difference(before, after));
        Self {
            server_ns,
            server_ns_per_message: server_ns.and_then(per_message),
            generator_ns_per_message: generator.and_then(|time| per_message(time.used_ns)),
            ran_share: generator.map(|time| share(time.used_ns)),
            waited_share: generator.map(|time| share(time.waited_ns)),
            stolen_ns: difference(before.stolen_ns, after.stolen_ns),
            stolen_in_use_ns: stolen_of_sides_ns.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stolen_from_one_side_is_not_divided_by_the_cpus_of_the_other() {
        let sample = |at_ns, stolen_of_sides_ns| Sample {
            at_ns,
            received: at_ns,
            server_ns: Some(at_ns),
            generator: None,
            stolen_ns: None,
            stolen_of_sides_ns,
        };
        let stolen =
            |before, after| Usage::between(sample(1, before), sample(9, after), 1).stolen_in_use_ns;
        assert_eq!(stolen([Some(1), Some(5)], [Some(3), Some(65)]), Some(60));
        assert_eq!(stolen([Some(1), None], [Some(3), None]), Some(2), "a server that is not seen");
        assert_eq!(stolen([None, None], [None, None]), None);
    }
}
