//! Memory that a server of the default configuration may take, and what there is.

use crate::cgroup::MemoryLimit;
use crate::doctor::check::Check;
use crate::doctor::host::Host;
use crate::server::{Config, MemoryBound};

pub(crate) fn bound(host: &Host, config: &Config) -> Check {
    const NAME: &str = "memory";
    let bound = config.memory_bound();
    let formula = bound.to_string();
    let formula = formula.strip_prefix("memory: ").unwrap_or(&formula);
    match MemoryLimit::detect(host.root()) {
        Some(limit) if bound.bytes() as u64 > limit.bytes => Check::warn(
            NAME,
            format!("{formula}; but there is only {limit}"),
            fix(&bound, limit.bytes),
        ),
        Some(limit) => Check::ok(NAME, format!("{formula}; there is {limit}")),
        None => Check::ok(NAME, formula),
    }
}

/// Fewer connections, if that is enough.
fn fix(bound: &MemoryBound, bytes: u64) -> String {
    match bound.connections_within(usize::try_from(bytes).unwrap_or(usize::MAX)) {
        0 => "give the host or the container more memory".to_owned(),
        connections => format!("ringback serve --max-connections {connections}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status;
    use crate::doctor::host::tests::host;

    fn with_a_million_connections() -> Config {
        let address = Config::DEFAULT_ADDRESS.parse().expect("it is an address");
        Config { max_connections: 1_000_000, ..Config::new(vec![address]) }
    }

    #[test]
    fn the_bound_is_compared_with_what_there_is() {
        let config = with_a_million_connections();
        let check = |files: &[(&str, &str)]| bound(&host(files).1, &config);
        let plenty = check(&[("proc/meminfo", "MemTotal:  1000000000 kB\nMemFree: 1 kB\n")]);
        assert_eq!(plenty.status, Status::Ok);
        assert!(plenty.found.contains("1000000 connections x"), "{}", plenty.found);
        assert!(plenty.found.ends_with("there is 976562 MiB (/proc/meminfo)"), "{}", plenty.found);
        assert_eq!(check(&[]).status, Status::Ok);
        let none = check(&[("proc/meminfo", "MemTotal: 1000 kB\n")]);
        assert_eq!(none.status, Status::Warn);
        assert_eq!(none.fix.as_deref(), Some("give the host or the container more memory"));
    }

    #[test]
    fn a_container_that_is_too_small_is_told_how_many_connections_fit() {
        let config = with_a_million_connections();
        let most = config.memory_bound().bytes();
        let limit = (most - (1 << 20)).to_string();
        let (_root, host) = host(&[
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/memory.max", &limit),
        ]);
        let check = bound(&host, &config);
        let fix = check.fix.expect("it is more than there is");
        let fits = fix.strip_prefix("ringback serve --max-connections ").expect("it is that");
        let fits = fits.parse().expect("it is a number");
        let config = Config { max_connections: fits, ..config };
        assert!(config.memory_bound().bytes() <= most - (1 << 20));
        let config = Config { max_connections: fits + 1, ..config };
        assert!(config.memory_bound().bytes() > most - (1 << 20));
    }
}
