//! How a connection is closed, and what is accounted for then.

use crate::lifecycle::Cause;
use crate::metrics::Counters;

/// How to close a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The kernel goes on delivering what it has.
    Plain,
    /// First tell the session (`handle_left_behind`) what it has.
    Accounting(Account),
    /// Reset it, so that a peer that takes nothing costs the kernel nothing.
    Reset,
}

/// What is known of a connection that ends with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    /// Bytes of the kernel's queue that are our FIN: 1 if it was sent.
    pub(crate) fin: usize,
    /// Whether the connection already counts as abandoned.
    pub(crate) is_abandoned: bool,
}

impl Manner {
    /// How to close a connection that ended for this reason while the server goes on.
    pub(crate) fn of(cause: Option<Cause>) -> Self {
        match cause {
            Some(Cause::Stalled | Cause::Evicted) => Self::Reset,
            _ => Self::Plain,
        }
    }
}

impl Account {
    /// The connection was closed while its peer had not acknowledged so many bytes.
    pub(crate) fn settle(self, queued: usize, counters: &mut Counters) {
        let bytes = queued.saturating_sub(self.fin);
        counters.lost_bytes += bytes as u64;
        counters.abandoned += u64::from(bytes > 0 && !self.is_abandoned);
    }
}
