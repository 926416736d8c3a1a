//! Lists of CPUs as people write them: `0-3,8`.

use std::fmt;
use std::str::FromStr;

/// CPUs in the order named, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

/// Why a list of CPUs was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: write CPUs and ranges such as 0-3,8")]
pub struct CpuListError {
    reason: String,
}

/// `CPU_SETSIZE`: the affinity calls of the C library know no higher CPU.
const MAX_CPU: usize = 1023;

impl FromStr for CpuList {
    type Err = CpuListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut cpus = Vec::new();
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (cpu(first)?, cpu(last)?);
            if first > last {
                return Err(error(format!("the range {item} runs backwards")));
            }
            for cpu in first..=last {
                if cpus.contains(&cpu) {
                    return Err(error(format!("CPU {cpu} is named twice")));
                }
                cpus.push(cpu);
            }
        }
        Ok(Self(cpus))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&cpus.join(","))
    }
}

fn cpu(text: &str) -> Result<usize, CpuListError> {
    match text.parse() {
        Ok(cpu) if cpu <= MAX_CPU => Ok(cpu),
        Ok(cpu) => Err(error(format!("CPU {cpu} is above {MAX_CPU}"))),
        Err(_) => Err(error(format!("'{text}' is not a CPU number"))),
    }
}

fn error(reason: String) -> CpuListError {
    CpuListError { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_numbers_keep_their_order() {
        assert_eq!("8,0-3".parse(), Ok(CpuList(vec![8, 0, 1, 2, 3])));
        assert_eq!("8,0-1".parse::<CpuList>().expect("valid").to_string(), "8,0,1");
    }

    #[test]
    fn nonsense_is_named() {
        for (text, reason) in [
            ("", "'' is not a CPU number"),
            ("0,", "'' is not a CPU number"),
            ("a", "'a' is not a CPU number"),
            ("-1", "'' is not a CPU number"),
            ("3-1", "the range 3-1 runs backwards"),
            ("0-2,1", "CPU 1 is named twice"),
            ("0-99999999", "CPU 99999999 is above 1023"),
        ] {
            let error = text.parse::<CpuList>().expect_err(text);
            assert_eq!(error.reason, reason);
        }
    }
}
