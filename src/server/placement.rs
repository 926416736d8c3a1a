//! Which worker runs on which CPU.

/// The CPU of each of `workers` workers, taken from `cpus` in turn.
pub fn workers_on(cpus: &[usize], workers: usize) -> Vec<usize> {
    cpus.iter().copied().cycle().take(workers).collect()
}

/// Pins the calling thread; says whether the kernel did.
pub(super) fn pin(cpu: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_take_cpus_in_turn() {
        assert_eq!(workers_on(&[2, 5], 5), [2, 5, 2, 5, 2]);
        assert_eq!(workers_on(&[3], 0), [] as [usize; 0]);
    }
}
