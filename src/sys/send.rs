//! What one send operation carries.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use super::lease::Lease;

/// A stretch of bytes to send: received ones where they lie, or owned ones.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Leased(Lease),
    Owned(Owned),
}

/// Bytes in memory of our own, with what they are charged for.
///
/// Each has a block of memory to itself, of which it uses at least half: what is cut off is copied,
/// since a block that several share stays as long as the last of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    bytes: BytesMut,
    /// Bytes of the block.
    block: usize,
    charge: usize,
    is_our_own_word: bool,
}

/// What is known of owned bytes while somebody else has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detached {
    block: usize,
    charge: usize,
    is_our_own_word: bool,
}

impl Part {
    /// Length in bytes; never 0.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Leased(lease) => lease.len(),
            Self::Owned(owned) => owned.bytes.len(),
        }
    }

    /// Cuts the first `length` bytes off; both parts must hold bytes.
    pub(crate) fn split_to(&mut self, length: usize) -> Self {
        match self {
            Self::Leased(lease) => Self::Leased(lease.split_to(length)),
            Self::Owned(owned) => Self::Owned(owned.split_to(length)),
        }
    }
}

impl Owned {
    /// What an owned part costs beside its bytes: its place in a queue, which may have grown to
    /// twice what it needs (2 * 56), and the allocator's header. A peer that sends byte by byte is
    /// charged for what it makes us spend.
    pub(crate) const OVERHEAD: usize = 128;
    /// A part up to this length takes small ones in.
    const MOST_JOINED: usize = 16 << 10;
    /// A part up to this length is taken in: copying it again is cheaper than keeping it apart.
    const SMALL: usize = 1 << 10;

    /// A copy of received bytes.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let (block, charge) = (bytes.len(), Self::charge_for(bytes.len()));
        Self { bytes: bytes.into(), block, charge, is_our_own_word: false }
    }

    /// Bytes that nobody sent us.
    pub(crate) fn our_own_word(bytes: &[u8]) -> Self {
        Self { is_our_own_word: true, ..Self::copy_of(bytes) }
    }

    pub(crate) fn is_our_own_word(&self) -> bool {
        self.is_our_own_word
    }

    /// What a copy of this many bytes is charged for.
    pub(crate) fn charge_for(length: usize) -> usize {
        length + Self::OVERHEAD
    }

    /// Bytes of memory. What is cut off is charged for its bytes only, the rest for all else.
    pub(crate) fn charge(&self) -> usize {
        self.charge
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes out, for an operation that owns them until it ends.
    pub(crate) fn detach(self) -> (BytesMut, Detached) {
        let Self { bytes, block, charge, is_our_own_word } = self;
        (bytes, Detached { block, charge, is_our_own_word })
    }

    /// Puts the bytes back.
    pub(crate) fn attach(bytes: BytesMut, detached: Detached) -> Self {
        let Detached { block, charge, is_our_own_word } = detached;
        Self { bytes, block, charge, is_our_own_word }
    }

    /// Takes in what follows, if both are of a kind and small; returns what that saves. Joined bytes
    /// are charged twice, and a block that is too small grows to what is charged for it: there is
    /// room for as many more.
    pub(crate) fn join(&mut self, next: &Self) -> Option<usize> {
        let fits = self.bytes.len() <= Self::MOST_JOINED && next.bytes.len() <= Self::SMALL;
        if !fits || self.is_our_own_word != next.is_our_own_word {
            return None;
        }
        let growth = next.charge.min(2 * next.bytes.len());
        self.charge += growth;
        let length = self.bytes.len() + next.bytes.len();
        if length > self.bytes.capacity() {
            self.move_to_block(length.max(self.charge.saturating_sub(Self::OVERHEAD)));
        }
        self.bytes.extend_from_slice(&next.bytes);
        Some(next.charge - growth)
    }

    /// Cuts the first `length` bytes off; both parts must hold bytes.
    pub(crate) fn split_to(&mut self, length: usize) -> Self {
        let front = Self { charge: length, ..Self::copy_of(&self.bytes[..length]) };
        self.drop_front(length);
        Self { is_our_own_word: self.is_our_own_word, ..front }
    }

    /// Gives the first `length` bytes up, and what they are charged for: that is returned.
    pub(crate) fn drop_front(&mut self, length: usize) -> usize {
        self.bytes.advance(length);
        self.charge -= length;
        if 2 * self.bytes.len() <= self.block {
            self.move_to_block(self.bytes.len());
        }
        length
    }

    fn move_to_block(&mut self, block: usize) {
        let mut bytes = BytesMut::with_capacity(block);
        bytes.extend_from_slice(&self.bytes);
        (self.bytes, self.block) = (bytes, block);
    }
}

/// Parts that go out with one operation, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SendBatch {
    parts: VecDeque<Part>,
}

impl SendBatch {
    /// Most parts in a batch. Far below IOV_MAX (1024): past some dozens the cost of a system call
    /// is spread thin enough.
    pub(crate) const MAX_PARTS: usize = 64;

    pub(crate) fn is_full(&self) -> bool {
        self.parts.len() == Self::MAX_PARTS
    }

    /// # Panics
    ///
    /// When the batch is full or the part is empty.
    pub(crate) fn push(&mut self, part: Part) {
        assert!(!self.is_full() && part.len() > 0, "a batch holds a bounded number of real parts");
        self.parts.push_back(part);
    }

    /// The first part.
    pub(crate) fn first_mut(&mut self) -> Option<&mut Part> {
        self.parts.front_mut()
    }

    /// Takes the first part out.
    pub(crate) fn pop_first(&mut self) -> Option<Part> {
        self.parts.pop_front()
    }

    /// Takes the last part out.
    pub(crate) fn pop_last(&mut self) -> Option<Part> {
        self.parts.pop_back()
    }

    pub(crate) fn parts(&self) -> impl ExactSizeIterator<Item = &Part> {
        self.parts.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_of_a_kind_join_and_what_they_save_is_told() {
        let mut first = Owned::copy_of(b"abc");
        assert_eq!(first.join(&Owned::copy_of(b"d")), Some(Owned::OVERHEAD - 1));
        assert_eq!((first.bytes(), first.charge()), (&b"abcd"[..], 3 + Owned::OVERHEAD + 2));
        for other in [Owned::our_own_word(b"not an echo"), Owned::copy_of(&[0; Owned::SMALL + 1])] {
            assert_eq!(first.join(&other), None);
        }
        assert_eq!(first.bytes().len(), 4);
    }

    /// That there is no more memory than is charged for, but for as much again as is in use.
    fn assert_charged(owned: &Owned) {
        assert!(owned.bytes.capacity() <= owned.block, "{owned:?}");
        assert!(owned.block <= 2 * owned.bytes.len().max(1), "{owned:?}");
        assert!(owned.bytes.len() <= owned.charge, "{owned:?}");
    }

    #[test]
    fn a_part_takes_little_more_memory_than_it_uses() {
        let mut large = Owned::copy_of(&vec![7; 100_000]);
        for length in [1, 40_000, 20_000, 30_000, 9_998] {
            let front = large.split_to(length);
            assert_eq!((front.bytes.len(), front.block), (length, length));
            assert_charged(&large);
        }
        assert_eq!(large.bytes(), [7]);
        let mut joined = Owned::copy_of(&[7; 1000]).split_to(999);
        for length in (0..40_000).map(|round| 1 + round % 3) {
            if joined.join(&Owned::copy_of(&vec![7; length])).is_some() {
                assert_charged(&joined);
            }
        }
        assert!(joined.bytes.len() > Owned::MOST_JOINED);
        for length in [5, 16_000, 300] {
            joined.drop_front(length);
            assert_charged(&joined);
        }
    }

    #[test]
    fn parts_keep_their_charge_when_they_are_cut_and_joined() {
        let mut whole = Owned::copy_of(&[7; 100]);
        let charge = whole.charge();
        let mut front = whole.split_to(40);
        assert_eq!(front.charge() + whole.charge(), charge);
        let saved = front.join(&whole).expect("both are small");
        assert_eq!(front.charge() + saved, charge);
        assert_eq!(front.bytes(), [7; 100]);
    }
}
