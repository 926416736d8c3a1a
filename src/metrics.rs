//! What a worker counts.

use std::fmt;
use std::ops::AddAssign;

/// Totals of a worker, or of all workers added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed, for whatever reason.
    pub closed: u64,
    /// Bytes received from peers.
    pub bytes_received: u64,
    /// Bytes handed to the kernel for peers.
    pub bytes_sent: u64,
    /// Times that accepting paused because descriptors or memory ran out.
    pub accept_pauses: u64,
    /// Times that a receive found no free buffer and its connection had to wait for one.
    pub buffer_waits: u64,
    /// Bytes that were to be sent when the shutdown ended their connection.
    pub lost_bytes: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.closed += other.closed;
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        self.accept_pauses += other.accept_pauses;
        self.buffer_waits += other.buffer_waits;
        self.lost_bytes += other.lost_bytes;
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { closed, bytes_received, bytes_sent, lost_bytes, .. } = self;
        write!(
            f,
            "finished: {closed} connections, {bytes_received} bytes received, {bytes_sent} sent, \
             {lost_bytes} lost"
        )
    }
}
