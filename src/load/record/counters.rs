//! How far a generator thread is, for whoever watches the run.

use std::sync::atomic::AtomicU64;

/// A thread's counters, on cache lines of their own: they are written every turn and read rarely.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// Messages that were to be sent until now.
    pub(crate) intended: AtomicU64,
    pub(crate) received: AtomicU64,
}
