//! Where workers run, and by which clock.

use std::collections::BTreeSet;

use rustix::io::Errno;

use crate::cgroup::CpuQuota;
use crate::cpus::{self, PinningRefusal};
use crate::doctor::check::Check;
use crate::doctor::host::Host;

/// Clocks that are read without a system call are as good as any, these are not.
const SLOW_CLOCKS: [&str; 6] = ["hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies", "xen"];

const QUOTA: &str = "cpu quota";

pub(crate) fn affinity() -> Check {
    of_mask(cpus::mask().err(), &cpus::allowed())
}

/// Checks that workers stay where they are put.
pub(crate) fn pinning() -> Check {
    of_pinning(PinningRefusal::detect())
}

/// Workers that use up a quota stand still for the rest of its period, all of them.
pub(crate) fn quota(host: &Host) -> Check {
    match host.read("/proc/self/cgroup") {
        Ok(_) => of_quota(CpuQuota::detect(host.root()).as_ref(), cpus::allowed().len()),
        Err(unknown) => unknown.check(QUOTA),
    }
}

/// The clock that every deadline and every measured latency is read from.
pub(crate) fn clock(host: &Host) -> Check {
    const NAME: &str = "clock source";
    const DIRECTORY: &str = "/sys/devices/system/clocksource/clocksource0";
    let current = match host.read(&format!("{DIRECTORY}/current_clocksource")) {
        Ok(current) => current,
        Err(unknown) => return unknown.check(NAME),
    };
    if !SLOW_CLOCKS.contains(&current.as_str()) {
        return Check::ok(NAME, current);
    }
    let available = host.read(&format!("{DIRECTORY}/available_clocksource")).unwrap_or_default();
    let better = available.split_whitespace().find(|clock| !SLOW_CLOCKS.contains(clock));
    let fix = better.map_or_else(
        || "boot with clocksource=tsc tsc=reliable".to_owned(),
        |better| format!("echo {better} > {DIRECTORY}/current_clocksource"),
    );
    Check::warn(NAME, format!("{current}: every look at it is slow"), fix)
}

/// Virtual machines mostly do not see one.
pub(crate) fn governor(host: &Host) -> Check {
    let governors = cpus::allowed().into_iter().filter_map(|cpu| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
        host.read(&path).ok()
    });
    of_governors(&governors.collect())
}

fn of_mask(unreadable: Option<Errno>, usable: &[usize]) -> Check {
    const NAME: &str = "affinity";
    let noun = if usable.len() == 1 { "CPU" } else { "CPUs" };
    let found = format!("{} {noun}: {}", usable.len(), cpus::format_list(usable));
    match unreadable {
        None => Check::ok(NAME, found),
        Some(errno) => Check::warn(
            NAME,
            format!("{found}, those online: the mask cannot be read: sched_getaffinity: {errno}"),
            format!("name the CPUs to use, as in --cpus {}", cpus::format_list(usable)),
        ),
    }
}

fn of_pinning(refusal: Option<PinningRefusal>) -> Check {
    const NAME: &str = "pinning";
    match refusal {
        None => Check::ok(NAME, "workers can be pinned to CPUs"),
        Some(refusal) => {
            Check::warn(NAME, format!("workers run on any CPU: {refusal}"), refusal.fix())
        }
    }
}

fn of_quota(quota: Option<&CpuQuota>, allowed: usize) -> Check {
    let Some(quota) = quota else { return Check::ok(QUOTA, "none") };
    let workers = quota.cpus().min(allowed);
    if quota.keeps_busy(workers) {
        return Check::ok(QUOTA, format!("{quota}, enough for {workers} by default"));
    }
    let fix = format!(
        "docker update --cpus {workers} CONTAINER (in Kubernetes resources.limits.cpu: {workers}, \
         in a systemd unit CPUQuota={}%)",
        100 * workers
    );
    Check::warn(QUOTA, format!("{quota}, not enough for {workers} at full load"), fix)
}

fn of_governors(governors: &BTreeSet<String>) -> Check {
    const NAME: &str = "cpu governor";
    let found = governors.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match found.as_str() {
        "" => Check::ok(NAME, "not visible here"),
        "performance" => Check::ok(NAME, found),
        _ => Check::warn(
            NAME,
            format!("{found}: a CPU that slept is slow at first"),
            "cpupower frequency-set -g performance",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status;
    use crate::doctor::host::tests::host;

    #[test]
    fn a_mask_that_cannot_be_read_is_a_warning() {
        let cpus = [0, 1, 2, 7];
        assert_eq!(of_mask(None, &cpus).found, "4 CPUs: 0-2,7");
        let check = of_mask(Some(Errno::INVAL), &cpus);
        assert_eq!(check.status, Status::Warn);
        assert!(check.found.starts_with("4 CPUs: 0-2,7, those online: "), "{}", check.found);
        assert!(check.fix.expect("there is one").ends_with("--cpus 0-2,7"));
    }

    #[test]
    fn a_quota_that_workers_would_exceed_is_a_warning() {
        let check =
            |hundredths, allowed| of_quota(Some(&CpuQuota::of_cpus(hundredths, 100)), allowed);
        assert_eq!(of_quota(None, 4).status, Status::Ok);
        assert_eq!(check(200, 4).status, Status::Ok);
        assert_eq!(check(150, 1).status, Status::Ok);
        let short = check(150, 4);
        assert_eq!(short.status, Status::Warn);
        assert!(short.fix.expect("there is one").starts_with("docker update --cpus 2 CONTAINER"));
        assert_eq!(check(50, 1).status, Status::Warn);
        let (_root, nowhere) = host(&[]);
        assert_eq!(quota(&nowhere).found, "unknown: /proc/self/cgroup: there is no such file");
    }

    #[test]
    fn a_slow_clock_is_changed_for_the_one_that_is_there() {
        const CURRENT: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        const AVAILABLE: &str = "sys/devices/system/clocksource/clocksource0/available_clocksource";
        let check = |files: &[(&str, &str)]| clock(&host(files).1);
        assert_eq!(check(&[(CURRENT, "tsc\n")]).status, Status::Ok);
        assert_eq!(check(&[(CURRENT, "kvm-clock\n")]).status, Status::Ok);
        let hpet = check(&[(CURRENT, "hpet\n"), (AVAILABLE, "hpet tsc acpi_pm \n")]);
        let fix = format!("echo tsc > /{CURRENT}");
        assert_eq!((hpet.status, hpet.fix), (Status::Warn, Some(fix)));
        let only = check(&[(CURRENT, "acpi_pm\n"), (AVAILABLE, "acpi_pm\n")]);
        assert_eq!(only.fix.as_deref(), Some("boot with clocksource=tsc tsc=reliable"));
        assert_eq!(check(&[]).status, Status::Warn);
    }

    #[test]
    fn governors_that_save_power_are_told() {
        let check = |names: &[&str]| of_governors(&names.iter().map(ToString::to_string).collect());
        assert_eq!(check(&[]).status, Status::Ok);
        assert_eq!(check(&["performance"]).status, Status::Ok);
        let mixed = check(&["powersave", "performance"]);
        assert_eq!(mixed.status, Status::Warn);
        assert!(mixed.found.starts_with("performance, powersave"), "{}", mixed.found);
    }
}
