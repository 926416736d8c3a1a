//! Limits of the process.

use std::io;

use rlimit::{INFINITY, Resource};

use crate::doctor::check::Check;
use crate::server::{Config, DriverKind, FEW_CONNECTIONS};

/// Descriptors, as the process found them: servers raise the soft limit to the hard one.
pub(crate) fn descriptors(found: &io::Result<(u64, u64)>, config: &Config) -> Check {
    const NAME: &str = "descriptors";
    match found {
        Ok(found) => of_descriptors(NAME, *found, config.connections_within_descriptors()),
        Err(error) => unknown(NAME, error),
    }
}

/// Memory that may be locked. Where rings work they were let have what they need.
pub(crate) fn memlock(config: &Config) -> Check {
    const NAME: &str = "memlock";
    let needed = config.cpus.len() * config.ring.locked_memory();
    let rings_work = config.driver == DriverKind::Uring;
    match Resource::MEMLOCK.get() {
        Ok((soft, _)) => of_memlock(NAME, soft, needed, rings_work),
        Err(error) => unknown(NAME, &error),
    }
}

fn unknown(name: &'static str, error: &io::Error) -> Check {
    Check::warn(
        name,
        format!("unknown: the limit cannot be read: {error}"),
        "allow the system call prlimit64 in the seccomp profile of the container or service",
    )
}

fn of_descriptors(name: &'static str, (soft, hard): (u64, u64), connections: usize) -> Check {
    let limit =
        |limit: u64| if limit == INFINITY { "unlimited".to_owned() } else { limit.to_string() };
    let found = format!(
        "soft limit {}, hard limit {}; room for connections: {connections}",
        limit(soft),
        limit(hard)
    );
    if connections < FEW_CONNECTIONS {
        let fix = "ulimit -n 65536 (docker run --ulimit nofile=65536, in a systemd unit \
                   LimitNOFILE=65536)";
        Check::warn(name, found, fix)
    } else {
        Check::ok(name, found)
    }
}

fn of_memlock(
    name: &'static str,
    limit_bytes: u64,
    needed_bytes: usize,
    rings_work: bool,
) -> Check {
    let needed_kib = needed_bytes.div_ceil(1 << 10);
    match limit_bytes {
        INFINITY => Check::ok(name, "unlimited"),
        bytes if rings_work || bytes >= needed_bytes as u64 => Check::ok(
            name,
            format!("{} KiB, the rings take {needed_kib} KiB of it at most", bytes >> 10),
        ),
        bytes => Check::warn(
            name,
            format!("{} KiB, but the rings may need {needed_kib} KiB", bytes >> 10),
            "ulimit -l unlimited (docker run --ulimit memlock=-1, in a systemd unit \
             LimitMEMLOCK=infinity)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status;

    #[test]
    fn room_for_few_connections_is_a_warning() {
        let few = of_descriptors("descriptors", (100, INFINITY), 71);
        assert_eq!(few.status, Status::Warn);
        let expected = "soft limit 100, hard limit unlimited; room for connections: 71";
        assert_eq!(few.found, expected);
        assert_eq!(of_descriptors("descriptors", (100, INFINITY), 1_000_000).status, Status::Ok);
    }

    #[test]
    fn memory_that_may_be_locked_is_compared_with_what_rings_take() {
        let status = |limit, works| of_memlock("memlock", limit, 400 << 10, works).status;
        assert_eq!(status(INFINITY, false), Status::Ok);
        assert_eq!(status(400 << 10, false), Status::Ok);
        assert_eq!(status(64 << 10, false), Status::Warn);
        // Kernels from 5.12 to 6.13 charge nothing, and root is not bound.
        assert_eq!(status(64 << 10, true), Status::Ok);
    }
}
