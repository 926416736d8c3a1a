//! One connection: a socket, its wire, and what is in flight on it.
//!
//! Reads no clock: every time is an argument, in nanoseconds since the run began.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::content::Content;
use super::sizes::SizeDraw;
use super::wire::{Ending, Received, Wire};

/// Messages are sent together until they have so many bytes: what is sent later gets its own send
/// time.
const BATCH_BYTES: usize = 64 << 10;

/// When a message in flight was meant to be sent, and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// In closed loop the same as `sent_ns`.
    pub(super) intended_ns: u64,
    pub(super) sent_ns: u64,
    /// Length of its payload.
    pub(super) bytes: u32,
    /// Whether the connection had no free slot when it was due: the server's delay, not ours.
    pub(super) waited_for_slot: bool,
}

/// A connection that has not ended.
pub(super) struct Connection {
    socket: TcpStream,
    wire: Wire,
    sizes: SizeDraw,
    depth: usize,
    /// At most `depth`, oldest first; replies come in this order.
    in_flight: VecDeque<Sent>,
    /// Messages that it may still carry.
    remaining: u64,
    leaving: Leaving,
    was_answered: bool,
    /// When the last reply was complete; 0 before the first.
    last_answer_ns: u64,
    /// Whether the event loop was asked to report when the socket can take more.
    pub(super) watches_writable: bool,
}

/// Whether nothing more is sent, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// The server said GOAWAY: what is in flight is still answered.
    Asked,
    /// It has carried its share, and all of it came back.
    Spent,
}

/// What became of trying to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing to read now.
    Empty,
    /// So many bytes arrived.
    Bytes(usize),
    /// The connection ended.
    Ended(Ending),
}

impl Connection {
    /// Takes over a connected, non-blocking socket for so many messages.
    pub(super) fn new(
        socket: TcpStream,
        wire: Wire,
        sizes: SizeDraw,
        depth: usize,
        messages: u64,
    ) -> Self {
        Self {
            socket,
            wire,
            sizes,
            depth,
            in_flight: VecDeque::new(),
            remaining: messages,
            leaving: Leaving::No,
            was_answered: false,
            last_answer_ns: 0,
            watches_writable: false,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// Whether it has carried its share, and all of it came back.
    pub(super) fn is_spent(&self) -> bool {
        self.remaining == 0 && self.in_flight.is_empty() && !self.is_leaving()
    }

    /// Whether nothing but the server's FIN is to come.
    pub(super) fn is_closing(&self) -> bool {
        self.leaving == Leaving::Spent
    }

    /// Whether any reply came.
    pub(super) fn was_answered(&self) -> bool {
        self.was_answered
    }

    /// Whether this is how it was to end.
    pub(super) fn expects(&self, ending: Ending) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::Asked => true,
            Leaving::Spent => ending == Ending::Closed,
        }
    }

    /// Whether part of a message waits for the socket to take it.
    pub(super) fn has_unsent(&self) -> bool {
        self.wire.has_unsent()
    }

    /// Whether as many messages are in flight as may be, or it may carry no more.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight.len() == self.depth || self.remaining == 0
    }

    /// How many messages may be sent right now. None while the socket holds one back: a message
    /// counts as sent only when its first byte can go.
    pub(super) fn free_slots(&self) -> usize {
        if self.is_leaving() || self.wire.has_unsent() {
            return 0;
        }
        let remaining = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        (self.depth - self.in_flight.len()).min(remaining)
    }

    /// Puts one message that is due into a free slot; it goes out with the next flush.
    pub(super) fn fill_slot(&mut self, intended_ns: u64, now_ns: u64, content: &Content) {
        self.push(intended_ns, now_ns, false, content);
    }

    /// Fills the free slots, as many as one batch holds; says how many. They go out with the next
    /// flush.
    pub(super) fn fill_slots(
        &mut self,
        mut source: Source<'_>,
        now_ns: u64,
        content: &Content,
    ) -> usize {
        let most = match &source {
            Source::Endless => self.free_slots(),
            Source::Backlog(backlog) => self.free_slots().min(backlog.len()),
        };
        let mut messages = 0;
        let mut batch_bytes = 0;
        while messages < most && batch_bytes < BATCH_BYTES {
            let waited_since_ns = match &mut source {
                Source::Endless => None,
                Source::Backlog(backlog) => backlog.pop_front(),
            };
            let intended_ns = waited_since_ns.unwrap_or(now_ns);
            batch_bytes += self.push(intended_ns, now_ns, waited_since_ns.is_some(), content);
            messages += 1;
        }
        messages
    }

    /// Draws the message's length; says it.
    fn push(
        &mut self,
        intended_ns: u64,
        sent_ns: u64,
        waited_for_slot: bool,
        content: &Content,
    ) -> usize {
        self.remaining -= 1;
        let length = self.sizes.next(&content.sizes);
        self.wire.push(length, &content.pattern);
        let bytes = u32::try_from(length).expect("the longest message has 2^24 bytes");
        self.in_flight.push_back(Sent { intended_ns, sent_ns, bytes, waited_for_slot });
        length
    }

    /// Gives the socket what it takes of the messages in flight; says how many bytes that were.
    pub(super) fn flush(&mut self, content: &Content) -> Result<usize, Errno> {
        let flushed = self.wire.flush(self.socket.as_fd(), &content.pattern)?;
        if self.is_leaving() {
            self.half_close();
        }
        Ok(flushed)
    }

    /// Reads once.
    pub(super) fn read(&self, buffer: &mut [u8]) -> Read {
        match recv(&self.socket, buffer, RecvFlags::empty()) {
            Ok((0, _)) => Read::Ended(Ending::Closed),
            Ok((length, _)) => Read::Bytes(length),
            Err(Errno::AGAIN) => Read::Empty,
            Err(error) => Read::Ended(Ending::of_socket(error)),
        }
    }

    /// Checks bytes that were read.
    pub(super) fn check(&mut self, bytes: &[u8], content: &Content) -> Received {
        let length_of = |message: usize| self.in_flight[message].bytes as usize;
        self.wire.receive(bytes, &content.pattern, length_of)
    }

    /// When the oldest message in flight was due, and the last reply before it was complete.
    pub(super) fn silence(&self) -> Option<(u64, u64)> {
        self.in_flight.front().map(|oldest| (oldest.intended_ns, self.last_answer_ns))
    }

    /// Takes the oldest messages in flight, whose replies are complete at this time.
    pub(super) fn take_answered(
        &mut self,
        messages: usize,
        now_ns: u64,
    ) -> impl Iterator<Item = Sent> {
        if messages > 0 {
            self.was_answered = true;
            self.last_answer_ns = now_ns;
        }
        self.in_flight.drain(..messages)
    }

    /// The server drains: nothing new is sent, what is in flight is still answered.
    pub(super) fn leave(&mut self) {
        self.leaving = Leaving::Asked;
        self.half_close();
    }

    /// It has carried its share: nothing but the server's FIN is to come.
    pub(super) fn close(&mut self) {
        self.leaving = Leaving::Spent;
        self.half_close();
    }

    fn half_close(&self) {
        if !self.wire.has_unsent() {
            // It fails only where the connection has ended, which the next read tells.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }
}

/// Where the messages come from that fill a connection's free slots.
#[derive(Debug)]
pub(super) enum Source<'lane> {
    /// Closed loop: there is always one more.
    Endless,
    /// Open loop: those that were due before, by their intended times.
    Backlog(&'lane mut VecDeque<u64>),
}
