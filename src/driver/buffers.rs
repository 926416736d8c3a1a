//! Where received bytes lie until they are sent back.

use crate::sys::{Part, Stretch};

/// The receive buffers of a worker.
pub(crate) trait Buffers {
    /// A stretch of received bytes in a buffer; the buffer is not used again before it is released.
    type Lease: Stretch;

    /// The bytes of a lease.
    fn bytes<'a>(&'a self, lease: &'a Self::Lease) -> &'a [u8];

    /// Takes a lease back.
    fn release(&mut self, lease: Self::Lease);

    /// Returns whether a stretch of this many bytes that has to wait for its peer may stay in its
    /// buffer; otherwise it is copied out.
    fn may_stay(&self, length: usize) -> bool;
}

/// The bytes of a part, wherever they lie.
pub(super) fn bytes_of<'a, L: Stretch>(
    part: &'a Part<L>,
    buffers: &'a impl Buffers<Lease = L>,
) -> &'a [u8] {
    match part {
        Part::Leased(lease) => buffers.bytes(lease),
        Part::Owned(owned) => owned.bytes(),
    }
}
