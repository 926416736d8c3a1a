//! The stretch of a connection's stream that has been received and not yet decided on.

use std::ops::Range;

use super::buffers::{Buffers, bytes_of};
use crate::protocol::StreamOffset;
use crate::sys::{Part, Parts, Stretch};

/// Parts of the received stream in order, without gaps. The core has seen the first of their bytes.
///
/// ```text
///   start            start + seen        start + parts.len()
///     | seen, undecided   | unseen              |
/// ```
#[derive(Debug)]
pub(super) struct Received<L> {
    parts: Parts<L>,
    start: StreamOffset,
    seen: usize,
}

impl<L> Default for Received<L> {
    fn default() -> Self {
        Self { parts: Parts::default(), start: 0, seen: 0 }
    }
}

impl<L: Stretch> Received<L> {
    /// Appends what was received next.
    pub(super) fn push(&mut self, part: Part<L>) {
        self.parts.push(part);
    }

    pub(super) fn parts(&self) -> &Parts<L> {
        &self.parts
    }

    pub(super) fn parts_mut(&mut self) -> &mut Parts<L> {
        &mut self.parts
    }

    /// Returns whether there are bytes that the core has not seen.
    pub(super) fn has_unseen(&self) -> bool {
        self.seen < self.parts.len()
    }

    /// The first bytes that the core has not seen, as many as lie together.
    pub(super) fn unseen<'a>(&'a self, buffers: &'a impl Buffers<Lease = L>) -> &'a [u8] {
        let unseen = self.parts.len() - self.seen;
        let mut from_end = 0;
        // From the end: before the unseen bytes may lie the many parts of a long frame.
        for part in self.parts.iter().rev() {
            from_end += part.len();
            if from_end >= unseen {
                return &bytes_of(part, buffers)[from_end - unseen..];
            }
        }
        &[]
    }

    /// So many bytes of the stream passed by while nothing was kept of it.
    pub(super) fn pass_by(&mut self, length: usize) {
        assert!(self.parts.is_empty(), "bytes pass by in order");
        self.start += length as u64;
    }

    /// The core has seen so many bytes more.
    pub(super) fn advance(&mut self, length: usize) {
        self.seen += length;
        assert!(self.seen <= self.parts.len(), "the core sees what was received");
    }

    /// Takes the bytes of `range` out and hands them to `each`, cutting parts where it ends inside
    /// them.
    ///
    /// # Panics
    ///
    /// When the range does not begin where the stretch does, or ends beyond it: the core decides
    /// on the stream in order and never ahead of it.
    pub(super) fn take(&mut self, range: Range<StreamOffset>, mut each: impl FnMut(Part<L>)) {
        let mut missing = self.pass(range);
        while missing > 0 {
            let part = self.parts.pop(missing).expect("the core decides on received bytes");
            missing -= part.len();
            each(part);
        }
    }

    /// Gives the bytes of `range` up; each lease goes to `release`.
    ///
    /// # Panics
    ///
    /// As [`take`](Self::take).
    pub(super) fn discard(&mut self, range: Range<StreamOffset>, release: impl FnMut(L)) {
        let missing = self.pass(range);
        self.parts.discard_front(missing, release);
    }

    /// Gives everything up; each lease goes to `release`.
    pub(super) fn clear(&mut self, release: impl FnMut(L)) {
        let all = self.start..self.start + self.parts.len() as u64;
        self.discard(all, release);
    }

    fn pass(&mut self, range: Range<StreamOffset>) -> usize {
        assert_eq!(range.start, self.start, "the core decides in order");
        let length = (range.end - range.start) as usize;
        self.start = range.end;
        self.seen = self.seen.saturating_sub(length);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Lease, LeaseTable, Owned};

    /// Knows the bytes of no buffer: leases here are only counted.
    struct NoBuffers;

    impl Buffers for NoBuffers {
        type Lease = Lease;

        fn bytes<'a>(&'a self, _: &'a Lease) -> &'a [u8] {
            unreachable!("the tests look into owned bytes only")
        }

        fn release(&mut self, _: Lease) {}

        fn may_stay(&self, _: usize) -> bool {
            true
        }
    }

    /// A buffer for each number, with that many bytes on lease.
    fn leases<const N: usize>(lengths: [u32; N]) -> [Lease; N] {
        let mut table = LeaseTable::new(N as u16);
        let mut buffer = 0..;
        lengths.map(|length| table.grant(buffer.next().expect("endless"), length))
    }

    #[test]
    fn ranges_are_cut_out_across_parts() {
        let mut received = Received::default();
        for lease in leases([3, 4, 1]) {
            received.push(Part::Leased(lease));
        }
        let mut taken = Vec::new();
        received.take(0..2, |part| taken.push(part.len()));
        received.take(2..7, |part| taken.push(part.len()));
        assert_eq!(taken, [2, 1, 4]);
        let mut released = 0;
        received.clear(|lease| released += lease.len());
        assert_eq!(released, 1);
        let [next] = leases([9]);
        received.push(Part::Leased(next));
        received.take(8..17, |part| assert_eq!(part.len(), 9));
    }

    #[test]
    fn what_the_core_has_not_seen_is_shown_once_and_in_order() {
        let mut received: Received<Lease> = Received::default();
        assert!(!received.has_unseen());
        let long = [b'x'; 2000];
        for bytes in [&b"abc"[..], &long, b"de"] {
            received.push(Part::Owned(Owned::copy_of(bytes)));
        }
        assert_eq!(received.unseen(&NoBuffers), b"abc");
        received.advance(2);
        assert_eq!(received.unseen(&NoBuffers), b"c");
        received.advance(1);
        assert_eq!(received.unseen(&NoBuffers).len(), 2002, "small parts join the one before");
        received.advance(2000);
        received.take(0..1500, drop);
        assert_eq!(received.unseen(&NoBuffers), b"de");
        received.advance(2);
        assert!(!received.has_unseen() && received.unseen(&NoBuffers).is_empty());
    }

    #[test]
    #[should_panic(expected = "in order")]
    fn a_range_out_of_order_is_refused() {
        let mut received = Received::default();
        let [lease] = leases([3]);
        received.push(Part::Leased(lease));
        received.take(1..2, drop);
    }
}
