//! An address with its port, to listen on or to ask, as people write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{AddressError, parse_socket_address};

/// Who is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// There may be several addresses.
    Echo,
    Admin,
}

impl Service {
    /// The port of its default address.
    fn port(self) -> u16 {
        match self {
            Self::Echo => 65432,
            Self::Admin => 9465,
        }
    }
}

/// Reads an address of the echo service: IP:PORT; `localhost` is 127.0.0.1, no other name is looked
/// up.
pub(super) fn parse_echo_address(text: &str) -> Result<SocketAddr, String> {
    parse(text, Service::Echo)
}

/// As [`parse_echo_address`], of the admin endpoint.
pub(super) fn parse_admin_address(text: &str) -> Result<SocketAddr, String> {
    parse(text, Service::Admin)
}

fn parse(text: &str, service: Service) -> Result<SocketAddr, String> {
    if let Some(("localhost", port)) = text.rsplit_once(':')
        && let Ok(port) = port.parse()
    {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    parse_socket_address(text).map_err(|error| match error {
        AddressError::Malformed => format!("it is not IP:PORT: {}", remedy(text, service)),
        AddressError::UnknownInterface { .. } => error.to_string(),
    })
}

/// The form to write instead of a text that is no address.
fn remedy(text: &str, service: Service) -> String {
    let port = |text: &str| text.parse::<u16>().ok();
    let of_all = text.strip_prefix("*:").or_else(|| text.strip_prefix(':')).and_then(port);
    match (service, port(text), of_all) {
        (Service::Echo, Some(port), _) => {
            return format!(
                "write 127.0.0.1:{port} for this host alone, 0.0.0.0:{port} [::]:{port} for all"
            );
        }
        (Service::Echo, None, Some(port)) => return format!("write 0.0.0.0:{port} [::]:{port}"),
        (Service::Admin, Some(port), _) | (Service::Admin, None, Some(port)) => {
            return format!("write 127.0.0.1:{port}");
        }
        (_, None, None) => {}
    }
    let default_port = service.port();
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let example = SocketAddr::new(ip, default_port);
        return match text.rsplit_once(':') {
            Some((ip, port)) if ip.parse::<Ipv6Addr>().is_ok() => {
                format!("an IPv6 address stands in brackets: write [{ip}]:{port}, or {example}")
            }
            _ => format!("it has no port: write {example}"),
        };
    }
    match text.rsplit_once(':') {
        Some((host, number)) if number.parse::<u64>().is_ok() && port(number).is_none() => {
            let host = if matches!(host, "" | "*") { "127.0.0.1" } else { host };
            format!("ports end at 65535: write {host}:{default_port}")
        }
        Some((_, number)) if port(number).is_some() => {
            "names are not looked up: write the IP address of this host that is meant".to_owned()
        }
        _ => format!(
            "write 127.0.0.1:{default_port}, [::1]:{default_port} or [fe80::1%eth0]:{default_port}"
        ),
    }
}
