//! Receive buffers. A receive in flight owns one, so each connection has its own: a small one, or
//! a large one while it receives in bulk and there are some.

use std::cell::Cell;
use std::rc::Rc;

use crate::driver::shared_buffer::SharedBuffer;

/// Bytes of the buffer that every connection has.
pub(crate) const SMALL: usize = 4 << 10;
/// Bytes of the buffer of a connection that fills its small one.
pub(crate) const LARGE: usize = 64 << 10;
/// Large buffers of a worker at the same time.
const MAX_LARGE: usize = 256;
/// Bytes of memory that large buffers take at most.
pub(crate) const LARGE_BUFFERS_MEMORY: usize = MAX_LARGE * LARGE;

/// The buffer of one connection.
pub(super) struct ReceiveBuffer {
    buffer: SharedBuffer,
    /// True if the memory is a large one, which counts until it is freed.
    is_large: bool,
    /// True if the next receive is to have a large one.
    wants_large: bool,
    /// Large buffers that the worker has out.
    large_buffers: Rc<Cell<usize>>,
}

impl ReceiveBuffer {
    pub(super) fn new(large_buffers: Rc<Cell<usize>>) -> Self {
        Self { buffer: SharedBuffer::default(), is_large: false, wants_large: false, large_buffers }
    }

    /// The bytes received last.
    pub(super) fn shared(&mut self) -> &mut SharedBuffer {
        &mut self.buffer
    }

    /// Gives the memory to a receive.
    pub(super) fn lend(&mut self) -> Vec<u8> {
        let mut memory = std::mem::take(self.buffer.memory());
        if self.is_large && !self.wants_large {
            memory = Vec::new();
            self.give_large_up();
        }
        let large = self.large_buffers.get();
        if self.wants_large && !self.is_large && large < MAX_LARGE {
            memory = Vec::new();
            self.large_buffers.set(large + 1);
            self.is_large = true;
        }
        memory.clear();
        memory.reserve_exact(if self.is_large { LARGE } else { SMALL });
        memory
    }

    /// Takes it back from the receive.
    pub(super) fn take_back(&mut self, memory: Vec<u8>) {
        *self.buffer.memory() = memory;
    }

    /// So many bytes were received: the next receive gets what suits them.
    pub(super) fn fit(&mut self, length: usize) {
        self.wants_large = if self.is_large { length > SMALL } else { length == SMALL };
    }

    fn give_large_up(&mut self) {
        if std::mem::take(&mut self.is_large) {
            self.large_buffers.set(self.large_buffers.get() - 1);
        }
    }
}

impl Drop for ReceiveBuffer {
    fn drop(&mut self) {
        self.give_large_up();
    }
}
