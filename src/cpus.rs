//! Lists of CPUs, which of them this process may use, and threads that stay on one.

use std::fmt;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::thread;

use core_affinity::CoreId;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Why threads cannot be placed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpusError {
    /// The text is not a list of CPUs.
    #[error("{0:?} is not a list of CPUs: write numbers and ranges, as in 0-3,8")]
    NotAList(String),
    /// A range whose end comes before its beginning.
    #[error("the range {first}-{last} runs backwards: write {last}-{first}")]
    Backwards {
        /// Where it begins.
        first: usize,
        /// Where it ends.
        last: usize,
    },
    /// The kernel's interface knows no CPU of that number.
    #[error("there is no CPU {0}: the kernel's masks end at CPU {last}", last = CpuSet::MAX_CPU - 1)]
    TooHigh(usize),
    /// The process may not run on this CPU.
    #[error("CPU {cpu} is not one this process may use: its affinity mask is {}", format_list(.allowed))]
    NotAllowed {
        /// The CPU that was asked for.
        cpu: usize,
        /// The process's affinity mask.
        allowed: Vec<usize>,
    },
}

/// Reads a list of CPUs such as `0-3,8`: ascending, each once.
///
/// # Errors
///
/// When it is not such a list, or names a CPU beyond the kernel's largest mask.
pub fn parse_list(text: &str) -> Result<Vec<usize>, CpusError> {
    let ranges = parse_ranges(text)?;
    match ranges.iter().map(RangeInclusive::end).find(|last| **last >= CpuSet::MAX_CPU) {
        Some(last) => Err(CpusError::TooHigh(*last)),
        None => Ok(members_of(ranges)),
    }
}

fn parse_ranges(text: &str) -> Result<Vec<RangeInclusive<usize>>, CpusError> {
    let not_a_list = || CpusError::NotAList(text.to_owned());
    let mut ranges = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| not_a_list())?;
        let last: usize = last.trim().parse().map_err(|_| not_a_list())?;
        if first > last {
            return Err(CpusError::Backwards { first, last });
        }
        ranges.push(first..=last);
    }
    Ok(ranges)
}

/// Ascending, each once, as far as the kernel's interface goes.
fn members_of(ranges: Vec<RangeInclusive<usize>>) -> Vec<usize> {
    let within = |range: RangeInclusive<usize>| range.take_while(|cpu| *cpu < CpuSet::MAX_CPU);
    let mut cpus: Vec<usize> = ranges.into_iter().flat_map(within).collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

/// Writes a list of CPUs as [`parse_list`] reads it, ranges joined.
pub fn format_list(cpus: &[usize]) -> String {
    cpus.chunk_by(|cpu, next| cpu + 1 == *next)
        .map(|range| match range {
            [cpu] => cpu.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            [] => unreachable!("chunk_by gives no empty chunk"),
        })
        .collect::<Vec<_>>()
        .join(",")
}

/// Lets the calling thread run on these CPUs only; anywhere as before if there are none.
pub(crate) fn run_on(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    Ok(sched_setaffinity(None, &set)?)
}

/// The CPUs that the calling thread may use, ascending, at least one: its affinity mask. Where that
/// cannot be read, the CPUs that are online and, as far as `/proc` reports, not forbidden.
pub fn allowed() -> Vec<usize> {
    mask().unwrap_or_else(|_| online())
}

/// The affinity mask of the calling thread, ascending. Offline CPUs are not in it.
///
/// # Errors
///
/// `EINVAL` where the kernel has more CPUs than [`CpuSet`] (`sched_setaffinity(2)`); another error
/// from a sandbox.
pub(crate) fn mask() -> Result<Vec<usize>, Errno> {
    affinity(None)
}

/// As [`mask`], of another thread.
pub(crate) fn mask_of(thread: Pid) -> Result<Vec<usize>, Errno> {
    affinity(Some(thread))
}

fn affinity(thread: Option<Pid>) -> Result<Vec<usize>, Errno> {
    sched_getaffinity(thread)
        .map(|mask| (0..CpuSet::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect())
}

fn online() -> Vec<usize> {
    let online = fs::read_to_string("/sys/devices/system/cpu/online");
    let online = online.ok().and_then(|text| parse_ranges(text.trim()).ok()).map(members_of);
    let Some(mut online) = online else {
        return (0..thread::available_parallelism().map_or(1, usize::from)).collect();
    };
    if let Some(permitted) = permitted() {
        online.retain(|cpu| permitted.contains(cpu));
    }
    online
}

/// The mask as `/proc` reports it, whatever its length; CPUs that are offline are in it.
fn permitted() -> Option<Vec<usize>> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    parse_ranges(list.trim()).ok().map(members_of)
}

/// Pins the calling thread to one CPU, and looks whether it is.
///
/// # Errors
///
/// `EINVAL` when the CPU is offline or outside the process's cpuset; others where
/// [`PinningRefusal::detect`] reports them. A mask that is not the one asked for counts as
/// `EINVAL`, one that cannot be read as the one asked for.
pub(crate) fn pin(cpu: usize) -> Result<(), Errno> {
    if !core_affinity::set_for_current(CoreId { id: cpu }) {
        let error = io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL));
    }
    match mask() {
        Ok(mask) if mask != [cpu] => Err(Errno::INVAL),
        _ => Ok(()),
    }
}

/// Why no thread of this process can be pinned, whatever the CPU.
///
/// The kernel lets every thread place itself, and answers `EINVAL` for CPUs that are offline or
/// outside the cpuset of its cgroup (`sched_setaffinity(2)`). Another error is from what stands
/// before it: a seccomp filter, a security module, or a sandbox with a kernel of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PinningRefusal {
    errno: Errno,
    /// True if a seccomp filter is in force.
    is_filtered: bool,
}

impl PinningRefusal {
    /// Tries it without any effect: no CPU at all is what no kernel grants (`EINVAL`).
    pub(crate) fn detect() -> Option<Self> {
        Self::of(sched_setaffinity(None, &CpuSet::new()).err()?)
    }

    fn of(errno: Errno) -> Option<Self> {
        let is_refused = matches!(errno, Errno::PERM | Errno::ACCESS | Errno::NOSYS);
        is_refused.then(|| Self { errno, is_filtered: is_filtered() })
    }

    /// The remedy.
    pub(crate) fn fix(self) -> &'static str {
        match self.is_filtered {
            true => {
                "allow sched_setaffinity in its profile (docker run --security-opt \
                 seccomp=PROFILE.json; in a systemd unit write SystemCallFilter=sched_setaffinity \
                 below SystemCallFilter=~@resources)"
            }
            false => {
                "find the denial with journalctl -k -g denied, and allow sched_setaffinity there \
                 (in SELinux the permission setsched)"
            }
        }
    }

    /// For an operator whose threads run where the scheduler puts them.
    pub(crate) fn warning(self) -> String {
        format!("threads run on any CPU: {self}; to fix it: {}", self.fix())
    }
}

impl fmt::Display for PinningRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { errno, is_filtered } = self;
        let cause = match is_filtered {
            true => "the seccomp filter of the container or service forbids to pin them",
            false => {
                "no seccomp filter forbids to pin them, so a security module (SELinux) or a \
                 sandbox does"
            }
        };
        write!(f, "{cause}: sched_setaffinity: {errno}")
    }
}

/// Returns whether a seccomp filter is in force (`proc_pid_status(5)`).
fn is_filtered() -> bool {
    const FILTER: &str = "2";
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() == FILTER)
}

/// Explains why threads cannot be placed on some CPUs.
pub(crate) fn explain(error: &io::Error) -> String {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    match PinningRefusal::of(errno) {
        Some(refusal) => format!("{refusal}; to fix it: {}", refusal.fix()),
        None if errno == Errno::INVAL => format!(
            "{errno}: offline, or outside the cpuset of this process's cgroup \
             (cpuset.cpus.effective); this process may use {}",
            format_list(&allowed())
        ),
        None => errno.to_string(),
    }
}

/// Checks that every one of these CPUs may be used.
///
/// # Errors
///
/// Names the first that may not.
pub fn check_allowed(cpus: &[usize], allowed: &[usize]) -> Result<(), CpusError> {
    match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => Err(CpusError::NotAllowed { cpu: *cpu, allowed: allowed.to_vec() }),
        None => Ok(()),
    }
}

/// The error with what to give `--cpus`, where a list can mend it.
pub(crate) fn with_option(error: &CpusError) -> String {
    match error {
        CpusError::NotAllowed { allowed, .. } => {
            format!("{error}: use --cpus {}", format_list(allowed))
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(parse_list("0-3,8"), Ok(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse_list("5, 2,5"), Ok(vec![2, 5]));
        assert_eq!(parse_list("1023"), Ok(vec![1023]));
        for text in ["", "a", "1-", "-1", "1,,2", "1-2-3", "0-99999999999999999999", "0x1"] {
            assert_eq!(parse_list(text), Err(CpusError::NotAList(text.to_owned())), "{text}");
        }
        assert_eq!(parse_list("0,3-1"), Err(CpusError::Backwards { first: 3, last: 1 }));
        assert_eq!(parse_list("1024"), Err(CpusError::TooHigh(1024)));
        assert_eq!(parse_list("0-99999999999"), Err(CpusError::TooHigh(99_999_999_999)));
    }

    #[test]
    fn a_pinned_thread_is_on_its_cpu() {
        for cpu in allowed() {
            thread::spawn(move || {
                pin(cpu).expect("the CPU is in the mask");
                assert_eq!(allowed(), [cpu]);
                assert_eq!(rustix::thread::sched_getcpu(), cpu);
            })
            .join()
            .expect("it stays there");
        }
        let absent = CpuSet::MAX_CPU - 1;
        assert!(!allowed().contains(&absent));
        assert_eq!(pin(absent), Err(Errno::INVAL));
    }

    #[test]
    fn without_a_mask_there_are_the_cpus_that_are_online_and_permitted() {
        assert_eq!(online(), allowed());
        assert_eq!(members_of(parse_ranges("3,0-1,1000-2047").unwrap()).len(), 3 + 24);
    }

    #[test]
    fn looking_whether_threads_can_be_pinned_changes_nothing() {
        let before = allowed();
        assert_eq!(PinningRefusal::detect(), None);
        assert_eq!(allowed(), before);
    }

    #[test]
    fn a_refusal_names_who_refuses_and_what_to_do() {
        let of = |is_filtered| PinningRefusal { errno: Errno::PERM, is_filtered }.warning();
        let filtered = of(true);
        for words in ["the seccomp filter of the container", "--security-opt seccomp="] {
            assert!(filtered.contains(words), "{words} in {filtered}");
        }
        let module = of(false);
        assert!(module.contains("no seccomp filter forbids"), "{module}");
        assert!(module.contains("setsched") && !module.contains("docker"), "{module}");
    }

    #[test]
    fn a_cpu_outside_the_cpuset_is_no_refusal() {
        assert_eq!(PinningRefusal::of(Errno::INVAL), None);
        let text = explain(&io::Error::from_raw_os_error(Errno::INVAL.raw_os_error()));
        assert!(text.contains("cpuset.cpus.effective"), "{text}");
        assert!(text.ends_with(&format_list(&allowed())), "{text}");
        let text = explain(&io::Error::from_raw_os_error(Errno::PERM.raw_os_error()));
        assert!(text.contains("sched_setaffinity: ") && text.contains("; to fix it: "), "{text}");
    }

    #[test]
    fn a_cpu_outside_the_mask_is_named() {
        let error = check_allowed(&[0, 5], &[0, 1, 2, 4]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "CPU 5 is not one this process may use: its affinity mask is 0-2,4"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            cpus in proptest::collection::btree_set(0_usize..1024, 1..50),
        ) {
            let cpus: Vec<usize> = cpus.into_iter().collect();
            prop_assert_eq!(parse_list(&format_list(&cpus)), Ok(cpus));
        }
    }
}
