//! IP addresses as people write them. An IPv6 one may name the interface that it is meant on, its
//! zone, by name or number: `fe80::1%eth0` (RFC 4007, 11).

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::{AddressFamily, SocketType, socket};

/// An IP address, on one interface if that was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    ip: IpAddr,
    /// The number of the interface; 0 is none in particular, and that of every IPv4 address.
    zone: u32,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is written otherwise.
    #[error("it is not an IP address")]
    Malformed,
    /// Its interface is not there.
    #[error("no interface is called {name:?}; {}", interfaces())]
    UnknownInterface {
        /// The interface as it was written.
        name: String,
    },
}

impl Address {
    /// The address without its interface.
    pub fn ip(self) -> IpAddr {
        self.ip
    }

    /// The address of the same interface that has this IP address.
    pub fn with_ip(self, ip: IpAddr) -> Self {
        Self { ip, ..self }
    }

    /// Returns whether both are on the same interface, or none names one.
    pub fn is_in_zone_of(self, other: Self) -> bool {
        self.zone == other.zone
    }

    /// Returns whether it means nothing without an interface, and names none: every interface has
    /// a link-local address of its own (`ipv6(7)`, `sin6_scope_id`).
    pub fn lacks_zone(self) -> bool {
        let is_link_local = matches!(self.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        is_link_local && self.zone == 0
    }

    /// A port of this address.
    pub fn with_port(self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), port),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.zone).into(),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self { ip, zone: 0 }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let zone = match address {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(address) => address.scope_id(),
        };
        Self { ip: address.ip(), zone }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let Some((ip, zone)) = inner.split_once('%') else {
            return Ok(Self::from(inner.parse::<IpAddr>().or(Err(AddressError::Malformed))?));
        };
        let ip: Ipv6Addr = ip.parse().or(Err(AddressError::Malformed))?;
        Ok(Self { ip: ip.into(), zone: index_of(zone)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zone {
            0 => self.ip.fmt(f),
            zone => write!(f, "{}%{}", self.ip, name_of(zone)),
        }
    }
}

/// Reads an address with its port. One that names an interface is told from its port with brackets
/// or without, since no name of an interface has a colon.
///
/// # Errors
///
/// When it is written otherwise, or its interface is not there.
pub fn parse_socket_address(text: &str) -> Result<SocketAddr, AddressError> {
    let malformed = AddressError::Malformed;
    let Some((ip, rest)) = text.split_once('%') else { return text.parse().or(Err(malformed)) };
    let (ip, zone_and_port) = match ip.strip_prefix('[') {
        Some(ip) => (ip, rest.rsplit_once("]:")),
        None => (ip, rest.rsplit_once(':')),
    };
    let (zone, port) = zone_and_port.ok_or(malformed.clone())?;
    let mut address: SocketAddrV6 = format!("[{ip}]:{port}").parse().or(Err(malformed))?;
    address.set_scope_id(index_of(zone)?);
    Ok(address.into())
}

/// An address with its port, and its interface by name.
pub fn format_socket_address(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(_) => address.to_string(),
        SocketAddr::V6(_) => format!("[{}]:{}", Address::from(address), address.port()),
    }
}

/// The interfaces that there are, as the remedy for one that is not there.
pub(crate) fn interfaces() -> String {
    // Two lines of headings, then a line for each interface: its name, a colon, its counters.
    let table = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let lines = table.lines().filter_map(|line| line.split_once(':'));
    let names: Vec<&str> = lines.map(|(name, _)| name.trim()).collect();
    match names[..] {
        [] => "see `ip link` for those of this host".to_owned(),
        _ => format!("name one of this host's: {}", names.join(", ")),
    }
}

/// The number of an interface. A name goes before a number, as in `getaddrinfo(3)`; the kernel
/// refuses a number that nobody has when it is used.
fn index_of(zone: &str) -> Result<u32, AddressError> {
    let by_name = any_socket().and_then(|socket| Ok(name_to_index(socket, zone)?));
    let unknown = || AddressError::UnknownInterface { name: zone.to_owned() };
    by_name.or_else(|_| zone.parse().map_err(|_| unknown()))
}

/// The name of an interface, or its number where nobody has that any more.
fn name_of(zone: u32) -> String {
    let name = any_socket().and_then(|socket| Ok(index_to_name(socket, zone)?));
    name.unwrap_or_else(|_| zone.to_string())
}

/// The kernel answers questions about interfaces on a socket of any kind (`netdevice(7)`).
fn any_socket() -> io::Result<std::os::fd::OwnedFd> {
    Ok(socket(AddressFamily::UNIX, SocketType::DGRAM, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux makes the loopback interface first in every network namespace.
    const LOOPBACK: u32 = 1;

    #[test]
    fn an_interface_is_named_or_numbered_in_brackets_or_not() {
        let expected = SocketAddrV6::new("fe80::1".parse().unwrap(), 7, 0, LOOPBACK).into();
        for text in ["[fe80::1%lo]:7", "fe80::1%lo:7", "[fe80::1%1]:7", "fe80::1%1:7"] {
            assert_eq!(parse_socket_address(text), Ok(expected), "{text}");
        }
        for text in ["fe80::1%lo", "[fe80::1%lo]", "fe80::1%1", "[fe80::1%1]"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.with_port(7), expected, "{text}");
            assert_eq!(address.to_string(), "fe80::1%lo");
        }
        assert_eq!(format_socket_address(expected), "[fe80::1%lo]:7");
    }

    #[test]
    fn addresses_without_an_interface_are_written_as_ever() {
        for text in ["127.0.0.1:7", "[::1]:7", "[::]:0"] {
            let address = parse_socket_address(text).unwrap();
            assert_eq!(format_socket_address(address), text);
            assert!(!Address::from(address).lacks_zone());
        }
        assert!("fe80::1".parse::<Address>().unwrap().lacks_zone());
        assert!(!"fe80::1%lo".parse::<Address>().unwrap().lacks_zone());
    }

    #[test]
    fn a_number_that_no_interface_has_stays_a_number() {
        let address = parse_socket_address("[fe80::1%4294967295]:7").unwrap();
        assert_eq!(format_socket_address(address), "[fe80::1%4294967295]:7");
    }

    #[test]
    fn an_unknown_interface_is_named_with_those_there_are() {
        for name in ["no-such", "a-name-longer-than-any-can-be", "", "-1"] {
            let error = parse_socket_address(&format!("[fe80::1%{name}]:7")).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(&format!("no interface is called {name:?}; name one")));
            assert!(text.contains("lo"), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["127.0.0.1%lo:7", "[fe80::1%lo]", "[fe80::1%lo:7", "fe80::1%lo", "%lo:7"] {
            assert_eq!(parse_socket_address(text), Err(AddressError::Malformed), "{text}");
        }
        for text in ["127.0.0.1%lo", "%lo", "", "lo"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Malformed), "{text}");
        }
    }
}
