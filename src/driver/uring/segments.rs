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
    /// Appends what was received next.
    pub(super) fn push(&mut self, part: Part) {
        self.parts.push_back(part);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Owned;

    fn owned(text: &'static str) -> Part {
        Part::Owned(Owned::copy_of(text.as_bytes()))
    }

    fn texts(parts: &[Part]) -> Vec<&str> {
        fn text(part: &Part) -> &str {
            match part {
                Part::Owned(owned) => std::str::from_utf8(owned.bytes()).expect("it was text"),
                Part::Leased(_) => unreachable!("no lease was pushed"),
            }
        }
        parts.iter().map(text).collect()
    }

    #[test]
    fn ranges_are_cut_out_across_parts() {
        let mut segments = Segments::default();
        for text in ["abc", "defg", "h"] {
            segments.push(owned(text));
        }
        let mut taken = Vec::new();
        segments.take(0..2, |part| taken.push(part));
        segments.take(2..7, |part| taken.push(part));
        assert_eq!(texts(&taken), ["ab", "c", "defg"]);
        assert_eq!(texts(&segments.drain().collect::<Vec<_>>()), ["h"]);
        segments.push(owned("i"));
        segments.take(8..9, |part| assert_eq!(texts(&[part]), ["i"]));
    }

    #[test]
    #[should_panic(expected = "in order")]
    fn a_range_out_of_order_is_refused() {
        let mut segments = Segments::default();
        segments.push(owned("abc"));
        segments.take(1..2, drop);
    }
}
