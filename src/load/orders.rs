//! What generator threads are told while they run. They look when their bell rings.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The orders of a run, the same for all its threads.
pub(super) struct Orders {
    end_ns: AtomicU64,
    is_released: AtomicBool,
    is_aborted: AtomicBool,
}

impl Orders {
    /// The measured window ends at this time, and threads stay until they are released.
    pub(super) fn new(end_ns: u64) -> Self {
        Self {
            end_ns: AtomicU64::new(end_ns),
            is_released: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
        }
    }

    /// When the measured window ends.
    pub(super) fn end_ns(&self) -> u64 {
        self.end_ns.load(Ordering::Relaxed)
    }

    /// Whether threads may leave when they have nothing more to do.
    pub(super) fn are_to_release(&self) -> bool {
        self.is_released.load(Ordering::Relaxed)
    }

    /// Whether threads must leave, whatever they still wait for.
    pub(super) fn are_to_abort(&self) -> bool {
        self.is_aborted.load(Ordering::Relaxed)
    }

    pub(super) fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
    }

    pub(super) fn end_at(&self, end_ns: u64) {
        self.end_ns.store(end_ns, Ordering::Relaxed);
    }

    pub(super) fn release(&self) {
        self.is_released.store(true, Ordering::Relaxed);
    }
}
