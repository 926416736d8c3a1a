//! Receive buffers. A receive in flight owns one, so each connection has its own: a small one, or
//! a large one while it receives in bulk and there are some.

use std::rc::Rc;

use super::Shared;

/// Bytes of the buffer that every connection has.
pub(crate) const SMALL: usize = 4 << 10;
/// Bytes of the buffer of a connection that fills its small one.
pub(crate) const LARGE: usize = 64 << 10;
/// Large buffers of a worker at the same time.
const MOST_LARGE: usize = 256;
/// Bytes of memory that large buffers take at most.
pub(crate) const LARGE_BUFFERS_MEMORY: usize = MOST_LARGE * LARGE;

/// The buffer of one connection.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    is_large: bool,
    shared: Rc<Shared>,
}

impl Buffer {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self { bytes: Vec::new(), is_large: false, shared }
    }

    /// Gives the buffer to a receive.
    pub(super) fn lend(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.reserve_exact(if self.is_large { LARGE } else { SMALL });
        bytes
    }

    /// Takes it back from a receive of so many bytes; the next one gets what suits them.
    pub(super) fn take_back(&mut self, bytes: Vec<u8>, received: usize) {
        self.bytes = bytes;
        let large = self.shared.large_buffers.get();
        if !self.is_large && received == SMALL && large < MOST_LARGE {
            self.shared.large_buffers.set(large + 1);
            self.is_large = true;
        } else if self.is_large && received <= SMALL {
            self.make_small();
        }
    }

    fn make_small(&mut self) {
        self.bytes = Vec::new();
        if std::mem::take(&mut self.is_large) {
            self.shared.large_buffers.set(self.shared.large_buffers.get() - 1);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.make_small();
    }
}
