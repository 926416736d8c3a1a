//! The bytes that are sent, so that every byte that comes back can be checked.
//!
//! One table of pseudo-random bytes is shared by all connections; each walks it in a circle from
//! a place of its own. The circle's length is a prime, so no power of two and no common message
//! size shifts a stream onto itself: bytes that are lost, repeated, swapped or taken from another
//! connection do not match.

use crate::load::random::SplitMix64;

/// Length of the circle in bytes: the largest prime below 64 KiB, small enough for any L2 cache.
const PERIOD: usize = 65_521;

/// A table from which any stretch of a connection's stream can be borrowed.
pub(crate) struct Pattern {
    /// The circle, then its beginning again, so that a slice may run past the end.
    bytes: Box<[u8]>,
}

impl Pattern {
    /// The table of this seed, with room for slices up to `longest_slice` bytes.
    pub(crate) fn new(seed: u64, longest_slice: usize) -> Self {
        let mut random = SplitMix64::new(seed);
        let mut circle: Vec<u8> =
            std::iter::repeat_with(|| random.next().to_le_bytes()).flatten().take(PERIOD).collect();
        circle.reserve_exact(longest_slice);
        for position in 0..longest_slice {
            circle.push(circle[position]);
        }
        Self { bytes: circle.into_boxed_slice() }
    }

    pub(crate) fn slice(&self, position: Position, length: usize) -> &[u8] {
        &self.bytes[position.0..position.0 + length]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position(usize);

impl Position {
    /// Where this connection begins; different for the first 65,521 connections.
    pub(crate) fn start_of(connection: usize) -> Self {
        // Close by: connections that advance together, as they do in closed loop, find what they
        // send and compare with in the cache: 2 % of the CPU that a small message takes. A prime,
        // so that no number of whole messages soon takes one to where a neighbour is.
        const STRIDE: usize = 61;
        Self((connection % PERIOD) * STRIDE % PERIOD)
    }

    pub(crate) fn advanced_by(self, bytes: usize) -> Self {
        Self((self.0 + bytes) % PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_slice_across_the_end_continues_at_the_beginning() {
        let pattern = Pattern::new(7, 200_000);
        let position = Position::start_of(0).advanced_by(PERIOD - 3);
        let slice = pattern.slice(position, 150_000);
        for (index, byte) in slice.iter().enumerate() {
            assert_eq!(*byte, pattern.slice(position.advanced_by(index), 1)[0]);
        }
    }

    #[test]
    fn connections_begin_at_different_places() {
        let starts: HashSet<usize> = (0..PERIOD).map(|index| Position::start_of(index).0).collect();
        assert_eq!(starts.len(), PERIOD);
    }

    #[test]
    fn a_shifted_stream_differs() {
        let pattern = Pattern::new(1, 64);
        for shift in [1, 2, 63, 64, 65, 1024, 4096, 65_520, 65_536, 1 << 20] {
            let start = Position::start_of(3);
            assert_ne!(pattern.slice(start, 64), pattern.slice(start.advanced_by(shift), 64));
        }
    }
}
