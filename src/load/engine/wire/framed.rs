//! The framed protocol, through the core's client: it makes the headers and judges the replies.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::{Received, SEND_CHUNK};
use crate::load::engine::pattern::{Pattern, Position};
use crate::load::record::ending::Ending;
use crate::protocol::{FramedClient, HEADER_LEN, Reply, ReplyError, Request};

/// Most frames gathered into one system call; two slices each.
const FRAMES_PER_CALL: usize = 32;

pub(in crate::load) struct FramedWire {
    client: FramedClient,
    next_sequence: u64,
    next_payload: Position,
    /// Frames of which the kernel has not taken every byte, oldest first; at most `depth`.
    unsent: VecDeque<Frame>,
    /// Bytes of the oldest that it has taken.
    sent_of_first: usize,
}

/// A request on its way out: its header, and where in the pattern its payload stands.
struct Frame {
    header: [u8; HEADER_LEN],
    payload: Position,
    payload_length: usize,
}

impl FramedWire {
    pub(super) fn new(depth: usize, start: Position) -> Self {
        Self {
            client: FramedClient::new(depth),
            next_sequence: 1,
            next_payload: start,
            unsent: VecDeque::new(),
            sent_of_first: 0,
        }
    }

    pub(super) fn push(&mut self, payload_length: usize, pattern: &Pattern) {
        let payload = self.next_payload;
        let bytes = pattern.slice(payload, payload_length);
        let header = self
            .client
            .request(Request::Echo, self.next_sequence, bytes)
            .expect("depth bounds what is in flight, and the size was validated");
        self.unsent.push_back(Frame { header, payload, payload_length });
        self.next_sequence += 1;
        self.next_payload = payload.advanced_by(payload_length);
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends once: headers and payloads from where they stand, many frames together.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        pattern: &Pattern,
    ) -> Result<usize, Errno> {
        let mut slices = [IoSlice::new(&[]); 2 * FRAMES_PER_CALL];
        let filled = self.gather(&mut slices, pattern);
        let mut no_control = SendAncillaryBuffer::default();
        let sent = sendmsg(socket, &slices[..filled], &mut no_control, SendFlags::NOSIGNAL)?;
        self.forget_sent(sent);
        Ok(sent)
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) -> Received {
        let mut received = Received::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.client.handle_input(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(ReplyError::Unasked { .. }) => {
                    received.ending = Some(Ending::Surplus);
                    return received;
                }
                Err(_) => {
                    // The client trusts nothing after this reply; it is the last that counts.
                    let was_awaited = usize::from(self.client.in_flight() > 0);
                    received.completed += was_awaited;
                    received.corrupted += was_awaited;
                    received.ending = Some(Ending::BadReply);
                    return received;
                }
            }
            match self.client.poll_reply() {
                None => {}
                Some(Reply::Echo { .. } | Reply::Pong { .. }) => received.completed += 1,
                Some(Reply::GoAway { .. }) => received.ending = Some(Ending::GoAway),
                Some(Reply::Error(error)) => {
                    received.ending = Some(Ending::Error(error.number()));
                    return received;
                }
            }
        }
        received
    }

    /// Points the slices at what is next; returns how many of them.
    fn gather<'a>(
        &'a self,
        slices: &mut [IoSlice<'a>; 2 * FRAMES_PER_CALL],
        pattern: &'a Pattern,
    ) -> usize {
        let mut filled = 0;
        let mut gathered_bytes = 0;
        let mut skip = self.sent_of_first;
        for frame in self.unsent.iter().take(FRAMES_PER_CALL) {
            let header = &frame.header[skip.min(HEADER_LEN)..];
            let payload = pattern.slice(frame.payload, frame.payload_length);
            let payload = &payload[skip.saturating_sub(HEADER_LEN)..];
            skip = 0;
            slices[filled] = IoSlice::new(header);
            slices[filled + 1] = IoSlice::new(payload);
            filled += 2;
            gathered_bytes += header.len() + payload.len();
            if gathered_bytes >= SEND_CHUNK {
                break;
            }
        }
        filled
    }

    fn forget_sent(&mut self, sent: usize) {
        self.sent_of_first += sent;
        while let Some(first) = self.unsent.front() {
            let frame_length = HEADER_LEN + first.payload_length;
            if self.sent_of_first < frame_length {
                return;
            }
            self.sent_of_first -= frame_length;
            self.unsent.pop_front();
        }
    }
}
