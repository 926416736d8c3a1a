//! Limits of connections.

use std::time::Duration;

/// Limits of every connection of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Receiving stops when what waits to be sent costs this many bytes.
    pub(crate) high_water: usize,
    /// Receiving resumes when it costs no more than this many.
    pub(crate) low_water: usize,
    /// A peer that acknowledges nothing for this long while bytes wait for it is ended.
    pub(crate) stall_timeout: Duration,
    /// A connection on which nothing happens for this long is ended.
    pub(crate) idle_timeout: Option<Duration>,
    /// How long the input of a peer that was told to go is discarded after our FIN, so that a
    /// reset does not destroy what it has not read yet.
    pub(crate) refusal_linger: Duration,
    /// How many bytes of such a peer's input are discarded.
    pub(crate) refusal_allowance: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            high_water: 256 << 10,
            low_water: 64 << 10,
            stall_timeout: Duration::from_secs(30),
            idle_timeout: None,
            refusal_linger: Duration::from_secs(1),
            refusal_allowance: 256 << 10,
        }
    }
}

/// How a server that shuts down treats the connections it still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DrainLimits {
    /// A connection that was silent this long with nothing pending is finished.
    pub(crate) quiet: Duration,
    /// After this long nothing more is received.
    pub(crate) timeout: Duration,
    /// Time to send what was received by the drain deadline.
    pub(crate) flush: Duration,
    /// Handshakes that were under way have this long to complete before the listeners close.
    pub(crate) accept_grace: Duration,
}

impl Default for DrainLimits {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            flush: Duration::from_secs(1),
            accept_grace: Duration::from_millis(200),
        }
    }
}
