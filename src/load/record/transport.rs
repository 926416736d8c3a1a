//! Repetitions of TCP, by our own connections' accounting and the host's.

use std::fs;
use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Repetitions of TCP in the whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transport {
    /// SYNs that the generator sent anew on another socket, since the first was not answered.
    pub redialed_syns: u64,
    /// Segments of the run's connections that the kernel sent again (`tcpi_total_retrans`).
    pub retransmitted_segments: u64,
    /// Handshakes that listeners of this host dropped meanwhile, whoever they were from
    /// (`ListenDrops`); null where the server is on another host.
    pub listen_drops: Option<u64>,
}

impl Transport {
    /// Returns whether nothing had to be done again.
    pub(crate) fn is_clean(&self) -> bool {
        let Self { redialed_syns, retransmitted_segments, listen_drops } = self;
        redialed_syns + retransmitted_segments + listen_drops.unwrap_or(0) == 0
    }
}

impl AddAssign for Transport {
    fn add_assign(&mut self, other: Self) {
        self.redialed_syns += other.redialed_syns;
        self.retransmitted_segments += other.retransmitted_segments;
        self.listen_drops = self.listen_drops.or(other.listen_drops);
    }
}

/// Handshakes that listeners of this network namespace have dropped since it exists.
pub(crate) fn listen_drops() -> Option<u64> {
    counter(&fs::read_to_string("/proc/net/netstat").ok()?, "TcpExt:", "ListenDrops")
}

/// A number of a table that is two lines for each protocol: names, then values.
fn counter(table: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix(protocol));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|found| found == name)?;
    values.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let table = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 7 9\n\
                     IpExt: InNoRoutes\nIpExt: 3\n";
        assert_eq!(counter(table, "TcpExt:", "ListenDrops"), Some(9));
        assert_eq!(counter(table, "IpExt:", "InNoRoutes"), Some(3));
        assert_eq!(counter(table, "TcpExt:", "Nothing"), None);
        assert!(listen_drops().is_some(), "every Linux counts them");
    }
}
