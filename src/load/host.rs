//! The machine that a measurement was made on.

use std::fs;
use std::thread;

/// What about the generator's host bears on the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Release of the kernel.
    pub kernel: String,
    /// Name of the CPU, where the kernel tells it.
    pub cpu_model: Option<String>,
    /// CPUs that this process may use.
    pub cpus: usize,
}

impl Host {
    /// Asks the kernel.
    pub(super) fn detect() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")
            .map_or_else(|_| "unknown".to_owned(), |release| release.trim().to_owned());
        let cpu_model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| cpu_model(&text));
        Self { kernel, cpu_model, cpus: thread::available_parallelism().map_or(1, usize::from) }
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, model)| model.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_first_cpus() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Fast  CPU @ 3 GHz\n\nmodel name\t: Other\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("Fast CPU @ 3 GHz"));
        assert_eq!(cpu_model("processor\t: 0\n"), None);
    }
}
