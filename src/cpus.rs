//! Lists of CPUs, and which of them this process may use.

/// The C library's `CPU_SETSIZE`: its affinity calls know no higher CPU than one below.
const CPU_SETSIZE: usize = 1024;

/// Why threads cannot be placed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpusError {
    /// The text is not a list of CPUs.
    #[error("{0:?} is not a list of CPUs: write numbers and ranges, as in 0-3,8")]
    NotAList(String),
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
        if first > last || last >= CPU_SETSIZE {
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

/// The CPUs in this process's affinity mask, ascending.
pub fn allowed() -> Vec<usize> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let mut cpus: Vec<usize> = cores.iter().map(|core| core.id).collect();
    cpus.sort_unstable();
    cpus
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
