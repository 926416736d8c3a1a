//! The raw protocol: a stream of the connection's own bytes, in which every `message_size` bytes
//! make a message.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::{Ending, Received, SEND_CHUNK, unless_blocked};
use crate::load::pattern::{Pattern, Position};

pub(in crate::load) struct RawWire {
    message_size: usize,
    send_position: Position,
    unsent_bytes: usize,
    receive_position: Position,
    /// Bytes that the kernel took and that have not come back.
    unanswered_bytes: usize,
    /// Bytes of the current reply that have arrived.
    filled_bytes: usize,
    /// Whether one of them was wrong.
    is_spoiled: bool,
}

impl RawWire {
    pub(super) fn new(message_size: usize, start: Position) -> Self {
        Self {
            message_size,
            send_position: start,
            unsent_bytes: 0,
            receive_position: start,
            unanswered_bytes: 0,
            filled_bytes: 0,
            is_spoiled: false,
        }
    }

    pub(super) fn push(&mut self, messages: usize) {
        self.unsent_bytes += messages * self.message_size;
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent_bytes > 0
    }

    /// Sends straight from the pattern: nothing is copied on this side of the kernel.
    pub(super) fn flush(
        &mut self,
        socket: BorrowedFd<'_>,
        pattern: &Pattern,
    ) -> Result<usize, Errno> {
        let mut flushed = 0;
        while self.unsent_bytes > 0 {
            let chunk = pattern.slice(self.send_position, self.unsent_bytes.min(SEND_CHUNK));
            let Some(sent) = unless_blocked(send(socket, chunk, SendFlags::NOSIGNAL))? else {
                break;
            };
            self.send_position = self.send_position.advanced_by(sent);
            self.unsent_bytes -= sent;
            self.unanswered_bytes += sent;
            flushed += sent;
        }
        Ok(flushed)
    }

    pub(super) fn receive(&mut self, bytes: &[u8], pattern: &Pattern) -> Received {
        let mut received = Received::default();
        let asked_for = bytes.len().min(self.unanswered_bytes);
        if asked_for < bytes.len() {
            received.ending = Some(Ending::Surplus);
        }
        self.unanswered_bytes -= asked_for;
        let mut rest = &bytes[..asked_for];
        while !rest.is_empty() {
            let length = rest.len().min(self.message_size - self.filled_bytes);
            let (piece, after) = rest.split_at(length);
            self.is_spoiled |= piece != pattern.slice(self.receive_position, length);
            self.receive_position = self.receive_position.advanced_by(length);
            self.filled_bytes += length;
            if self.filled_bytes == self.message_size {
                received.completed += 1;
                received.corrupted += usize::from(self.is_spoiled);
                self.filled_bytes = 0;
                self.is_spoiled = false;
            }
            rest = after;
        }
        received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wire that has sent three messages of four bytes, and the pattern they are from.
    fn sent_three() -> (RawWire, Pattern) {
        let mut wire = RawWire::new(4, Position::start_of(1));
        wire.push(3);
        wire.unanswered_bytes = wire.unsent_bytes;
        (wire, Pattern::new(1, 64))
    }

    fn reply(pattern: &Pattern) -> Vec<u8> {
        pattern.slice(Position::start_of(1), 12).to_vec()
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        for cut in 0..=12 {
            let (mut wire, pattern) = sent_three();
            let reply = reply(&pattern);
            let first = wire.receive(&reply[..cut], &pattern);
            let second = wire.receive(&reply[cut..], &pattern);
            assert_eq!(first.completed, cut / 4);
            assert_eq!(first.completed + second.completed, 3);
            assert_eq!(first.corrupted + second.corrupted, 0);
        }
    }

    #[test]
    fn one_wrong_byte_corrupts_its_message_only() {
        for wrong in 0..12 {
            let (mut wire, pattern) = sent_three();
            let mut reply = reply(&pattern);
            reply[wrong] ^= 1;
            let received = wire.receive(&reply, &pattern);
            assert_eq!(received, Received { completed: 3, corrupted: 1, ending: None });
        }
    }

    #[test]
    fn a_missing_byte_spoils_what_follows() {
        let (mut wire, pattern) = sent_three();
        let mut reply = reply(&pattern);
        reply.remove(5);
        let received = wire.receive(&reply, &pattern);
        assert_eq!(received, Received { completed: 2, corrupted: 1, ending: None });
        assert!(wire.is_spoiled);
    }

    #[test]
    fn more_than_was_sent_ends_the_connection() {
        let (mut wire, pattern) = sent_three();
        let mut reply = reply(&pattern);
        reply.push(0);
        let received = wire.receive(&reply, &pattern);
        assert_eq!(
            received,
            Received { completed: 3, corrupted: 0, ending: Some(Ending::Surplus) }
        );
    }
}
