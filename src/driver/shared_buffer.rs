//! One receive buffer for many connections: what waits is copied out before it is used again.

use super::buffers::Buffers;
use crate::sys::Stretch;

/// A buffer that holds what was received last.
#[derive(Debug, Default)]
pub(crate) struct SharedBuffer {
    bytes: Vec<u8>,
    /// Bytes on lease.
    leased: usize,
}

/// A stretch of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: usize,
    length: usize,
}

impl SharedBuffer {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, leased: 0 }
    }

    /// The memory to receive into.
    ///
    /// # Panics
    ///
    /// When something of it is on lease.
    pub(super) fn memory(&mut self) -> &mut Vec<u8> {
        assert_eq!(self.leased, 0, "what waits was copied out");
        &mut self.bytes
    }

    /// The first `length` bytes were received.
    ///
    /// # Panics
    ///
    /// As [`memory`](Self::memory).
    pub(super) fn lease(&mut self, length: usize) -> Span {
        assert_eq!(self.leased, 0, "what waits was copied out");
        self.leased = length;
        Span { start: 0, length }
    }
}

impl Buffers for SharedBuffer {
    type Lease = Span;

    fn bytes<'a>(&'a self, span: &'a Span) -> &'a [u8] {
        &self.bytes[span.start..][..span.length]
    }

    fn release(&mut self, span: Span) {
        self.leased -= span.length;
    }

    fn may_stay(&self, _: usize) -> bool {
        false
    }
}

impl Stretch for Span {
    fn len(&self) -> usize {
        self.length
    }

    fn split_to(&mut self, length: usize) -> Self {
        assert!(0 < length && length < self.length, "both parts hold bytes");
        let front = Self { start: self.start, length };
        self.start += length;
        self.length -= length;
        front
    }

    fn join(&mut self, next: Self) -> Result<(), Self> {
        if next.start != self.start + self.length {
            return Err(next);
        }
        self.length += next.length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_cut_and_come_back() {
        let mut buffer = SharedBuffer::new(b"abcdef".to_vec());
        let mut rest = buffer.lease(5);
        let front = rest.split_to(2);
        assert_eq!((buffer.bytes(&front), buffer.bytes(&rest)), (&b"ab"[..], &b"cde"[..]));
        let mut front = rest.join(front).expect_err("it is in front");
        front.join(rest).expect("it is right behind");
        assert_eq!(buffer.bytes(&front), b"abcde");
        buffer.release(front);
        buffer.memory().clear();
    }

    #[test]
    #[should_panic(expected = "what waits was copied out")]
    fn bytes_on_lease_are_not_overwritten() {
        let mut buffer = SharedBuffer::new(vec![0; 8]);
        let _span = buffer.lease(1);
        buffer.memory().clear();
    }
}
