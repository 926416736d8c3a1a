//! CPU quotas that server or generator is under: time that it could not run since one was used up.

use rustix::process::Pid;

use crate::cgroup::{CpuQuota, Throttled};

/// The quotas of some processes, and what each had cost before the window.
pub(crate) struct Quotas(Vec<(CpuQuota, Throttled)>);

/// A quota that was used up in the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsedUp {
    /// Time that it kept them from running, of each CPU that they work on.
    pub(crate) time_ns: u64,
    /// How often it did.
    pub(crate) times: u64,
    /// The quota, in words.
    pub(crate) quota: String,
}

impl Quotas {
    /// The window begins.
    pub(crate) fn start(processes: &[Pid]) -> Self {
        let mut quotas: Vec<(CpuQuota, Throttled)> = Vec::new();
        for process in processes {
            for quota in CpuQuota::of_process("/".as_ref(), process.as_raw_pid().unsigned_abs()) {
                let is_known = quotas.iter().any(|(known, _)| *known == quota);
                if let Some(before) = quota.throttled().filter(|_| !is_known) {
                    quotas.push((quota, before));
                }
            }
        }
        Self(quotas)
    }

    /// The quota that cost most in the window, on so many CPUs.
    pub(crate) fn finish(&self, window_ns: u64, cpus: u64) -> Option<UsedUp> {
        let used_up = self.0.iter().filter_map(|(quota, before)| {
            let after = quota.throttled()?;
            let time_ns = after.time_ns.checked_sub(before.time_ns)? / cpus;
            let times = after.times.checked_sub(before.times)?;
            let quota = quota.to_string();
            Some(UsedUp { time_ns: time_ns.min(window_ns), times, quota })
        });
        used_up.max_by_key(|used_up| used_up.time_ns).filter(|used_up| used_up.time_ns > 0)
    }
}
