//! Limits of the process.

use rustix::process::{Resource, Rlimit, getrlimit};

use crate::doctor::check::Check;
use crate::server::{Config, DriverKind, FEW_CONNECTIONS};

/// Descriptors, as the process found them: servers raise the soft limit to the hard one.
pub(crate) fn descriptors(found: Rlimit, config: &Config) -> Check {
    of_descriptors(found, config.connections_within_descriptors())
}

/// Memory that may be locked. Where rings work they were let have what they need.
pub(crate) fn memlock(config: &Config) -> Check {
    let needed = config.cpus.len() * config.ring.locked_memory();
    let rings_work = config.driver == DriverKind::Uring;
    of_memlock(getrlimit(Resource::Memlock).current, needed, rings_work)
}

fn of_descriptors(Rlimit { current, maximum }: Rlimit, connections: usize) -> Check {
    const NAME: &str = "descriptors";
    let limit = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |it| it.to_string());
    let found = format!(
        "soft limit {}, hard limit {}; room for connections: {connections}",
        limit(current),
        limit(maximum)
    );
    if connections < FEW_CONNECTIONS {
        let fix = "ulimit -n 65536 (docker run --ulimit nofile=65536, in a systemd unit \
                   LimitNOFILE=65536)";
        Check::warn(NAME, found, fix)
    } else {
        Check::ok(NAME, found)
    }
}

fn of_memlock(limit_bytes: Option<u64>, needed_bytes: usize, rings_work: bool) -> Check {
    const NAME: &str = "memlock";
    let needed_kib = needed_bytes.div_ceil(1 << 10);
    match limit_bytes {
        None => Check::ok(NAME, "unlimited"),
        Some(bytes) if rings_work || bytes >= needed_bytes as u64 => Check::ok(
            NAME,
            format!("{} KiB, the rings take {needed_kib} KiB of it at most", bytes >> 10),
        ),
        Some(bytes) => Check::warn(
            NAME,
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
        let limits = Rlimit { current: Some(100), maximum: None };
        let few = of_descriptors(limits, 71);
        assert_eq!(few.status, Status::Warn);
        let expected = "soft limit 100, hard limit unlimited; room for connections: 71";
        assert_eq!(few.found, expected);
        assert_eq!(of_descriptors(limits, 1_000_000).status, Status::Ok);
    }

    #[test]
    fn memory_that_may_be_locked_is_compared_with_what_rings_take() {
        let status = |limit, works| of_memlock(limit, 400 << 10, works).status;
        assert_eq!(status(None, false), Status::Ok);
        assert_eq!(status(Some(400 << 10), false), Status::Ok);
        assert_eq!(status(Some(64 << 10), false), Status::Warn);
        // Kernels from 5.12 to 6.13 charge nothing, and root is not bound.
        assert_eq!(status(Some(64 << 10), true), Status::Ok);
    }
}
