//! Lists of CPUs, which of them this process may use, and threads that stay on one.

use std::io;

use core_affinity::CoreId;
use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_getaffinity};

/// Why threads cannot be placed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    let not_a_list = || CpusError::NotAList(text.to_owned());
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| not_a_list())?;
        let last: usize = last.trim().parse().map_err(|_| not_a_list())?;
        if first > last {
            return Err(CpusError::Backwards { first, last });
        }
        if last >= CpuSet::MAX_CPU {
            return Err(CpusError::TooHigh(last));
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
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

/// The CPUs in the calling thread's affinity mask, ascending. Offline CPUs are not among them.
pub fn allowed() -> Vec<usize> {
    // Refused only where the kernel's own mask is longer than `CpuSet`: nothing is known then.
    sched_getaffinity(None).map(|mask| members(&mask)).unwrap_or_default()
}

/// Pins the calling thread to one CPU, and looks whether it is.
///
/// # Errors
///
/// `EINVAL` when the CPU is offline or outside the process's cpuset; `EPERM` from a sandbox. A mask
/// that is not the one asked for counts as `EINVAL`.
pub(crate) fn pin(cpu: usize) -> Result<(), Errno> {
    if !core_affinity::set_for_current(CoreId { id: cpu }) {
        let error = io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL));
    }
    if members(&sched_getaffinity(None)?) == [cpu] { Ok(()) } else { Err(Errno::INVAL) }
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

fn members(mask: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect()
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
