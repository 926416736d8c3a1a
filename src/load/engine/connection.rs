//! One connection: a socket, its wire, and what is in flight on it.
//!
//! Reads no clock: every time is an argument, in nanoseconds since the run started.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::wire::{Received, Wire};
use super::workload::Workload;
use crate::load::config::sizes::SizeDraw;
use crate::load::record::ending::Ending;
use crate::load::record::recorder::Sent;
use crate::sys::sockopt;

/// Messages are sent together until they have so many bytes: what is sent later gets its own send
/// time.
const BATCH_BYTES: usize = 64 << 10;

pub(crate) struct Connection {
    socket: TcpStream,
    wire: Wire,
    sizes: SizeDraw,
    depth: usize,
    /// At most `depth`, oldest first; replies come in this order.
    in_flight: VecDeque<Sent>,
    remaining: u64,
    leaving: Leaving,
    was_answered: bool,
    /// True if the event loop was asked to report when the socket can take more.
    pub(crate) watches_writable: bool,
}

/// The reason why nothing more is sent, if so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// The server said GOAWAY: what is in flight is still answered.
    Asked,
    /// It has carried its share, and all of it came back: it is closed from this side.
    Spent {
        since_ns: u64,
    },
}

impl Connection {
    pub(crate) fn new(
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
            watches_writable: false,
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// Returns whether it has carried its share, and all of it came back.
    pub(crate) fn is_spent(&self) -> bool {
        self.remaining == 0 && self.in_flight.is_empty() && !self.is_leaving()
    }

    pub(crate) fn was_answered(&self) -> bool {
        self.was_answered
    }

    /// When it was closed from this side, having carried its share: nothing but the server's FIN is
    /// to come.
    pub(crate) fn closed_ns(&self) -> Option<u64> {
        match self.leaving {
            Leaving::Spent { since_ns } => Some(since_ns),
            Leaving::No | Leaving::Asked => None,
        }
    }

    pub(crate) fn retransmitted_segments(&self) -> u64 {
        sockopt::retransmitted_segments(self.fd()).into()
    }

    /// Returns whether this is how it was to end.
    pub(crate) fn expects(&self, ending: Ending) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::Asked => true,
            Leaving::Spent { .. } => ending == Ending::Closed,
        }
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.wire.has_unsent()
    }

    /// Returns whether as many messages are in flight as may be, or it may carry no more.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight.len() == self.depth || self.remaining == 0
    }

    /// How many messages may be sent right now. None while the socket holds one back: a message
    /// counts as sent only when its first byte can go.
    pub(crate) fn room(&self) -> usize {
        if self.is_leaving() || self.wire.has_unsent() {
            return 0;
        }
        let remaining = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        (self.depth - self.in_flight.len()).min(remaining)
    }

    /// Adds one message that is due; it goes out with the next flush.
    pub(crate) fn push_due(&mut self, intended_ns: u64, now_ns: u64, workload: &Workload) {
        self.push(intended_ns, now_ns, false, workload);
    }

    /// Sends what there is room for, as much as one batch holds; returns how many. They go out with
    /// the next flush. In open loop they are those that were due before, by their intended times;
    /// in closed loop there is always one more.
    pub(crate) fn fill(
        &mut self,
        mut backlog: Option<&mut VecDeque<u64>>,
        now_ns: u64,
        workload: &Workload,
    ) -> usize {
        let waiting = backlog.as_ref().map_or(usize::MAX, |backlog| backlog.len());
        let most = self.room().min(waiting);
        let mut messages = 0;
        let mut batch_bytes = 0;
        while messages < most && batch_bytes < BATCH_BYTES {
            let waited_since_ns = backlog.as_mut().and_then(|backlog| backlog.pop_front());
            let intended_ns = waited_since_ns.unwrap_or(now_ns);
            batch_bytes += self.push(intended_ns, now_ns, waited_since_ns.is_some(), workload);
            messages += 1;
        }
        messages
    }

    fn push(
        &mut self,
        intended_ns: u64,
        sent_ns: u64,
        waited_for_room: bool,
        workload: &Workload,
    ) -> usize {
        self.remaining -= 1;
        let length = self.sizes.next(&workload.sizes);
        self.wire.push(length, &workload.pattern);
        let bytes = u32::try_from(length).expect("the longest message has 2^24 bytes");
        self.in_flight.push_back(Sent { intended_ns, sent_ns, bytes, waited_for_room });
        length
    }

    /// Gives the socket what it takes of the messages in flight; returns how many bytes that were.
    pub(crate) fn flush(&mut self, workload: &Workload) -> Result<usize, Errno> {
        let flushed = self.wire.flush(self.socket.as_fd(), &workload.pattern)?;
        if self.is_leaving() {
            self.half_close();
        }
        Ok(flushed)
    }

    /// Reads once: how many bytes arrived, if any did, or how the connection ended.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<Option<usize>, Ending> {
        match recv(&self.socket, buffer, RecvFlags::empty()) {
            Ok((0, _)) => Err(Ending::Closed),
            Ok((length, _)) => Ok(Some(length)),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(Ending::of_socket(error)),
        }
    }

    pub(crate) fn check(&mut self, bytes: &[u8], workload: &Workload) -> Received {
        let length_of = |message: usize| self.in_flight[message].bytes as usize;
        self.wire.receive(bytes, &workload.pattern, length_of)
    }

    /// When the oldest message in flight was due.
    pub(crate) fn oldest_due_ns(&self) -> Option<u64> {
        self.in_flight.front().map(|oldest| oldest.intended_ns)
    }

    /// Takes the oldest messages in flight, whose replies are complete.
    pub(crate) fn take_answered(&mut self, messages: usize) -> impl Iterator<Item = Sent> {
        self.was_answered |= messages > 0;
        self.in_flight.drain(..messages)
    }

    /// The server drains: nothing new is sent, what is in flight is still answered.
    pub(crate) fn leave(&mut self) {
        self.leaving = Leaving::Asked;
        self.half_close();
    }

    /// It has carried its share: nothing but the server's FIN is to come.
    pub(crate) fn close(&mut self, now_ns: u64) {
        self.leaving = Leaving::Spent { since_ns: now_ns };
        self.half_close();
    }

    fn half_close(&self) {
        if !self.wire.has_unsent() {
            // It fails only where the connection has ended, which the next read tells.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }
}
