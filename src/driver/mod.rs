//! Drivers move bytes between the kernel and protocol connections on one core.
//!
//! A driver *runs a worker*: it takes listeners and a way to be told to stop, and returns when the
//! worker is done. Completion, readiness and future models share what a connection does
//! (`connection`, `connections`) over the buffers that each has, not an abstraction of I/O.

mod buffers;
mod choice;
mod connection;
mod connections;
pub(crate) mod differential;
pub(crate) mod epoll;
mod failure;
mod handshake;
mod kind;
mod listeners;
mod peer;
mod pipes;
mod received;
pub(crate) mod shared_buffer;
mod shutdown;
pub(crate) mod slab;
mod spill;
mod spin;
mod splicing;
#[cfg(test)]
mod testing;
mod tokio_uring;
pub(crate) mod uring;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::{Admission, DrainLimits, Limits};
use crate::metrics::Published;
use crate::sys::RingSize;

pub(crate) use buffers::Buffers;
pub use choice::Choice;
pub(crate) use choice::fallback_warning;
pub(crate) use connection::CloseMode;
pub(crate) use handshake::{BACKLOG, try_hold_off};
pub use kind::DriverKind;
pub(crate) use kind::Serve;
pub(crate) use pipes::TakenIn;
pub(crate) use shutdown::{ShutdownSignal, Urgency};
pub(crate) use splicing::SpliceLimits;

/// Configuration of a worker, whatever its driver.
pub(crate) struct Worker<P> {
    pub(crate) protocol: P,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) settings: Settings,
    pub(crate) admission: Arc<Admission>,
    pub(crate) shutdown: Arc<ShutdownSignal>,
    /// Where others read what it counts.
    pub(crate) published: Arc<Published>,
}

/// The longest wait of a worker: its turns are its sign of life.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// How a worker treats its connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) drain: DrainLimits,
    pub(crate) ring: RingSize,
    /// How long to poll before sleeping, where that pays; zero is never.
    pub(crate) spin: Duration,
    pub(crate) splice: SpliceLimits,
    /// Most bytes of a worker's memory for what waits while receive buffers are scarce.
    pub(crate) spill_budget: usize,
    /// The listeners outlive the server: whoever started it keeps them.
    pub(crate) inherits_listeners: bool,
}
