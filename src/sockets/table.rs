//! The kernel's tables of TCP sockets (`proc_net_tcp`).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A line of `/proc/net/tcp` or `tcp6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) local: SocketAddr,
    pub(super) state: State,
    /// The user that made it; root where nobody has it any more.
    pub(super) uid: u32,
    /// By which descriptors of processes name it; 0 where nobody has it any more.
    pub(super) inode: u64,
}

/// State of a socket (`net/tcp_states.h`), as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Listening,
    /// The connection has ended, and its port is kept for a minute.
    Ended,
    Connected,
}

/// All of them, of both families.
pub(super) fn read() -> Vec<Entry> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(Entry::parse).collect::<Vec<_>>())
        .collect()
}

impl Entry {
    pub(super) fn parse(line: &str) -> Option<Self> {
        /// Places of the columns.
        mod column {
            pub(super) const LOCAL: usize = 1;
            pub(super) const STATE: usize = 3;
            pub(super) const UID: usize = 7;
            pub(super) const INODE: usize = 9;
        }
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (ip, port) = columns.get(column::LOCAL)?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Self {
            local: SocketAddr::new(parse_ip(ip)?, port),
            state: State::parse(columns.get(column::STATE)?),
            uid: columns.get(column::UID)?.parse().ok()?,
            inode: columns.get(column::INODE)?.parse().ok()?,
        })
    }
}

impl State {
    fn parse(hex: &str) -> Self {
        match hex {
            "0A" => Self::Listening,
            "06" => Self::Ended,
            _ => Self::Connected,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_from_the_kernels_table() {
        let line = "   0: 0100007F:FF98 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1";
        let expected = Entry {
            local: "127.0.0.1:65432".parse().expect("an address"),
            state: State::Listening,
            uid: 1000,
            inode: 4711,
        };
        #[cfg(target_endian = "little")]
        assert_eq!(Entry::parse(line), Some(expected));
        let connected = Entry::parse(&line.replace(" 0A ", " 01 ")).map(|entry| entry.state);
        assert_eq!(connected, Some(State::Connected));
        assert_eq!(Entry::parse("  sl  local_address rem_address   st"), None);
    }
}
