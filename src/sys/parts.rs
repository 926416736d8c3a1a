//! Stretches of bytes in order: received ones where they lie, or owned ones.

use std::collections::VecDeque;

use super::lease::Lease;
use super::owned::Owned;

/// Bytes that can be cut in two, and joined with those behind them. Never empty.
pub(crate) trait Stretch: Sized {
    /// Length in bytes.
    fn len(&self) -> usize;

    /// Cuts the first `length` bytes off; both parts must hold bytes.
    fn split_to(&mut self, length: usize) -> Self;

    /// Takes in what follows, if it lies right behind; gives it back otherwise.
    fn join(&mut self, next: Self) -> Result<(), Self>;
}

/// A stretch of bytes to decide on or to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<L = Lease> {
    /// Received bytes in the buffer they were received into.
    Leased(L),
    Owned(Owned),
}

/// Parts in order. Its memory shrinks with what it holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts<L = Lease> {
    /// A connection with one message at a time has no other.
    first: Option<Part<L>>,
    /// Those behind the first, if there are any.
    #[expect(clippy::box_collection, reason = "most connections have none, and it is four words")]
    rest: Option<Box<VecDeque<Part<L>>>>,
    /// Bytes of all parts.
    length: usize,
    /// Memory that the owned ones take.
    charge: usize,
}

impl Stretch for Lease {
    fn len(&self) -> usize {
        self.len()
    }

    fn split_to(&mut self, length: usize) -> Self {
        self.split_to(length)
    }

    fn join(&mut self, next: Self) -> Result<(), Self> {
        self.join(next)
    }
}

impl<L: Stretch> Part<L> {
    /// Length in bytes; never 0.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Leased(lease) => lease.len(),
            Self::Owned(owned) => owned.bytes().len(),
        }
    }

    /// Bytes of our own memory.
    fn charge(&self) -> usize {
        match self {
            Self::Leased(_) => 0,
            Self::Owned(owned) => owned.charge(),
        }
    }

    fn split_to(&mut self, length: usize) -> Self {
        match self {
            Self::Leased(lease) => Self::Leased(lease.split_to(length)),
            Self::Owned(owned) => Self::Owned(owned.split_to(length)),
        }
    }

    /// Takes in what follows, where that is cheaper; gives it back otherwise.
    fn join(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (Self::Leased(lease), Self::Leased(next)) => lease.join(next).map_err(Self::Leased),
            (Self::Owned(owned), Self::Owned(next)) => owned.join(next).map_err(Self::Owned),
            (_, next) => Err(next),
        }
    }
}

impl<L> Default for Parts<L> {
    fn default() -> Self {
        Self { first: None, rest: None, length: 0, charge: 0 }
    }
}

impl<L: Stretch> Parts<L> {
    /// Room for so many parts behind the first is kept while there are any.
    const MIN_CAPACITY: usize = 4;

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Number of parts.
    pub(crate) fn count(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// Bytes of our own memory that the parts take.
    pub(crate) fn charge(&self) -> usize {
        self.charge
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Part<L>> {
        self.first.iter().chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    /// Appends a part, joined with the last one where that is cheaper.
    pub(crate) fn push(&mut self, part: Part<L>) {
        self.length += part.len();
        let last = match &mut self.rest {
            Some(rest) => rest.back_mut(),
            None => self.first.as_mut(),
        };
        let Some(last) = last else {
            self.charge += part.charge();
            self.first = Some(part);
            return;
        };
        let before = last.charge();
        let apart = last.join(part).err();
        self.charge = self.charge - before + last.charge();
        if let Some(part) = apart {
            self.charge += part.charge();
            self.rest.get_or_insert_default().push_back(part);
        }
    }

    /// Puts what was taken from the front back there.
    pub(crate) fn prepend(&mut self, front: Self) {
        let Some(first) = front.first else { return };
        self.length += front.length;
        self.charge += front.charge;
        let second = self.first.replace(first);
        let Some(second) = second else {
            self.rest = front.rest;
            return;
        };
        let rest = self.rest.get_or_insert_default();
        rest.push_front(second);
        for part in front.rest.into_iter().flat_map(|rest| *rest).rev() {
            rest.push_front(part);
        }
    }

    /// Takes the first part out, cut to `most` bytes if it is longer.
    pub(crate) fn pop(&mut self, most: usize) -> Option<Part<L>> {
        let first = self.first.as_mut().filter(|_| most > 0)?;
        if first.len() > most {
            self.charge -= first.charge();
            let front = first.split_to(most);
            self.charge += first.charge();
            self.length -= most;
            return Some(front);
        }
        self.pop_whole()
    }

    fn pop_whole(&mut self) -> Option<Part<L>> {
        let part = self.first.take()?;
        self.charge -= part.charge();
        self.length -= part.len();
        self.move_up();
        Some(part)
    }

    /// The first part is gone: the next takes its place.
    fn move_up(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        self.first = rest.pop_front();
        let (needed, capacity) = (rest.len(), rest.capacity());
        if needed == 0 {
            self.rest = None;
        } else if capacity > Self::MIN_CAPACITY && needed <= capacity / 4 {
            rest.shrink_to((2 * needed).max(Self::MIN_CAPACITY));
        }
    }

    /// Gives the first `length` bytes up; each lease goes to `release`.
    pub(crate) fn discard_front(&mut self, mut length: usize, mut release: impl FnMut(L)) {
        while length > 0 {
            let first = self.first.as_mut().expect("no more is given up than there is");
            let (before, taken) = (first.charge(), first.len().min(length));
            length -= taken;
            match first {
                Part::Leased(lease) if lease.len() > taken => {
                    self.length -= taken;
                    release(lease.split_to(taken));
                }
                Part::Owned(owned) if owned.bytes().len() > taken => {
                    owned.drop_front(taken);
                    self.length -= taken;
                    self.charge = self.charge - before + owned.charge();
                }
                _ => {
                    if let Some(Part::Leased(lease)) = self.pop_whole() {
                        release(lease);
                    }
                }
            }
        }
    }

    /// Takes the first `count` parts out, or all there are.
    pub(crate) fn take(&mut self, count: usize) -> Self {
        if self.count() <= count {
            return std::mem::take(self);
        }
        let mut front = Self::default();
        for _ in 0..count {
            let part = self.pop_whole().expect("there are more");
            front.length += part.len();
            front.charge += part.charge();
            match front.first {
                None => front.first = Some(part),
                Some(_) => front.rest.get_or_insert_default().push_back(part),
            }
        }
        front
    }

    /// Replaces every part by what `replace` makes of it.
    pub(crate) fn replace(&mut self, mut replace: impl FnMut(Part<L>) -> Part<L>) {
        let mut parts = std::mem::take(self);
        while let Some(part) = parts.pop_whole() {
            self.push(replace(part));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::LeaseTable;

    /// Parts of these lengths: a buffer each.
    fn leased(lengths: &[u32]) -> Parts {
        let mut table = LeaseTable::new(lengths.len() as u16);
        let mut parts = Parts::default();
        for (buffer, length) in (0..).zip(lengths) {
            parts.push(Part::Leased(table.grant(buffer, *length)));
        }
        parts
    }

    fn lengths(parts: &Parts) -> Vec<usize> {
        parts.iter().map(Part::len).collect()
    }

    #[test]
    fn parts_are_cut_where_they_are_longer_than_asked_for() {
        let mut parts = leased(&[3, 4]);
        assert_eq!(parts.pop(2).map(|part| part.len()), Some(2));
        assert_eq!((lengths(&parts), parts.len()), (vec![1, 4], 5));
        assert_eq!(parts.pop(100).map(|part| part.len()), Some(1));
        assert_eq!(parts.pop(0), None);
        assert_eq!((lengths(&parts), parts.len()), (vec![4], 4));
    }

    #[test]
    fn what_was_taken_comes_back_in_order() {
        let mut parts = leased(&[1, 2, 3]);
        let front = parts.take(2);
        assert_eq!((lengths(&front), front.len()), (vec![1, 2], 3));
        assert_eq!((lengths(&parts), parts.len()), (vec![3], 3));
        parts.prepend(front);
        assert_eq!((lengths(&parts), parts.len()), (vec![1, 2, 3], 6));
        let all = parts.take(3);
        assert_eq!((parts.count(), parts.len()), (0, 0));
        parts.prepend(all);
        assert_eq!(parts.len(), 6);
    }

    #[test]
    fn small_owned_neighbours_join() {
        let mut parts: Parts = Parts::default();
        for bytes in [&b"ab"[..], b"c"] {
            parts.push(Part::Owned(Owned::copy_of(bytes)));
        }
        assert_eq!((parts.count(), parts.len()), (1, 3));
    }

    #[test]
    fn the_charge_is_the_sum_of_what_owned_parts_take() {
        let sum = |parts: &Parts| parts.iter().map(Part::charge).sum::<usize>();
        let mut parts = leased(&[10]);
        for length in [5, 300, 2000, 1, 1, 20_000, 7] {
            parts.push(Part::Owned(Owned::copy_of(&vec![1; length])));
            assert_eq!(parts.charge(), sum(&parts));
        }
        let front = parts.take(3);
        assert_eq!((front.charge(), parts.charge()), (sum(&front), sum(&parts)));
        parts.prepend(front);
        while parts.pop(700).is_some() {
            assert_eq!(parts.charge(), sum(&parts));
        }
        assert_eq!((parts.charge(), parts.len()), (0, 0));
    }

    #[test]
    fn what_is_given_up_is_released_and_no_longer_charged() {
        let mut parts = leased(&[5, 6]);
        parts.push(Part::Owned(Owned::copy_of(&[1; 2000])));
        let mut released = Vec::new();
        for length in [2, 4, 5, 1500] {
            parts.discard_front(length, |lease| released.push(lease.len()));
        }
        assert_eq!(released, [2, 3, 1, 5]);
        assert_eq!((parts.len(), parts.charge()), (500, 500 + Owned::OVERHEAD));
        parts.discard_front(500, |_| unreachable!("no lease is left"));
        assert_eq!((parts.len(), parts.charge(), parts.count()), (0, 0, 0));
    }

    #[test]
    fn parts_that_are_replaced_keep_their_place() {
        let mut parts = leased(&[1, 900, 2]);
        parts.replace(|part| match part {
            Part::Leased(lease) if lease.len() < 10 => {
                Part::Owned(Owned::copy_of(&vec![0; lease.len()]))
            }
            part => part,
        });
        assert_eq!(lengths(&parts), [1, 900, 2]);
        assert_eq!(parts.charge(), 2 * Owned::OVERHEAD + 3);
    }

    #[test]
    fn memory_of_a_long_queue_goes_back_when_it_is_used_up() {
        let mut parts: Parts = Parts::default();
        let block = vec![0; 2 << 10];
        for _ in 0..1000 {
            parts.push(Part::Owned(Owned::copy_of(&block)));
        }
        for left in (0..1000).rev() {
            parts.pop(usize::MAX).expect("there is one more");
            let most = (4 * left).max(2 * Parts::<Lease>::MIN_CAPACITY);
            let capacity = parts.rest.as_ref().map_or(0, |rest| rest.capacity());
            assert!(capacity <= most, "{capacity} of {left}");
        }
    }
}
