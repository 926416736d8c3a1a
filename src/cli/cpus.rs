//! CPU lists, and who runs where.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity};

/// Why threads cannot be placed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpusError {
    /// The text is not a list of CPUs.
    #[error("{0:?} is not a list of CPUs: write numbers and ranges, as in 0-3,8")]
    NotAList(String),
    /// The process may not run on this CPU.
    #[error("CPU {cpu} is not one this process may use: choose from {}", format_list(.allowed))]
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
        if first > last || last >= CpuSet::MAX_CPU {
            return Err(not_a_list());
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

/// The CPUs that this process may run on, ascending.
///
/// # Errors
///
/// When the kernel does not say, as with more than 1024 CPUs.
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
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

/// Who runs where in a run of the load generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    /// CPU of the embedded server's one worker, where there is one.
    pub(super) server: Option<usize>,
    /// CPUs of the generator's threads; none means anywhere.
    pub(super) generator: Vec<usize>,
    pub(super) threads: usize,
    /// Whether every generator thread has a CPU to itself, so that polling costs nobody anything.
    pub(super) may_spin: bool,
}

impl Placement {
    /// Keeps the embedded server and the generator apart if that can be done: the server on the
    /// first allowed CPU that the generator was not given, the generator on the others.
    ///
    /// `cpus` and `threads` are what the user asked for. There are never more threads than
    /// connections.
    pub(super) fn choose(
        allowed: &[usize],
        is_embedded: bool,
        cpus: Option<&[usize]>,
        threads: Option<usize>,
        connections: usize,
    ) -> Self {
        let generator = match cpus {
            Some(cpus) => cpus.to_vec(),
            None if is_embedded && allowed.len() > 1 => allowed[1..].to_vec(),
            None if is_embedded => allowed.to_vec(),
            None => Vec::new(),
        };
        let server = is_embedded.then(|| {
            let free = allowed.iter().find(|cpu| !generator.contains(cpu));
            *free.unwrap_or(&allowed[0])
        });
        let threads = threads.unwrap_or(cpus.map_or(1, <[usize]>::len)).min(connections);
        let own_cpus = match (generator.len(), server) {
            (0, _) => allowed.len().saturating_sub(1),
            (several, Some(server)) if generator.contains(&server) => several - 1,
            (several, _) => several,
        };
        Self { server, generator, threads, may_spin: threads <= own_cpus }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(parse_list("0-3,8"), Ok(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse_list("5, 2,5"), Ok(vec![2, 5]));
        for text in ["", "a", "3-1", "1-", "-1", "1,,2", "0-99999999999", "1025"] {
            assert_eq!(parse_list(text), Err(CpusError::NotAList(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_cpu_outside_the_mask_is_named() {
        let error = check_allowed(&[0, 5], &[0, 1, 2, 4]).unwrap_err();
        assert_eq!(error.to_string(), "CPU 5 is not one this process may use: choose from 0-2,4");
    }

    #[test]
    fn server_and_generator_are_kept_apart() {
        let choose = |allowed: &[usize], cpus: Option<&[usize]>, threads| {
            let placement = Placement::choose(allowed, true, cpus, threads, 64);
            (placement.server, placement.generator, placement.threads, placement.may_spin)
        };
        assert_eq!(choose(&[0, 1], None, None), (Some(0), vec![1], 1, true));
        assert_eq!(choose(&[2, 4, 6], None, Some(2)), (Some(2), vec![4, 6], 2, true));
        assert_eq!(choose(&[0, 1], Some(&[0]), None), (Some(1), vec![0], 1, true));
        assert_eq!(choose(&[0, 1, 2, 3], Some(&[1, 2]), None), (Some(0), vec![1, 2], 2, true));
        assert_eq!(choose(&[0, 1], None, Some(2)), (Some(0), vec![1], 2, false));
    }

    #[test]
    fn one_cpu_is_shared_without_polling() {
        let placement = Placement::choose(&[3], true, None, None, 64);
        let expected =
            Placement { server: Some(3), generator: vec![3], threads: 1, may_spin: false };
        assert_eq!(placement, expected);
    }

    #[test]
    fn against_another_server_the_scheduler_places_the_generator() {
        let placement = Placement::choose(&[0, 1], false, None, None, 64);
        let expected = Placement { server: None, generator: vec![], threads: 1, may_spin: true };
        assert_eq!(placement, expected);
        assert_eq!(Placement::choose(&[0, 1], false, Some(&[0, 1]), None, 1).threads, 1);
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
