//! Receive buffers that the kernel picks from (`io_uring_register_buf_ring(3)`).
//!
//! Two mappings: the buffers themselves, and the ring of entries through which they are provided.
//! The kernel takes entries at its head; we add at the tail, which lives in the first entry.
//!
//! The kernel uses what it has in turn, so with all buffers provided every one of them would pass
//! through the cache. It is given a *window* of them, the most recently used; the window grows when
//! the kernel runs out and shrinks again with time.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::lease::{Lease, LeaseTable};
use super::mmap::Mapping;

#[derive(Debug)]
pub(super) struct BufRing {
    entries: Mapping,
    buffers: Mapping,
    count: u16,
    buffer_size: u32,
    tail: u16,
    leases: LeaseTable,
    /// Free buffers that the kernel does not have, the most recently used last.
    spare: Vec<u16>,
    provided: u16,
    window: u16,
    /// Grants until the window shrinks.
    grants_to_shrink: u32,
}

/// Enough for few busy connections; with their content of up to 64 KiB it fits a cache of 1 MiB.
const MIN_WINDOW: u16 = 16;
/// After so many grants a window that was needed once is tried smaller.
const SHRINK_INTERVAL: u32 = 1 << 16;

impl BufRing {
    /// Maps `count` buffers (a power of two, at most 32768) and provides all of them to the
    /// ring's buffer group `group`.
    pub(super) fn register(
        submitter: &Submitter<'_>,
        group: u16,
        count: u16,
        buffer_size: u32,
    ) -> io::Result<Self> {
        assert!(count.is_power_of_two() && count <= 1 << 15, "{count} buffers cannot be a ring");
        let count_bytes = usize::from(count) * size_of::<BufRingEntry>();
        let mut ring = Self {
            entries: Mapping::new(count_bytes)?,
            buffers: Mapping::new(usize::from(count) * buffer_size as usize)?,
            count,
            buffer_size,
            tail: 0,
            leases: LeaseTable::new(count),
            spare: (0..count).rev().collect(),
            provided: 0,
            window: MIN_WINDOW.min(count),
            grants_to_shrink: SHRINK_INTERVAL,
        };
        // SAFETY: the entries are mapped, page-aligned and as many as said. They stay mapped until
        // the kernel is done with the ring: `Ring` gives up its memory unless it is quiescent.
        unsafe {
            submitter.register_buf_ring_with_flags(ring.entry(0) as u64, count, group, 0)?;
        }
        ring.fill_window();
        Ok(ring)
    }

    /// A completion reports that the kernel wrote `length` bytes into a buffer.
    pub(super) fn grant(&mut self, buffer: u16, length: u32) -> Lease {
        assert!(length <= self.buffer_size, "the kernel wrote past a buffer");
        self.provided -= 1;
        self.grants_to_shrink -= 1;
        if self.grants_to_shrink == 0 {
            self.window = (self.window / 2).max(MIN_WINDOW.min(self.count));
            self.grants_to_shrink = SHRINK_INTERVAL;
        }
        self.fill_window();
        self.leases.grant(buffer, length)
    }

    /// Takes a lease back; its buffer is free again when that was the last of it.
    pub(super) fn recycle(&mut self, lease: Lease) {
        let freed = self.leases.take_back(lease);
        self.spare.extend(freed);
        self.fill_window();
    }

    /// How many buffers there are.
    pub(super) fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Bytes of each buffer.
    pub(super) fn buffer_size(&self) -> usize {
        self.buffer_size as usize
    }

    /// Buffers that no lease keeps from the kernel.
    pub(super) fn free_buffers(&self) -> usize {
        self.count() - self.leases.leased_buffers()
    }

    /// The kernel picked a buffer and received nothing into it.
    pub(super) fn return_unused(&mut self, buffer: u16) {
        self.provided -= 1;
        self.spare.push(buffer);
        self.fill_window();
    }

    /// The kernel ran out of buffers.
    pub(super) fn widen(&mut self) {
        self.window = self.window.saturating_mul(2).min(self.count);
        self.grants_to_shrink = SHRINK_INTERVAL;
        self.fill_window();
    }

    /// The received bytes of a lease.
    pub(super) fn bytes(&self, lease: &Lease) -> &[u8] {
        let (buffer, start, length) = self.leases.locate(lease);
        let address = self.buffers.address_of(self.offset_of(buffer) + start);
        // SAFETY: a lease covers bytes that the kernel wrote into the mapping before its
        // completion. The kernel writes there again only after `provide`, which needs `&mut self`
        // and so cannot happen while the slice lives.
        unsafe { std::slice::from_raw_parts(address.as_ptr(), length) }
    }

    fn fill_window(&mut self) {
        while self.provided < self.window {
            let Some(buffer) = self.spare.pop() else { return };
            self.provide(buffer);
            self.provided += 1;
        }
    }

    fn provide(&mut self, buffer: u16) {
        let address = self.buffers.address_of(self.offset_of(buffer)).as_ptr() as u64;
        let entry = self.entry(self.tail & (self.count - 1));
        // SAFETY: the entry is inside the mapping, and the kernel does not read it before the tail
        // has passed it. Only address, length and id are written: the tail shares the first entry.
        unsafe {
            (*entry).set_addr(address);
            (*entry).set_len(self.buffer_size);
            (*entry).set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is an aligned u16 in the first entry, shared with the kernel, which
        // only reads it: an atomic store with release order publishes the entry before it.
        unsafe {
            let tail = BufRingEntry::tail(self.entry(0));
            AtomicU16::from_ptr(tail.cast_mut()).store(self.tail, Ordering::Release);
        }
    }

    fn entry(&self, index: u16) -> *mut BufRingEntry {
        self.entries.address_of(usize::from(index) * size_of::<BufRingEntry>()).as_ptr().cast()
    }

    fn offset_of(&self, buffer: u16) -> usize {
        usize::from(buffer) * self.buffer_size as usize
    }
}
