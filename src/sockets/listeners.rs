//! Which processes of this host listen on an address, as `/proc` shows it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::process_table::numbers_in;

/// The sockets that listen on an address of this host.
pub(super) struct Listeners {
    inodes: HashSet<u64>,
}

impl Listeners {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { inodes: listening_inodes(address) }
    }

    /// Whether the kernel shows any.
    pub(super) fn are_seen(&self) -> bool {
        !self.inodes.is_empty()
    }

    /// Whether this process has one of them, as far as we may see its descriptors.
    pub(super) fn are_held_by(&self, pid: u32) -> bool {
        holds_one_of(pid, &self.inodes)
    }

    /// The same, but what we may not see may be.
    pub(super) fn may_be_held_by(&self, pid: u32) -> bool {
        let is_hidden = fs::read_dir(format!("/proc/{pid}/fd"))
            .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        is_hidden || self.are_held_by(pid)
    }

    /// All processes that have one, this process excepted.
    pub(super) fn processes(&self) -> Vec<u32> {
        numbers_in("/proc".as_ref())
            .filter(|pid| *pid != std::process::id() && self.are_held_by(*pid))
            .collect()
    }
}

fn listening_inodes(address: SocketAddr) -> HashSet<u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(Listener::parse).collect::<Vec<_>>())
        .filter(|listener| listener.accepts(address))
        .map(|listener| listener.inode)
        .collect()
}

/// A line of `/proc/net/tcp` or `tcp6` about a listening socket.
#[derive(Debug, PartialEq, Eq)]
struct Listener {
    address: SocketAddr,
    inode: u64,
}

impl Listener {
    fn parse(line: &str) -> Option<Self> {
        const LISTEN: &str = "0A";
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        if *state != LISTEN {
            return None;
        }
        let (ip, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Self { address: SocketAddr::new(parse_ip(ip)?, port), inode: inode.parse().ok()? })
    }

    fn accepts(&self, address: SocketAddr) -> bool {
        let ip = self.address.ip();
        self.address.port() == address.port()
            && (ip == address.ip() || (ip.is_unspecified() && (ip.is_ipv6() || address.is_ipv4())))
    }
}

/// An address as the kernel prints it: hexadecimal, each 32-bit word in the host's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..hex.len())
        .step_by(8)
        .map(|start| {
            let word = u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?;
            Some(word.to_ne_bytes())
        })
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        [_, _, _, _] => {
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(octets).to_canonical())
        }
        _ => None,
    }
}

fn holds_one_of(pid: u32, inodes: &HashSet<u64>) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .filter_map(|target| {
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .any(|inode: u64| inodes.contains(&inode))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn listeners_are_read_from_the_kernels_table() {
        let line = "   0: 0100007F:FF98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1";
        let listener = Listener::parse(line);
        let expected = Listener { address: "127.0.0.1:65432".parse().unwrap(), inode: 4711 };
        #[cfg(target_endian = "little")]
        assert_eq!(listener, Some(expected));
        assert_eq!(Listener::parse(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(Listener::parse("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn a_wildcard_listener_accepts_every_address_of_its_family() {
        let listener =
            |ip: &str| Listener { address: SocketAddr::new(ip.parse().unwrap(), 80), inode: 1 };
        let v4 = "10.0.0.1:80".parse().unwrap();
        let v6 = "[::1]:80".parse().unwrap();
        assert!(listener("0.0.0.0").accepts(v4) && !listener("0.0.0.0").accepts(v6));
        assert!(listener("::").accepts(v4) && listener("::").accepts(v6));
        assert!(listener("10.0.0.1").accepts(v4) && !listener("10.0.0.2").accepts(v4));
        assert!(!listener("10.0.0.1").accepts("10.0.0.1:81".parse().unwrap()));
    }

    #[test]
    fn our_own_listener_is_in_the_table_but_is_not_another_process() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let address = listener.local_addr().unwrap();
            let inodes = listening_inodes(address);
            assert_eq!(inodes.len(), 1);
            assert!(holds_one_of(std::process::id(), &inodes));
            assert_eq!(Listeners::at(address).processes(), Vec::<u32>::new());
        }
    }
}
