//! The machine that a measurement was made on.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cpus;
use crate::load::format::{printable, rfc3339};
use crate::sys;

/// Facts about the generator's host that bear on the numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name, as the kernel has it.
    pub name: Option<String>,
    /// Release of the kernel.
    pub kernel: String,
    /// Name of the CPU, where the kernel tells it.
    pub cpu_model: Option<String>,
    /// How many CPUs the process may use.
    pub cpus: usize,
    /// Which CPUs these are, as in 0-3,8: its affinity mask.
    pub affinity: String,
    /// CPUs that are online.
    pub online: Option<String>,
    /// Where the kernel takes the time from: anything but `tsc` on x86 makes reading it slow.
    pub clock_source: Option<String>,
    /// How the time of day is kept, where the kernel tells.
    pub clock: Option<ClockState>,
    /// How the frequency of the CPUs is chosen, where that is visible; each governor once.
    pub governors: Vec<String>,
    /// Threads that ran or wanted to, averaged over the minute before the run.
    pub load_average: Option<f64>,
    /// The words of the command line.
    pub command_line: Vec<String>,
    /// When the measurement started, by the host's clock, where that makes sense.
    #[schemars(extend("format" = "date-time"))]
    pub began: Option<String>,
    /// Version of ringback-load.
    pub version: String,
}

impl Host {
    /// Asks the kernel. To be asked before the run, which loads the machine itself.
    pub(crate) fn detect() -> Self {
        let cpus = cpus::allowed();
        Self {
            name: Some(name()),
            kernel: line("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            cpu_model: fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| cpu_model(&text)),
            online: line("/sys/devices/system/cpu/online"),
            clock_source: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            clock: ClockState::read(),
            governors: governors(&cpus),
            load_average: line("/proc/loadavg").and_then(|text| load_average(&text)),
            command_line: std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            began: rfc3339(SystemTime::now()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cpus: cpus.len(),
            affinity: cpus::format_list(&cpus),
        }
    }
}

/// The name of this host; of a container, its own.
pub(crate) fn name() -> String {
    printable(&rustix::system::uname().nodename().to_string_lossy())
}

/// The time of day of a host, as its kernel keeps it (adjtimex(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockState {
    /// True if something keeps it right, such as chrony, and said so lately.
    pub synchronised: bool,
    /// By how much it may be wrong; without meaning where it is not synchronised.
    pub max_error_ns: u64,
}

impl ClockState {
    pub(crate) fn read() -> Option<Self> {
        let sys::clock::Discipline { is_synchronised, max_error_us } =
            sys::clock::discipline().ok()?;
        Some(Self { synchronised: is_synchronised, max_error_ns: max_error_us * 1000 })
    }
}

/// The time of each CPU since the machine started, from `/proc/stat` (`proc_stat(5)`).
pub(crate) struct CpuStat(String);

impl CpuStat {
    const IDLE: usize = 3;
    const IOWAIT: usize = 4;
    const IRQ: usize = 5;
    const SOFTIRQ: usize = 6;
    const STEAL: usize = 7;

    pub(crate) fn read() -> Self {
        // Of what cannot be read nothing is known.
        Self(fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// Time in nanoseconds that the hypervisor kept these CPUs from running, added up; `None` where
    /// the kernel does not tell.
    pub(crate) fn stolen_ns(&self, cpus: &[usize]) -> Option<u64> {
        self.nanos(Self::STEAL, cpus)
    }

    /// Time in nanoseconds that these CPUs had nothing to run, added up.
    pub(crate) fn idle_ns(&self, cpus: &[usize]) -> Option<u64> {
        Some(self.nanos(Self::IDLE, cpus)? + self.nanos(Self::IOWAIT, cpus)?)
    }

    /// Time in nanoseconds that these CPUs spent on interrupts, added up, where that is no thread's.
    pub(crate) fn interrupts_ns(&self, cpus: &[usize]) -> Option<u64> {
        are_interrupts_accounted_apart()
            .then(|| Some(self.nanos(Self::IRQ, cpus)? + self.nanos(Self::SOFTIRQ, cpus)?))?
    }

    fn nanos(&self, field: usize, cpus: &[usize]) -> Option<u64> {
        let ns_per_tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        self.ticks(field, cpus).map(|ticks| ticks * ns_per_tick)
    }

    /// The sum of a field over the CPUs' lines.
    fn ticks(&self, field: usize, cpus: &[usize]) -> Option<u64> {
        let of_cpu = |line: &str| -> Option<u64> {
            let mut fields = line.strip_prefix("cpu")?.split(' ');
            let is_asked_for = cpus.contains(&fields.next()?.parse().ok()?);
            is_asked_for.then(|| fields.nth(field)?.parse().ok())?
        };
        self.0.lines().filter_map(of_cpu).reduce(|sum, ticks| sum + ticks)
    }
}

/// Returns whether the kernel leaves interrupts out of the time of the threads they interrupt
/// (`CONFIG_IRQ_TIME_ACCOUNTING`): only then it has this file (`kernel/sched/psi.c`).
fn are_interrupts_accounted_apart() -> bool {
    Path::new("/proc/pressure/irq").exists()
}

fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, model)| model.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn governors(cpus: &[usize]) -> Vec<String> {
    let path = |cpu| format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    let mut governors: Vec<String> = cpus.iter().filter_map(|cpu| line(&path(cpu))).collect();
    governors.sort_unstable();
    governors.dedup();
    governors
}

fn load_average(loadavg: &str) -> Option<f64> {
    loadavg.split_whitespace().next()?.parse().ok()
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

    #[test]
    fn stolen_time_is_that_of_the_cpus_asked_for() {
        let stat = "cpu  100 2 30 4000 5 0 6 77 0 0\ncpu0 50 1 15 2000 2 0 3 38 0 0\n\
                    cpu1 25 1 15 2000 2 0 3 39 0 0\ncpu12 25 0 0 0 0 0 0 40 0 0\nintr 7 0\n";
        let stat = CpuStat(stat.to_owned());
        for (field, cpus, ticks) in [
            (CpuStat::STEAL, &[0][..], Some(38)),
            (CpuStat::STEAL, &[1, 12], Some(79)),
            (CpuStat::STEAL, &[2], None),
            (CpuStat::IDLE, &[0, 1], Some(4000)),
            (CpuStat::IRQ, &[0, 1], Some(0)),
            (CpuStat::SOFTIRQ, &[0], Some(3)),
        ] {
            assert_eq!(stat.ticks(field, cpus), ticks, "{field} {cpus:?}");
        }
        assert_eq!(CpuStat("cpu0 100 2 30 4000\n".to_owned()).ticks(CpuStat::STEAL, &[0]), None);
    }

    #[test]
    fn the_load_is_the_last_minutes() {
        assert_eq!(load_average("1.25 0.80 0.40 2/345 6789\n"), Some(1.25));
        assert_eq!(load_average(""), None);
    }

    #[test]
    fn this_host_says_what_every_linux_does() {
        let host = Host::detect();
        assert!(host.kernel.starts_with(|c: char| c.is_ascii_digit()), "{}", host.kernel);
        assert!(host.cpus > 0 && !host.command_line.is_empty());
        assert!(
            host.load_average.is_some() && CpuStat::read().stolen_ns(&cpus::allowed()).is_some()
        );
    }
}
