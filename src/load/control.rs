//! Control of a run under way. Generator threads look at it when they are woken.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The control of a run, the same for all its threads.
pub(crate) struct RunControl {
    end_ns: AtomicU64,
    is_released: AtomicBool,
    is_aborted: AtomicBool,
}

impl RunControl {
    /// The measured window ends at this time, and threads stay until they are released.
    pub(crate) fn new(end_ns: u64) -> Self {
        Self {
            end_ns: AtomicU64::new(end_ns),
            is_released: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
        }
    }

    pub(crate) fn end_ns(&self) -> u64 {
        self.end_ns.load(Ordering::Relaxed)
    }

    /// Returns whether threads may leave when they have nothing more to do.
    pub(crate) fn is_released(&self) -> bool {
        self.is_released.load(Ordering::Relaxed)
    }

    /// Returns whether threads must leave, whatever they still wait for.
    pub(crate) fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Relaxed)
    }

    pub(crate) fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn end_at(&self, end_ns: u64) {
        self.end_ns.store(end_ns, Ordering::Relaxed);
    }

    pub(crate) fn release(&self) {
        self.is_released.store(true, Ordering::Relaxed);
    }
}
