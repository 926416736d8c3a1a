//! Addresses that can be listened on together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::ConfigError;

pub(super) fn check(addresses: &[SocketAddr]) -> Result<(), ConfigError> {
    for (index, &address) in addresses.iter().enumerate() {
        if let IpAddr::V6(ip) = address.ip()
            && let Some(mapped) = ip.to_ipv4_mapped()
        {
            return Err(ConfigError::MappedAddress(ip, mapped));
        }
        if is_of_many(address.ip()) {
            return Err(ConfigError::NotUnicast(address.ip()));
        }
        if let Some(&other) = addresses[..index].iter().find(|other| overlap(**other, address)) {
            return Err(ConfigError::Overlap(other, address));
        }
    }
    Ok(())
}

fn is_of_many(ip: IpAddr) -> bool {
    ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || is_of_network(ip))
}

/// Returns whether it is the broadcast address of a network that this host is in, such as
/// 127.255.255.255. The kernel shows it by refusing it as the destination of a socket without
/// SO_BROADCAST (`ip(7)`); nothing is sent.
fn is_of_network(ip: Ipv4Addr) -> bool {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else { return false };
    // A sandbox that forbids to connect answers EPERM.
    socket.connect((ip, 7)).is_err_and(|error| error.raw_os_error() == Some(libc::EACCES))
}

/// IPv6 listeners take IPv6 only, so families never overlap.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_interface = match (one, other) {
        _ if one.ip().is_unspecified() || other.ip().is_unspecified() => true,
        // A link-local address is one of each interface.
        (SocketAddr::V6(one), SocketAddr::V6(other)) => {
            one.ip() == other.ip() && one.scope_id() == other.scope_id()
        }
        _ => one.ip() == other.ip(),
    };
    one.port() == other.port()
        && one.port() != 0
        && one.is_ipv4() == other.is_ipv4()
        && same_interface
}

#[cfg(test)]
mod tests {
    use crate::server::Config;

    #[test]
    fn addresses_that_cannot_all_be_had_are_refused() {
        let check = |texts: &[&str]| {
            let addresses = texts.iter().map(|text| text.parse().expect("an address"));
            Config::new(addresses.collect()).check().map_err(|error| error.to_string())
        };
        assert_eq!(check(&["127.0.0.1:0", "127.0.0.1:0", "[::]:7", "0.0.0.0:7"]), Ok(()));
        let error = check(&["0.0.0.0:7", "127.0.0.1:7"]).expect_err("they overlap");
        assert!(error.contains("0.0.0.0:7 and 127.0.0.1:7 overlap"), "{error}");
        assert_eq!(check(&["[fe80::1%2]:7", "[fe80::1%3]:7"]), Ok(()));
        for other in ["[fe80::1%2]:7", "[::]:7"] {
            let error = check(&["[fe80::1%2]:7", other]).expect_err("they overlap");
            assert!(error.contains("overlap"), "{error}");
        }
        for address in ["224.0.0.1:7", "255.255.255.255:7", "127.255.255.255:7", "[ff02::1]:7"] {
            let error = check(&[address]).expect_err("nobody can connect to it");
            assert!(error.contains("is a multicast or broadcast address"), "{error}");
        }
        let error = check(&["[::ffff:127.0.0.1]:7"]).expect_err("it is mapped");
        assert!(error.contains("write it as 127.0.0.1"), "{error}");
    }
}
