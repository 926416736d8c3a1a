//! Anonymous memory from the kernel: page-aligned, zeroed, resident only where touched.

use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A private mapping, unmapped when dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    address: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Maps `length` bytes, which must not be 0 (`mmap(2)` refuses).
    pub(super) fn new(length: usize) -> io::Result<Self> {
        // SAFETY: no address is asked for, so no existing mapping is replaced.
        let address = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let address = NonNull::new(address.cast()).expect("the kernel never maps page zero here");
        Ok(Self { address, length })
    }

    /// Address of the byte at `offset`, which must lie inside.
    pub(super) fn address_of(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.length, "offset {offset} outside a mapping of {}", self.length);
        // SAFETY: the offset was checked to lie inside the mapping.
        unsafe { self.address.add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and nothing borrows it any more.
        let unmapped = unsafe { munmap(self.address.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "a whole mapping can be unmapped");
    }
}
