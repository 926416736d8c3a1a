//! The kernel and its io_uring.

use crate::doctor::check::Check;
use crate::doctor::host::Host;
use crate::sys::{self, Feature, Need, Release};

/// Without a ring there is one line for all features: that there is none, and why.
pub(crate) fn features() -> Vec<Check> {
    sys::examine().into_iter().map(of_feature).collect()
}

pub(crate) fn kernel() -> Check {
    of_release(&Release::running())
}

/// The sysctl that takes io_uring from everybody or from most, which need not be this process.
pub(crate) fn switch(host: &Host, rings_work: bool) -> Check {
    const NAME: &str = "kernel.io_uring_disabled";
    let enable = "sysctl -w kernel.io_uring_disabled=0";
    match host.sysctl(NAME).as_deref() {
        Ok("0") => Check::ok(NAME, "0"),
        Ok("1") if rings_work => Check::ok(NAME, "1, and this process is one of the privileged"),
        Ok("1") => Check::warn(
            NAME,
            "1: only for CAP_SYS_ADMIN and members of the group kernel.io_uring_group",
            enable,
        ),
        Ok(other) => Check::warn(NAME, format!("{other}: for nobody"), enable),
        Err(_) if !Release::running().is_at_least(6, 6) => {
            Check::ok(NAME, "there is no such switch before Linux 6.6")
        }
        Err(unknown) => unknown.check(NAME),
    }
}

fn of_feature(Feature { name, need, verdict }: Feature) -> Check {
    let use_of_it = match need {
        Need::AnyRing => "",
        Need::Native => ", the native driver needs it",
        Need::Speed => ", without it a worker runs a little slower",
    };
    match verdict {
        Ok(()) => Check::ok(name, "works"),
        Err(refusal) => Check::warn(name, format!("{}{use_of_it}", refusal.cause), refusal.fix),
    }
}

fn of_release(release: &Release) -> Check {
    const NAME: &str = "kernel";
    if release.is_at_least(6, 1) {
        Check::ok(NAME, release.to_string())
    } else if release.is_at_least(6, 0) {
        let found = format!("{release}: the fast mode of io_uring came with 6.1");
        Check::warn(NAME, found, "boot Linux 6.1 or newer")
    } else {
        let found = format!("{release}: the native driver needs what came with 6.0");
        Check::warn(NAME, found, "boot Linux 6.1 or newer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status;
    use crate::doctor::host::tests::host;

    #[test]
    fn a_kernel_is_judged_by_what_came_when() {
        let status = |text| of_release(&Release::parse(text)).status;
        assert_eq!(status("6.18.0"), Status::Ok);
        assert_eq!(status("6.0.19"), Status::Warn);
        assert_eq!(status("5.15.0-91-generic"), Status::Warn);
    }

    #[test]
    fn the_switch_is_told_with_the_command_that_sets_it() {
        let check = |text, rings_work| {
            let (_root, host) = host(&[("proc/sys/kernel/io_uring_disabled", text)]);
            switch(&host, rings_work)
        };
        assert_eq!(check("0\n", true).status, Status::Ok);
        assert_eq!(check("1\n", true).status, Status::Ok);
        for blocked in ["1\n", "2\n"] {
            let check = check(blocked, false);
            assert_eq!(check.status, Status::Warn, "{blocked}");
            assert_eq!(check.fix.as_deref(), Some("sysctl -w kernel.io_uring_disabled=0"));
        }
    }
}
