//! The raw protocol: a stream of the connection's own bytes, cut into messages by their lengths.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::{Received, SEND_CHUNK};
use crate::load::engine::pattern::{Pattern, Position};
use crate::load::record::ending::Ending;

pub(in crate::load) struct RawWire {
    send_position: Position,
    unsent_bytes: usize,
    receive_position: Position,
    /// Bytes that the kernel took and that have not come back.
    unanswered_bytes: usize,
    /// Bytes of the current reply that have arrived.
    filled_bytes: usize,
    is_spoiled: bool,
}

impl RawWire {
    pub(super) fn new(start: Position) -> Self {
        Self {
            send_position: start,
            unsent_bytes: 0,
            receive_position: start,
            unanswered_bytes: 0,
            filled_bytes: 0,
            is_spoiled: false,
        }
    }

    pub(super) fn push(&mut self, length: usize) {
        self.unsent_bytes += length;
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent_bytes > 0
    }

    /// Sends once, straight from the pattern: nothing is copied on this side of the kernel.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        pattern: &Pattern,
    ) -> Result<usize, Errno> {
        let chunk = pattern.slice(self.send_position, self.unsent_bytes.min(SEND_CHUNK));
        let sent = send(socket, chunk, SendFlags::NOSIGNAL)?;
        self.send_position = self.send_position.advanced_by(sent);
        self.unsent_bytes -= sent;
        self.unanswered_bytes += sent;
        Ok(sent)
    }

    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        pattern: &Pattern,
        length_of: impl Fn(usize) -> usize,
    ) -> Received {
        let mut received = Received::default();
        let asked_for = bytes.len().min(self.unanswered_bytes);
        if asked_for < bytes.len() {
            received.ending = Some(Ending::Surplus);
        }
        self.unanswered_bytes -= asked_for;
        let mut rest = &bytes[..asked_for];
        while !rest.is_empty() {
            let message_length = length_of(received.completed);
            let length = rest.len().min(message_length - self.filled_bytes);
            let (piece, after) = rest.split_at(length);
            self.is_spoiled |= piece != pattern.slice(self.receive_position, length);
            self.receive_position = self.receive_position.advanced_by(length);
            self.filled_bytes += length;
            if self.filled_bytes == message_length {
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

    const LENGTHS: [usize; 3] = [4, 1, 7];

    /// A wire that has sent three messages, and the pattern they are from.
    fn sent_three() -> (RawWire, Pattern) {
        let mut wire = RawWire::new(Position::start_of(1));
        LENGTHS.iter().for_each(|length| wire.push(*length));
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
            let first = wire.receive(&reply[..cut], &pattern, |message| LENGTHS[message]);
            let rest = &LENGTHS[first.completed..];
            let second = wire.receive(&reply[cut..], &pattern, |message| rest[message]);
            assert_eq!(first.completed, usize::from(cut >= 4) + usize::from(cut >= 5) + cut / 12);
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
            let received = wire.receive(&reply, &pattern, |message| LENGTHS[message]);
            assert_eq!(received, Received { completed: 3, corrupted: 1, ending: None });
        }
    }

    #[test]
    fn a_missing_byte_spoils_what_follows() {
        let (mut wire, pattern) = sent_three();
        let mut reply = reply(&pattern);
        reply.remove(3);
        let received = wire.receive(&reply, &pattern, |message| LENGTHS[message]);
        assert_eq!(received, Received { completed: 2, corrupted: 2, ending: None });
        assert!(wire.is_spoiled);
    }

    #[test]
    fn more_than_was_sent_ends_the_connection() {
        let (mut wire, pattern) = sent_three();
        let mut reply = reply(&pattern);
        reply.push(0);
        let received = wire.receive(&reply, &pattern, |message| LENGTHS[message]);
        assert_eq!(
            received,
            Received { completed: 3, corrupted: 0, ending: Some(Ending::Surplus) }
        );
    }
}
