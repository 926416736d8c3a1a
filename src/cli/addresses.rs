//! Lists of IP addresses as they are written: `127.0.0.2-127.0.0.9,10.0.0.7`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A bound on what a list can name.
const MOST_ADDRESSES: usize = 65_536;

/// Why a text is not a list of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// A part of it is not an address.
    #[error(
        "{0:?} is not an IP address: write 127.0.0.2, a range 127.0.0.2-127.0.0.9, or several with commas"
    )]
    NotAnAddress(String),
    /// A range ends before it begins, or in another family.
    #[error("{first}-{last} is not a range: write the lower address first, both of one family")]
    NotARange {
        /// Where it begins.
        first: IpAddr,
        /// Where it ends.
        last: IpAddr,
    },
    /// There are too many of them.
    #[error("these are more than {MOST_ADDRESSES} addresses: use fewer")]
    TooMany,
}

/// Reads addresses and ranges of addresses, separated by commas, in their order.
///
/// # Errors
///
/// Names the part that is wrong.
pub fn parse_addresses(text: &str) -> Result<Vec<IpAddr>, AddressesError> {
    let mut addresses = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_address(first)?, parse_address(last)?);
        let room = MOST_ADDRESSES - addresses.len();
        let range = range(first, last).ok_or(AddressesError::NotARange { first, last })?;
        addresses.extend(range.take(room + 1));
        if addresses.len() > MOST_ADDRESSES {
            return Err(AddressesError::TooMany);
        }
    }
    Ok(addresses)
}

fn parse_address(text: &str) -> Result<IpAddr, AddressesError> {
    let text = text.trim();
    text.parse().map_err(|_| AddressesError::NotAnAddress(text.to_owned()))
}

fn range(first: IpAddr, last: IpAddr) -> Option<Box<dyn Iterator<Item = IpAddr>>> {
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
        assert_eq!(parsed("127.0.0.1-127.1.0.0").len(), MOST_ADDRESSES);
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
        assert!(error("::-ffff::").contains("more than 65536 addresses"));
    }
}
