//! Lists of IP addresses as they are written: `127.0.0.2-127.0.0.9,10.0.0.7`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::{Address, AddressError};

/// A bound on what a list can name.
const MAX_ADDRESSES: usize = 65_536;

/// Why a text is not a list of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// A part of it is not an address.
    #[error(
        "{0:?} is not an IP address: write 127.0.0.2, a range 127.0.0.2-127.0.0.9, or several with commas"
    )]
    NotAnAddress(String),
    /// A part of it is on no interface of this host.
    #[error("{0:?}: {1}")]
    Interface(String, AddressError),
    /// A range ends before it begins, in another family or on another interface.
    #[error(
        "{first}-{last} is not a range: write the lower address first, both of one family and \
         interface"
    )]
    NotARange {
        /// Where it begins.
        first: Address,
        /// Where it ends.
        last: Address,
    },
    /// There are too many of them.
    #[error("these are more than {MAX_ADDRESSES} addresses: use fewer")]
    TooMany,
}

/// Reads addresses and ranges of addresses, separated by commas, in their order.
///
/// # Errors
///
/// Names the part that is wrong.
pub fn parse_addresses(text: &str) -> Result<Vec<Address>, AddressesError> {
    let mut addresses = Vec::new();
    for part in text.split(',') {
        let (first, last) = split_range(part).unwrap_or((part, part));
        let (first, last) = (parse_address(first)?, parse_address(last)?);
        let room = MAX_ADDRESSES - addresses.len();
        let range = range(first, last).ok_or(AddressesError::NotARange { first, last })?;
        addresses.extend(range.take(room + 1));
        if addresses.len() > MAX_ADDRESSES {
            return Err(AddressesError::TooMany);
        }
    }
    Ok(addresses)
}

/// The ends of a range. An interface's name may have hyphens: where there is one, only a hyphen
/// with an address behind it separates.
fn split_range(part: &str) -> Option<(&str, &str)> {
    let (first, last) = part.split_once('-')?;
    if !first.contains('%') {
        return Some((first, last));
    }
    let mut ranges = part.match_indices('-').map(|(at, _)| (&part[..at], &part[at + 1..]));
    ranges.find(|(_, last)| {
        let ip = last.trim().split('%').next().unwrap_or_default();
        ip.parse::<Ipv6Addr>().is_ok()
    })
}

fn parse_address(text: &str) -> Result<Address, AddressesError> {
    let text = text.trim();
    text.parse().map_err(|error| match error {
        AddressError::Malformed => AddressesError::NotAnAddress(text.to_owned()),
        AddressError::UnknownInterface { .. } => AddressesError::Interface(text.to_owned(), error),
    })
}

fn range(first: Address, last: Address) -> Option<impl Iterator<Item = Address>> {
    let ips = ips(first.ip(), last.ip()).filter(|_| first.is_in_zone_of(last))?;
    Some(ips.map(move |ip| first.with_ip(ip)))
}

fn ips(first: IpAddr, last: IpAddr) -> Option<Box<dyn Iterator<Item = IpAddr>>> {
    if first > last {
        return None;
    }
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Some(Box::new(
            (first.to_bits()..=last.to_bits()).map(|bits| Ipv4Addr::from_bits(bits).into()),
        )),
        (IpAddr::V6(first), IpAddr::V6(last)) => Some(Box::new(
            (first.to_bits()..=last.to_bits()).map(|bits| Ipv6Addr::from_bits(bits).into()),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        parse_addresses(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_and_ranges_are_read_in_their_order() {
        assert_eq!(parsed("127.0.0.1"), ["127.0.0.1"]);
        assert_eq!(parsed("10.0.0.255-10.0.1.1"), ["10.0.0.255", "10.0.1.0", "10.0.1.1"]);
        assert_eq!(parsed("::ffff-::1:1, 127.0.0.9"), ["::ffff", "::1:0", "::1:1", "127.0.0.9"]);
        assert_eq!(parsed("127.0.0.1-127.1.0.0").len(), MAX_ADDRESSES);
    }

    #[test]
    fn addresses_of_an_interface_are_read_in_ranges_and_alone() {
        assert_eq!(parsed("fe80::1%lo"), ["fe80::1%lo"]);
        assert_eq!(parsed("[fe80::1%1],::1"), ["fe80::1%lo", "::1"]);
        assert_eq!(parsed("fe80::1%lo-fe80::2%lo"), ["fe80::1%lo", "fe80::2%lo"]);
        assert_eq!(split_range("fe80::1%br-lan"), None);
        let range = ("fe80::1%br-lan", "fe80::2%br-lan");
        assert_eq!(split_range("fe80::1%br-lan-fe80::2%br-lan"), Some(range));
    }

    #[test]
    fn errors_name_the_part() {
        let error = |text: &str| parse_addresses(text).unwrap_err().to_string();
        assert!(error("127.0.0.1,").starts_with("\"\" is not an IP address"));
        assert!(error("localhost").starts_with("\"localhost\" is not an IP address"));
        assert!(error("127.0.0.2-9").starts_with("\"9\" is not an IP address"));
        assert!(error("127.0.0.9-127.0.0.2").contains("the lower address first"));
        assert!(error("127.0.0.9-::1").contains("both of one family"));
        assert!(error("127.0.0.0-127.1.0.0").contains("more than 65536 addresses"));
        assert!(error("fe80::1%lo-fe80::2").contains("both of one family and interface"));
        let text = error("fe80::1%br-lan");
        assert!(text.starts_with("\"fe80::1%br-lan\": no interface is called \"br-lan\"; name"));
        assert!(error("::-ffff::").contains("more than 65536 addresses"));
    }
}
