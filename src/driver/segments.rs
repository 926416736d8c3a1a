//! The stretch of a connection's stream that has been received and not yet decided on.

use std::collections::VecDeque;
use std::ops::Range;

use crate::protocol::StreamOffset;
use crate::sys::Part;

/// Parts of the received stream in order, without gaps.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// Offset of the first byte of the first part.
    start: StreamOffset,
    parts: VecDeque<Part>,
}

impl Segments {
    /// Appends what was received next; returns what was saved of its charge, see [`append`].
    pub(super) fn push(&mut self, part: Part) -> usize {
        append(&mut self.parts, part)
    }

    /// Takes the bytes of `range` out and hands them to `each`, cutting parts where it begins or
    /// ends inside them.
    ///
    /// # Panics
    ///
    /// When the range does not begin where the stretch does, or ends beyond it: the core decides
    /// on the stream in order and never ahead of it.
    pub(super) fn take(&mut self, range: Range<StreamOffset>, mut each: impl FnMut(Part)) {
        assert_eq!(range.start, self.start, "the core decides in order");
        let mut missing = (range.end - range.start) as usize;
        self.start = range.end;
        while missing > 0 {
            let first = self.parts.front_mut().expect("the core decides on received bytes");
            let part = if first.len() <= missing {
                self.parts.pop_front().expect("there is a first part")
            } else {
                first.split_to(missing)
            };
            missing -= part.len();
            each(part);
        }
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Part> + '_ {
        self.start += self.parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.parts.drain(..)
    }
}

/// Appends a part, joined with the last one where that is cheaper; returns what that saved of the
/// charge for owned memory.
pub(super) fn append(parts: &mut VecDeque<Part>, part: Part) -> usize {
    let joined = match parts.back_mut() {
        Some(last) => last.join(part),
        None => Err(part),
    };
    joined.unwrap_or_else(|part| {
        parts.push_back(part);
        0
    })
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
