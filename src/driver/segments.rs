//! The stretch of a connection's stream that has been received and not yet decided on.

use std::collections::VecDeque;
use std::ops::Range;

use crate::protocol::StreamOffset;
use crate::sys::{Owned, Part};

/// Parts of the received stream in order, without gaps.
#[derive(Debug)]
pub(super) struct Segments<P = Part> {
    /// Offset of the first byte of the first part.
    start: StreamOffset,
    parts: VecDeque<P>,
}

/// A stretch of bytes that can be cut and joined. It is never empty.
pub(super) trait Stretch: Sized {
    /// Length in bytes.
    fn len(&self) -> usize;

    /// Cuts the first `length` bytes off; both parts must hold bytes.
    fn split_to(&mut self, length: usize) -> Self;

    /// Takes in what follows, if that is cheaper than keeping it apart; returns it otherwise, and
    /// what the joining saved of its charge.
    fn join(&mut self, next: Self) -> Result<usize, Self>;
}

impl<P> Default for Segments<P> {
    fn default() -> Self {
        Self { start: 0, parts: VecDeque::new() }
    }
}

impl<P: Stretch> Segments<P> {
    /// Appends what was received next; returns what was saved of its charge, see [`append`].
    pub(super) fn push(&mut self, part: P) -> usize {
        append(&mut self.parts, part)
    }

    /// Takes the bytes of `range` out and hands them to `each`, cutting parts where it begins or
    /// ends inside them.
    ///
    /// # Panics
    ///
    /// When the range does not begin where the stretch does, or ends beyond it: the core decides
    /// on the stream in order and never ahead of it.
    pub(super) fn take(&mut self, range: Range<StreamOffset>, each: impl FnMut(P)) {
        let missing = self.take_kept(range, each);
        assert!(missing == 0, "the core decides on received bytes");
    }

    /// As [`take`](Self::take), of a stretch that goes on in memory of somebody else; returns how
    /// many bytes of the range are there.
    pub(super) fn take_kept(
        &mut self,
        range: Range<StreamOffset>,
        mut each: impl FnMut(P),
    ) -> usize {
        assert_eq!(range.start, self.start, "the core decides in order");
        let mut missing = (range.end - range.start) as usize;
        self.start = range.end;
        while missing > 0 {
            let Some(first) = self.parts.front_mut() else { break };
            let part = if first.len() <= missing {
                self.parts.pop_front().expect("there is a first part")
            } else {
                first.split_to(missing)
            };
            missing -= part.len();
            each(part);
        }
        missing
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = P> + '_ {
        self.start += self.parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.parts.drain(..)
    }
}

/// Appends a part, joined with the last one where that is cheaper; returns what that saved of the
/// charge for owned memory.
pub(super) fn append<P: Stretch>(parts: &mut VecDeque<P>, part: P) -> usize {
    let joined = match parts.back_mut() {
        Some(last) => last.join(part),
        None => Err(part),
    };
    joined.unwrap_or_else(|part| {
        parts.push_back(part);
        0
    })
}

impl Stretch for Part {
    fn len(&self) -> usize {
        self.len()
    }

    fn split_to(&mut self, length: usize) -> Self {
        self.split_to(length)
    }

    fn join(&mut self, next: Self) -> Result<usize, Self> {
        match (self, &next) {
            (Self::Owned(owned), Self::Owned(other)) => owned.join(other).ok_or(next),
            _ => Err(next),
        }
    }
}

impl Stretch for Owned {
    fn len(&self) -> usize {
        self.bytes().len()
    }

    fn split_to(&mut self, length: usize) -> Self {
        self.split_to(length)
    }

    fn join(&mut self, next: Self) -> Result<usize, Self> {
        self.join(&next).ok_or(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Lease, LeaseTable};

    /// A buffer for each number, with that many bytes on lease.
    fn leases<const N: usize>(lengths: [u32; N]) -> [Lease; N] {
        let mut table = LeaseTable::new(N as u16);
        let mut buffer = 0..;
        lengths.map(|length| table.grant(buffer.next().expect("endless"), length))
    }

    #[test]
    fn ranges_are_cut_out_across_parts() {
        let mut segments = Segments::default();
        for lease in leases([3, 4, 1]) {
            segments.push(Part::Leased(lease));
        }
        let mut taken = Vec::new();
        segments.take(0..2, |part| taken.push(part.len()));
        segments.take(2..7, |part| taken.push(part.len()));
        assert_eq!(taken, [2, 1, 4]);
        assert_eq!(segments.drain().map(|part| part.len()).collect::<Vec<_>>(), [1]);
        let [next] = leases([9]);
        segments.push(Part::Leased(next));
        segments.take(8..17, |part| assert_eq!(part.len(), 9));
    }

    #[test]
    #[should_panic(expected = "in order")]
    fn a_range_out_of_order_is_refused() {
        let mut segments = Segments::default();
        let [lease] = leases([3]);
        segments.push(Part::Leased(lease));
        segments.take(1..2, drop);
    }
}
