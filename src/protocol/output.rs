//! Requests of a connection to its driver, and the fixed queue in which they wait.

use std::fmt;
use std::ops::{Deref, Range};

use super::StreamOffset;
use super::frame::{HEADER_LEN, Header, Kind, MAX_ERROR, MAX_PING};

/// An instruction to the driver, to be carried out in the order polled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack between two calls")]
pub enum Output {
    /// Send these received bytes back.
    Forward(Range<StreamOffset>),
    /// These received bytes will never be sent: free them.
    Discard(Range<StreamOffset>),
    /// Send these bytes of the core's own.
    Emit(InlineBytes),
    /// When everything before is sent, close our side. Always the last output.
    Close(CloseReason),
}

/// Why the core closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer finished and has all its replies.
    Finished,
    /// The peer broke the protocol.
    Refused,
    /// There is no room for the connection, which is our decision and not the peer's fault.
    Busy,
}

/// A few bytes without a heap allocation, such as a PONG, GOAWAY or ERROR frame.
#[derive(Clone, Copy)]
pub struct InlineBytes {
    length: u8,
    bytes: [u8; Self::CAPACITY],
}

impl InlineBytes {
    /// Length of the longest frame that the core makes, an ERROR with its full text.
    pub const CAPACITY: usize = HEADER_LEN + MAX_ERROR;

    /// A whole frame with this payload, which must be that of a control frame.
    pub(crate) fn frame(kind: Kind, sequence: u64, payload: &[u8]) -> Self {
        let mut frame = Self { length: 0, bytes: [0; Self::CAPACITY] };
        frame.append(&Header::new(kind, sequence, payload).encode());
        frame.append(payload);
        frame
    }

    /// A copy of `bytes`.
    ///
    /// # Panics
    ///
    /// When there are more than [`CAPACITY`](Self::CAPACITY) of them.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self { length: 0, bytes: [0; Self::CAPACITY] };
        copy.append(bytes);
        copy
    }

    fn append(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len() as u8;
    }
}

impl Deref for InlineBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl PartialEq for InlineBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for InlineBytes {}

impl fmt::Debug for InlineBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

/// Stretches of the stream and PONGs in the order decided, at most [`Self::CAPACITY`] of them.
///
/// Neighbouring stretches with the same fate join, so a thousand ECHO frames that arrive together
/// take one entry.
#[derive(Debug, Clone, Default)]
pub(super) struct OutputQueue {
    entries: [Option<Entry>; Self::CAPACITY],
    first: usize,
    length: usize,
}

#[derive(Debug, Clone)]
enum Entry {
    Forward(Range<StreamOffset>),
    Discard(Range<StreamOffset>),
    Pong { sequence: u64, length: u8, payload: [u8; MAX_PING] },
}

impl OutputQueue {
    const CAPACITY: usize = 4;
    /// A PING makes two entries, its discarded bytes and the PONG: no frame makes more.
    const MAX_PER_FRAME: usize = 2;

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn has_room_for_frame(&self) -> bool {
        self.length + Self::MAX_PER_FRAME <= Self::CAPACITY
    }

    pub(super) fn forward(&mut self, range: Range<StreamOffset>) {
        match self.last() {
            Some(Entry::Forward(last)) if last.end == range.start => last.end = range.end,
            _ => self.push(Entry::Forward(range)),
        }
    }

    /// Does nothing for an empty range.
    pub(super) fn discard(&mut self, range: Range<StreamOffset>) {
        match self.last() {
            _ if range.is_empty() => {}
            Some(Entry::Discard(last)) if last.end == range.start => last.end = range.end,
            _ => self.push(Entry::Discard(range)),
        }
    }

    pub(super) fn pong(&mut self, sequence: u64, ping: &[u8]) {
        let mut payload = [0; MAX_PING];
        payload[..ping.len()].copy_from_slice(ping);
        self.push(Entry::Pong { sequence, length: ping.len() as u8, payload });
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        let entry = &mut self.entries[self.first];
        let output = match entry.as_ref()? {
            Entry::Forward(range) => Output::Forward(range.clone()),
            Entry::Discard(range) => Output::Discard(range.clone()),
            Entry::Pong { sequence, length, payload } => Output::Emit(InlineBytes::frame(
                Kind::Pong,
                *sequence,
                &payload[..usize::from(*length)],
            )),
        };
        *entry = None;
        self.first = (self.first + 1) % Self::CAPACITY;
        self.length -= 1;
        Some(output)
    }

    fn last(&mut self) -> Option<&mut Entry> {
        let last = self.length.checked_sub(1)?;
        self.entries[(self.first + last) % Self::CAPACITY].as_mut()
    }

    fn push(&mut self, entry: Entry) {
        let index = (self.first + self.length) % Self::CAPACITY;
        debug_assert!(self.entries[index].is_none(), "input is refused before the queue is full");
        self.entries[index] = Some(entry);
        self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_bytes_hold_the_longest_error() {
        assert_eq!(InlineBytes::CAPACITY, 222);
        let frame = InlineBytes::frame(Kind::Error, 1, &[b'x'; MAX_ERROR]);
        assert_eq!(frame.len(), InlineBytes::CAPACITY);
        assert_eq!(frame[HEADER_LEN..], [b'x'; MAX_ERROR]);
        assert_eq!(*InlineBytes::copy_of(b""), *b"");
    }

    #[test]
    fn stretches_join_only_with_a_neighbour_of_the_same_fate() {
        let mut queue = OutputQueue::default();
        queue.forward(0..20);
        queue.forward(20..50);
        queue.discard(50..50);
        queue.discard(50..60);
        queue.discard(60..70);
        queue.forward(70..80);
        assert_eq!(queue.pop(), Some(Output::Forward(0..50)));
        assert_eq!(queue.pop(), Some(Output::Discard(50..70)));
        assert_eq!(queue.pop(), Some(Output::Forward(70..80)));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn stretches_with_a_gap_stay_apart() {
        let mut queue = OutputQueue::default();
        queue.forward(0..20);
        queue.forward(30..40);
        assert_eq!(queue.pop(), Some(Output::Forward(0..20)));
        assert_eq!(queue.pop(), Some(Output::Forward(30..40)));
    }

    /// Wherever in its array the queue stands.
    #[test]
    fn a_thousand_frames_take_one_entry() {
        let mut queue = OutputQueue::default();
        for start in (0..20).map(|round| round * 30_000) {
            for frame in 0..1000 {
                queue.forward(start + frame * 20..start + frame * 20 + 20);
            }
            assert_eq!(queue.pop(), Some(Output::Forward(start..start + 20_000)));
            assert_eq!(queue.pop(), None);
        }
    }

    #[test]
    fn a_pong_keeps_its_place_between_forwards() {
        let mut queue = OutputQueue::default();
        queue.forward(0..20);
        queue.pong(7, b"?");
        queue.forward(41..61);
        assert_eq!(queue.pop(), Some(Output::Forward(0..20)));
        let pong = InlineBytes::frame(Kind::Pong, 7, b"?");
        assert_eq!(queue.pop(), Some(Output::Emit(pong)));
        assert_eq!(queue.pop(), Some(Output::Forward(41..61)));
    }

    /// The queue goes round its array many times and refuses a frame exactly when two more entries
    /// might not fit.
    #[test]
    fn room_is_kept_for_a_whole_frame() {
        let mut queue = OutputQueue::default();
        for round in 0..10 {
            let start = round * 100;
            queue.discard(start..start + 20);
            queue.pong(1, b"");
            assert!(queue.has_room_for_frame());
            queue.forward(start + 20..start + 40);
            assert!(!queue.has_room_for_frame());
            queue.pong(2, b"");
            for _ in 0..4 {
                assert!(queue.pop().is_some());
            }
            assert_eq!(queue.pop(), None);
        }
    }
}
