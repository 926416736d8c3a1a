//! Which processes of this host listen on an address.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::owner::{has_one_of, numbers_in};
use super::table::{self, Entry, State};

/// The sockets that listen on an address of this host.
pub(crate) struct Listeners {
    inodes: HashSet<u64>,
}

impl Listeners {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let address = reached(address);
        let entries = table::read().into_iter().filter(|entry| accepts(entry, address));
        Self { inodes: entries.map(|entry| entry.inode).collect() }
    }

    /// Returns whether the kernel shows any.
    pub(crate) fn are_seen(&self) -> bool {
        !self.inodes.is_empty()
    }

    /// Returns whether this process has one of them, as far as we may see its descriptors.
    pub(crate) fn are_held_by(&self, pid: u32) -> bool {
        has_one_of(pid, &self.inodes)
    }

    /// As [`Self::are_held_by`], but true if the descriptors cannot be read.
    pub(crate) fn may_be_held_by(&self, pid: u32) -> bool {
        let is_hidden = fs::read_dir(format!("/proc/{pid}/fd"))
            .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        is_hidden || self.are_held_by(pid)
    }

    /// All processes that have one, this process excepted.
    pub(crate) fn processes(&self) -> Vec<u32> {
        numbers_in("/proc".as_ref())
            .filter(|pid| *pid != std::process::id() && self.are_held_by(*pid))
            .collect()
    }
}

/// The address that a connection to this one reaches: IPv4 within IPv6 is IPv4, and nowhere is this
/// host.
fn reached(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn accepts(entry: &Entry, address: SocketAddr) -> bool {
    let ip = entry.local.ip();
    entry.state == State::Listening
        && entry.local.port() == address.port()
        && (ip == address.ip() || (ip.is_unspecified() && (ip.is_ipv6() || address.is_ipv4())))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_wildcard_listener_accepts_every_address_of_its_family() {
        let listener = |ip: &str| Entry {
            local: SocketAddr::new(ip.parse().unwrap(), 80),
            state: State::Listening,
            uid: 0,
            inode: 1,
        };
        let v4 = "10.0.0.1:80".parse().unwrap();
        let v6 = "[::1]:80".parse().unwrap();
        assert!(accepts(&listener("0.0.0.0"), v4) && !accepts(&listener("0.0.0.0"), v6));
        assert!(accepts(&listener("::"), v4) && accepts(&listener("::"), v6));
        assert!(accepts(&listener("10.0.0.1"), v4) && !accepts(&listener("10.0.0.2"), v4));
        assert!(!accepts(&listener("10.0.0.1"), "10.0.0.1:81".parse().unwrap()));
        assert!(!accepts(&Entry { state: State::Connected, ..listener("10.0.0.1") }, v4));
    }

    #[test]
    fn an_address_is_looked_for_where_it_leads() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for ip in ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"] {
            let listeners = Listeners::at(SocketAddr::new(ip.parse().unwrap(), port));
            assert!(listeners.are_held_by(std::process::id()), "{ip}");
        }
        assert_eq!(reached("[::]:7".parse().unwrap()), "[::1]:7".parse().unwrap());
    }

    #[test]
    fn our_own_listener_is_in_the_table_but_is_not_another_process() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let listeners = Listeners::at(listener.local_addr().unwrap());
            assert_eq!(listeners.inodes.len(), 1);
            assert!(listeners.are_held_by(std::process::id()));
            assert_eq!(listeners.processes(), Vec::<u32>::new());
        }
    }
}
