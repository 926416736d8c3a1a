//! Who may touch which bytes of the receive buffers.

use std::sync::atomic::{AtomicU32, Ordering};

/// Received bytes inside a buffer that the kernel has given up.
///
/// There is exactly one lease for each byte: a lease can be split but not copied, and a buffer
/// goes back to the kernel when the leases that came back add up to what was granted. Dropping a
/// lease loses its buffer for the life of the ring, no more.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a buffer returns to the kernel only when its leases are recycled"]
pub(crate) struct Lease {
    table: u32,
    buffer: u16,
    start: u32,
    length: u32,
}

impl Lease {
    /// Length in bytes; never 0.
    pub(crate) fn len(&self) -> usize {
        self.length as usize
    }

    /// Cuts the first `length` bytes off.
    ///
    /// # Panics
    ///
    /// When either part would be empty.
    pub(crate) fn split_to(&mut self, length: usize) -> Self {
        assert!(0 < length && length < self.len(), "both parts of a lease hold bytes");
        let length = length as u32;
        let front = Self { length, ..*self };
        self.start += length;
        self.length -= length;
        front
    }

    /// Takes in what follows, if it lies right behind; gives it back otherwise.
    pub(super) fn join(&mut self, next: Self) -> Result<(), Self> {
        let end = Self { start: self.start + self.length, length: next.length, ..*self };
        if next != end {
            return Err(next);
        }
        self.length += next.length;
        Ok(())
    }
}

/// Counts how many bytes of each buffer are out on lease.
///
/// Pure: it knows no memory. Leases of another table are refused.
#[derive(Debug)]
pub(crate) struct LeaseTable {
    identity: u32,
    outstanding: Vec<u32>,
    /// Buffers of which at least one byte is out.
    leased_buffers: usize,
}

impl LeaseTable {
    pub(crate) fn new(buffers: u16) -> Self {
        static NEXT_IDENTITY: AtomicU32 = AtomicU32::new(0);
        let identity = NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed);
        Self { identity, outstanding: vec![0; usize::from(buffers)], leased_buffers: 0 }
    }

    /// Leases out the first `length` bytes of a buffer.
    ///
    /// # Panics
    ///
    /// When some of the buffer is still on lease, or `length` is 0.
    pub(crate) fn grant(&mut self, buffer: u16, length: u32) -> Lease {
        let outstanding = &mut self.outstanding[usize::from(buffer)];
        assert!(*outstanding == 0, "buffer {buffer} was given out twice");
        assert!(length > 0, "a lease holds bytes");
        *outstanding = length;
        self.leased_buffers += 1;
        Lease { table: self.identity, buffer, start: 0, length }
    }

    /// Takes a lease back; returns its buffer if this was the last of it.
    #[expect(clippy::needless_pass_by_value, reason = "a lease ends here")]
    pub(crate) fn take_back(&mut self, lease: Lease) -> Option<u16> {
        self.check(&lease);
        let outstanding = &mut self.outstanding[usize::from(lease.buffer)];
        assert!(*outstanding >= lease.length, "no more comes back than was given out");
        *outstanding -= lease.length;
        if *outstanding > 0 {
            return None;
        }
        self.leased_buffers -= 1;
        Some(lease.buffer)
    }

    /// Where the bytes of a lease are: buffer, first byte, length.
    pub(crate) fn locate(&self, lease: &Lease) -> (u16, usize, usize) {
        self.check(lease);
        (lease.buffer, lease.start as usize, lease.length as usize)
    }

    /// Buffers of which at least one byte is out.
    pub(crate) fn leased_buffers(&self) -> usize {
        self.leased_buffers
    }

    fn check(&self, lease: &Lease) {
        assert!(lease.table == self.identity, "a lease is used with the ring that granted it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_free_when_all_its_parts_are_back_in_any_order() {
        let mut table = LeaseTable::new(2);
        let mut rest = table.grant(1, 10);
        let front = rest.split_to(3);
        let middle = rest.split_to(4);
        assert_eq!((front.len(), middle.len(), rest.len()), (3, 4, 3));
        assert_eq!(table.locate(&rest), (1, 7, 3));
        assert_eq!(table.take_back(rest), None);
        assert_eq!(table.take_back(front), None);
        assert_eq!(table.leased_buffers(), 1);
        assert_eq!(table.take_back(middle), Some(1));
        assert_eq!(table.leased_buffers(), 0);
    }

    #[test]
    fn what_lies_together_is_joined_and_comes_back_as_one() {
        let mut table = LeaseTable::new(2);
        let (mut rest, mut other) = (table.grant(0, 10), table.grant(1, 4));
        let (mut front, middle) = (rest.split_to(3), rest.split_to(4));
        let mut rest = front.join(rest).expect_err("there is a gap");
        let middle = rest.join(middle).expect_err("it is in front");
        let middle = other.join(middle).expect_err("it is another buffer");
        front.join(middle).expect("it is right behind");
        front.join(rest).expect("it is right behind");
        assert_eq!(table.locate(&front), (0, 0, 10));
        assert_eq!(table.take_back(front), Some(0));
        assert_eq!(table.take_back(other), Some(1));
    }

    #[test]
    #[should_panic(expected = "given out twice")]
    fn a_leased_buffer_is_not_granted_again() {
        let mut table = LeaseTable::new(1);
        let _first = table.grant(0, 1);
        let _second = table.grant(0, 1);
    }

    #[test]
    #[should_panic(expected = "the ring that granted it")]
    fn a_lease_of_another_table_is_refused() {
        let lease = LeaseTable::new(1).grant(0, 1);
        LeaseTable::new(1).take_back(lease);
    }
}
