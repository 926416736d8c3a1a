//! Bytes in memory of our own.

/// Bytes in a block of memory that is theirs alone.
///
/// A block is at most twice as large as what it holds, but for [`Self::MIN_BLOCK`]: what is cut off
/// is copied, since a block that several share would stay as long as the last of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    block: Vec<u8>,
    start: u32,
    is_control: bool,
}

impl Owned {
    /// Cost of an owned part beside its block: its place in a queue, which may have grown to twice
    /// what it needs (2 × 48 bytes), and the allocator's header. A peer that sends byte by byte is
    /// charged for what it makes us spend.
    pub(crate) const OVERHEAD: usize = 128;
    /// A part up to this length takes small ones in.
    const MAX_JOINED: usize = 16 << 10;
    /// A part up to this length is taken in: copying it again is cheaper than keeping it apart.
    const MAX_JOINING: usize = 1 << 10;
    /// Smaller blocks save nothing.
    const MIN_BLOCK: usize = 32;

    /// A copy of received bytes.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        Self { block: bytes.to_vec(), start: 0, is_control: false }
    }

    /// Control bytes: a frame of the core's own, which nobody sent us.
    pub(crate) fn control(bytes: &[u8]) -> Self {
        Self { is_control: true, ..Self::copy_of(bytes) }
    }

    pub(crate) fn is_control(&self) -> bool {
        self.is_control
    }

    /// Bytes of memory.
    pub(crate) fn charge(&self) -> usize {
        self.block.capacity() + Self::OVERHEAD
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.block[self.start as usize..]
    }

    /// Takes in what follows, if both are of a kind and small; gives it back otherwise.
    pub(super) fn join(&mut self, next: Self) -> Result<(), Self> {
        let (length, more) = (self.bytes().len(), next.bytes().len());
        let is_small = length <= Self::MAX_JOINED && more <= Self::MAX_JOINING;
        if !is_small || self.is_control != next.is_control {
            return Err(next);
        }
        if self.block.len() + more > self.block.capacity() {
            self.move_to_block(2 * (length + more));
        }
        self.block.extend_from_slice(next.bytes());
        Ok(())
    }

    /// Cuts the first `length` bytes off; both parts must hold bytes.
    pub(super) fn split_to(&mut self, length: usize) -> Self {
        let front = Self::copy_of(&self.bytes()[..length]);
        self.drop_front(length);
        Self { is_control: self.is_control, ..front }
    }

    /// Gives the first `length` bytes up, not all.
    pub(super) fn drop_front(&mut self, length: usize) {
        self.start += length as u32;
        let left = self.bytes().len();
        if 2 * left.max(Self::MIN_BLOCK) <= self.block.capacity() {
            self.move_to_block(left);
        }
    }

    fn move_to_block(&mut self, capacity: usize) {
        let mut block = Vec::with_capacity(capacity);
        block.extend_from_slice(self.bytes());
        (self.block, self.start) = (block, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_of_a_kind_join() {
        let mut first = Owned::copy_of(b"abc");
        first.join(Owned::copy_of(b"d")).expect("both are small");
        assert_eq!(first.bytes(), b"abcd");
        for other in [Owned::control(b"not an echo"), Owned::copy_of(&[0; 1025])] {
            assert!(first.join(other).is_err());
        }
        assert_eq!(first.bytes(), b"abcd");
    }

    /// That the charge covers the memory, and memory is at most twice what is in use.
    fn assert_charged(owned: &Owned) {
        assert_eq!(owned.charge(), owned.block.capacity() + Owned::OVERHEAD);
        let most = 2 * owned.bytes().len().max(Owned::MIN_BLOCK);
        assert!(owned.block.capacity() <= most, "{owned:?}");
    }

    #[test]
    fn a_part_takes_at_most_twice_the_memory_it_uses() {
        let mut large = Owned::copy_of(&vec![7; 100_000]);
        for length in [1, 40_000, 20_000, 30_000, 9_998] {
            let front = large.split_to(length);
            assert_eq!((front.bytes().len(), front.block.capacity()), (length, length));
            assert_charged(&large);
        }
        assert_eq!(large.bytes(), [7]);
        let mut joined = Owned::copy_of(&[7; 1000]).split_to(999);
        for length in (0..40_000).map(|round| 1 + round % 3) {
            if joined.join(Owned::copy_of(&vec![7; length])).is_ok() {
                assert_charged(&joined);
            }
        }
        assert!(joined.bytes().len() > Owned::MAX_JOINED);
        for length in [5, 16_000, 300] {
            joined.drop_front(length);
            assert_charged(&joined);
        }
    }
}
