//! An address with its port, to listen on or to ask, as people write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{AddressError, parse_socket_address};

/// The textbook's, and the default.
const EXAMPLE_PORT: u16 = 65432;

/// Reads IP:PORT; `localhost` is 127.0.0.1, no other name is looked up.
pub(super) fn parse_endpoint(text: &str) -> Result<SocketAddr, String> {
    if let Some(("localhost", port)) = text.rsplit_once(':')
        && let Ok(port) = port.parse()
    {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    parse_socket_address(text).map_err(|error| match error {
        AddressError::Malformed => format!("it is not IP:PORT: {}", remedy(text)),
        AddressError::UnknownInterface { .. } => error.to_string(),
    })
}

/// The form to write instead of a text that is no address.
fn remedy(text: &str) -> String {
    let port = |text: &str| text.parse::<u16>().ok();
    if let Some(port) = port(text) {
        return format!(
            "write 127.0.0.1:{port} for this host alone, 0.0.0.0:{port} [::]:{port} for all"
        );
    }
    if let Some(port) = text.strip_prefix("*:").or_else(|| text.strip_prefix(':')).and_then(port) {
        return format!("every address is 0.0.0.0:{port} [::]:{port}");
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let example = SocketAddr::new(ip, EXAMPLE_PORT);
        return match text.rsplit_once(':') {
            Some((ip, port)) if ip.parse::<Ipv6Addr>().is_ok() => {
                format!("an IPv6 address stands in brackets: write [{ip}]:{port}, or {example}")
            }
            _ => format!("it has no port: write {example}"),
        };
    }
    match text.rsplit_once(':') {
        Some((host, number)) if number.parse::<u64>().is_ok() && port(number).is_none() => {
            format!("ports end at 65535: write {host}:{EXAMPLE_PORT}")
        }
        Some((_, number)) if port(number).is_some() => {
            "names are not looked up: write the IP address of this host that is meant".to_owned()
        }
        _ => "write 127.0.0.1:65432, [::1]:65432 or [fe80::1%eth0]:65432".to_owned(),
    }
}
