//! Which worker runs on which CPU.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cgroup::CpuQuota;
use crate::cpus;

/// The CPUs of workers where nobody says otherwise: those in the affinity mask, as many of them as
/// the CPU quota of the container can keep busy.
pub fn default_cpus() -> Vec<usize> {
    within_quota(cpus::allowed(), quota().as_ref())
}

/// The CPU of each of `workers` workers, taken from `cpus` in turn.
pub fn workers_on(cpus: &[usize], workers: usize) -> Vec<usize> {
    cpus.iter().copied().cycle().take(workers).collect()
}

/// How many workers there are, and on which CPUs if they are pinned.
pub(super) fn describe(cpus: &[usize], is_pinned: bool) -> String {
    let distinct: Vec<usize> = cpus.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let workers = if cpus.len() == 1 { "worker" } else { "workers" };
    if !is_pinned {
        return format!("{} {workers} on any CPU", cpus.len());
    }
    let on = if distinct.len() == 1 { "CPU" } else { "CPUs" };
    format!("{} {workers} on {on} {}", cpus.len(), cpus::format_list(&distinct))
}

/// Warns of workers on these CPUs if the container's quota cannot keep all busy.
pub(super) fn warn_beyond_quota(cpus: &[usize]) -> Option<String> {
    beyond(cpus, &quota()?)
}

fn quota() -> Option<CpuQuota> {
    CpuQuota::detect(Path::new("/"))
}

fn within_quota(mut cpus: Vec<usize>, quota: Option<&CpuQuota>) -> Vec<usize> {
    cpus.truncate(quota.map_or(usize::MAX, CpuQuota::cpus));
    cpus
}

fn beyond(cpus: &[usize], quota: &CpuQuota) -> Option<String> {
    let distinct = cpus.iter().collect::<BTreeSet<_>>().len();
    let enough = quota.cpus();
    (distinct > enough).then(|| {
        format!(
            "the workers may use {distinct} CPUs, but the quota here is {quota}: the kernel will \
             stop all of them for a part of its period; give --workers {enough} or raise the quota"
        )
    })
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
    fn workers_and_their_cpus_are_told_in_a_line() {
        assert_eq!(describe(&[3], true), "1 worker on CPU 3");
        assert_eq!(describe(&[3, 3], true), "2 workers on CPU 3");
        assert_eq!(describe(&[1, 0, 4, 1, 0], true), "5 workers on CPUs 0-1,4");
        assert_eq!(describe(&[1, 0], false), "2 workers on any CPU");
    }

    #[test]
    fn the_quota_limits_the_default_and_warns_of_more() {
        let quota = CpuQuota::of_cpus(150, 100);
        assert_eq!(within_quota(vec![3, 5, 6, 7], Some(&quota)), [3, 5]);
        assert_eq!(within_quota(vec![3], Some(&quota)), [3]);
        assert_eq!(within_quota(vec![3, 5, 6], None), [3, 5, 6]);
        assert_eq!(beyond(&[3, 5, 3, 5], &quota), None);
        let warning = beyond(&[0, 1, 2], &quota).expect("3 is more than 1.5");
        assert!(warning.contains("may use 3 CPUs, but the quota here is 1.5 CPUs"), "{warning}");
        assert!(warning.contains("give --workers 2"), "{warning}");
    }
}
