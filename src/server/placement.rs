//! Which worker runs on which CPU.

/// A CPU that this process may not use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("CPU {cpu} is not in this process's affinity mask, which is {}", list(usable))]
pub struct PlacementError {
    /// The CPU asked for.
    pub cpu: usize,
    /// The CPUs of the mask.
    pub usable: Vec<usize>,
}

/// The CPUs in this process's affinity mask, ascending.
pub fn usable_cpus() -> Vec<usize> {
    let mut cpus: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    cpus.sort_unstable();
    cpus
}

/// The CPU of each of `workers` workers, taken from `cpus` in turn.
pub fn workers_on(cpus: &[usize], workers: usize) -> Vec<usize> {
    cpus.iter().copied().cycle().take(workers).collect()
}

/// Refuses CPUs outside the mask.
pub(super) fn check(cpus: &[usize]) -> Result<(), PlacementError> {
    let usable = usable_cpus();
    match cpus.iter().find(|cpu| !usable.contains(cpu)) {
        Some(&cpu) => Err(PlacementError { cpu, usable }),
        None => Ok(()),
    }
}

/// Pins the calling thread; says whether the kernel did.
pub(super) fn pin(cpu: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

fn list(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_take_cpus_in_turn() {
        assert_eq!(workers_on(&[2, 5], 5), [2, 5, 2, 5, 2]);
        assert_eq!(workers_on(&[3], 0), [] as [usize; 0]);
    }

    #[test]
    fn a_cpu_outside_the_mask_is_named_with_the_mask() {
        let error = check(&[usable_cpus()[0], 100_000]).expect_err("no machine has that CPU");
        assert_eq!(error.cpu, 100_000);
        assert!(error.to_string().contains("CPU 100000 is not in"), "{error}");
    }
}
