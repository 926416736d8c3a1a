//! The kernel's TCP settings.

use crate::doctor::check::Check;
use crate::doctor::host::{Host, Unknown};
use crate::server;

/// Backlog that servers ask `listen(2)` for, and the kernel lowers to its own limit.
const BACKLOG: u64 = server::BACKLOG as u64;
/// Ports that a generator with thousands of connections needs towards one address.
const MANY_PORTS: u64 = 20_000;

pub(crate) fn all(host: &Host, server_port: u16) -> [Check; 4] {
    [somaxconn(host), syn_backlog(host), migrate(host), ports(host, server_port)]
}

fn somaxconn(host: &Host) -> Check {
    const NAME: &str = "net.core.somaxconn";
    judge(NAME, host.sysctl_number(NAME), |limit| {
        if limit >= BACKLOG {
            return Check::ok(NAME, limit.to_string());
        }
        let found = format!("{limit}: more connections than that cannot wait to be accepted");
        Check::warn(NAME, found, format!("sysctl -w {NAME}={BACKLOG}"))
    })
}

/// With SYN cookies a full queue turns nobody away.
fn syn_backlog(host: &Host) -> Check {
    const NAME: &str = "net.ipv4.tcp_max_syn_backlog";
    let has_cookies = host.sysctl_number("net.ipv4.tcp_syncookies").is_ok_and(|value| value > 0);
    judge(NAME, host.sysctl_number(NAME), |limit| {
        if has_cookies {
            Check::ok(NAME, format!("{limit}, and SYN cookies beyond it"))
        } else if limit >= BACKLOG {
            Check::ok(NAME, limit.to_string())
        } else {
            let found = format!("{limit}: handshakes beyond that are dropped without SYN cookies");
            Check::warn(NAME, found, format!("sysctl -w {NAME}={BACKLOG}"))
        }
    })
}

fn migrate(host: &Host) -> Check {
    const NAME: &str = "net.ipv4.tcp_migrate_req";
    judge(NAME, host.sysctl_number(NAME), |value| match value {
        0 => Check::warn(
            NAME,
            "0: a restart with --share-port resets handshakes that the old server has not finished",
            format!("sysctl -w {NAME}=1"),
        ),
        _ => Check::ok(NAME, value.to_string()),
    })
}

/// The range that connections of clients, `ringback-load` among them, take their ports from.
fn ports(host: &Host, server_port: u16) -> Check {
    const NAME: &str = "net.ipv4.ip_local_port_range";
    judge(NAME, range(host, NAME), |(first, last)| {
        let (count, port) = ((last + 1).saturating_sub(first), u64::from(server_port));
        let found = format!("{first} to {last}");
        if count < MANY_PORTS {
            Check::warn(
                NAME,
                format!("{found}: ringback-load has at most {count} connections to one address"),
                format!("sysctl -w {NAME}='16384 60999'"),
            )
        } else if (first..=last).contains(&port) && !is_reserved(host, port) {
            Check::warn(
                NAME,
                format!("{found}: a client can take the port {port} before the server does"),
                format!("sysctl -w net.ipv4.ip_local_reserved_ports={port}"),
            )
        } else {
            Check::ok(NAME, format!("{found}: {count} connections to one address"))
        }
    })
}

fn range(host: &Host, name: &str) -> Result<(u64, u64), Unknown> {
    let text = host.sysctl(name)?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) => Ok((first, last)),
        _ => Err(Unknown::text(name, &text)),
    }
}

/// Reserved ports are a list as those of CPUs are, up to a higher number.
fn is_reserved(host: &Host, port: u64) -> bool {
    let list = host.sysctl("net.ipv4.ip_local_reserved_ports").unwrap_or_default();
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let bound = |text: &str| text.trim().parse::<u64>().ok();
        bound(first).zip(bound(last)).is_some_and(|(first, last)| (first..=last).contains(&port))
    })
}

fn judge<T>(
    name: &'static str,
    found: Result<T, Unknown>,
    of_known: impl FnOnce(T) -> Check,
) -> Check {
    found.map_or_else(|unknown| unknown.check(name), of_known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Status;
    use crate::doctor::host::tests::host;

    fn check(of: fn(&Host) -> Check, files: &[(&str, &str)]) -> (Status, Option<String>) {
        let (_root, host) = host(files);
        let Check { status, fix, .. } = of(&host);
        (status, fix)
    }

    fn warns(command: &str) -> (Status, Option<String>) {
        (Status::Warn, Some(command.to_owned()))
    }

    const FINE: (Status, Option<String>) = (Status::Ok, None);

    #[test]
    fn a_short_accept_queue_is_told() {
        let of = |text| check(somaxconn, &[("proc/sys/net/core/somaxconn", text)]);
        assert_eq!(of("4096\n"), FINE);
        assert_eq!(of("128\n"), warns("sysctl -w net.core.somaxconn=4096"));
        assert_eq!(
            of("many\n"),
            warns("look from where it can be read: cat /proc/sys/net/core/somaxconn")
        );
    }

    #[test]
    fn a_short_queue_of_handshakes_matters_without_cookies() {
        let of = |limit, cookies| {
            let files = [
                ("proc/sys/net/ipv4/tcp_max_syn_backlog", limit),
                ("proc/sys/net/ipv4/tcp_syncookies", cookies),
            ];
            check(syn_backlog, &files)
        };
        assert_eq!(of("128\n", "1\n"), FINE);
        assert_eq!(of("4096\n", "0\n"), FINE);
        assert_eq!(of("128\n", "0\n"), warns("sysctl -w net.ipv4.tcp_max_syn_backlog=4096"));
    }

    #[test]
    fn handshakes_move_to_another_listener_if_the_kernel_is_told_to() {
        let of = |text| check(migrate, &[("proc/sys/net/ipv4/tcp_migrate_req", text)]);
        assert_eq!(of("1\n"), FINE);
        assert_eq!(of("0\n"), warns("sysctl -w net.ipv4.tcp_migrate_req=1"));
    }

    #[test]
    fn ports_for_clients_are_many_and_not_the_servers() {
        let of = |range, reserved| {
            let files = [
                ("proc/sys/net/ipv4/ip_local_port_range", range),
                ("proc/sys/net/ipv4/ip_local_reserved_ports", reserved),
            ];
            check(|host| ports(host, 65432), &files)
        };
        assert_eq!(of("32768\t60999\n", "\n"), FINE);
        let widen = warns("sysctl -w net.ipv4.ip_local_port_range='16384 60999'");
        assert_eq!(of("60000\t60999\n", "\n"), widen);
        assert_eq!(of("9\t3\n", "\n"), widen);
        let reserve = warns("sysctl -w net.ipv4.ip_local_reserved_ports=65432");
        assert_eq!(of("1024\t65535\n", "\n"), reserve);
        assert_eq!(of("1024\t65535\n", "80,65000-65500\n"), FINE);
        assert_eq!(
            of("1024\n", "\n"),
            warns("look from where it can be read: cat /proc/sys/net/ipv4/ip_local_port_range")
        );
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let (_root, host) = host(&[]);
        for check in all(&host, 7) {
            assert_eq!(check.status, Status::Warn);
            assert!(check.found.starts_with("unknown: /proc/sys/net/"), "{}", check.found);
        }
    }
}
