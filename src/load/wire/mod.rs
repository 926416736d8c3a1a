//! One connection's bytes on the wire, in either protocol: what to send, what must come back.
//!
//! Counts messages and checks bytes. Knows no clock and no schedule, and allocates nothing per
//! message.

mod framed;
mod raw;

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use self::framed::FramedWire;
use self::raw::RawWire;
use super::Protocol;
use super::pattern::{Pattern, Position};

/// Most bytes given to the kernel in one call.
pub(super) const SEND_CHUNK: usize = 256 << 10;
/// Size of a thread's receive buffer. It stays in the L2 cache whatever the size of messages.
pub(super) const RECEIVE_CHUNK: usize = 64 << 10;

/// The longest slice of the pattern that a protocol borrows with messages of this size.
pub(super) fn longest_slice(protocol: Protocol, message_size: usize) -> usize {
    match protocol {
        Protocol::Raw => SEND_CHUNK.max(RECEIVE_CHUNK),
        // A request is made of its whole payload: the checksum stands before it.
        Protocol::Framed => message_size,
    }
}

/// The protocol's part of a connection.
pub(super) enum Wire {
    Raw(RawWire),
    Framed(Box<FramedWire>),
}

/// What a piece of the received stream held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// Messages that it completed.
    pub(super) completed: usize,
    /// How many of them were not what was sent.
    pub(super) corrupted: usize,
    /// The connection is of no use, or soon will not be.
    pub(super) ending: Option<Ending>,
}

/// Why a connection ended before the run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// The server sent FIN.
    Closed,
    /// The server sent RST.
    Reset,
    /// The server said that it is draining (GOAWAY); what is in flight may still be answered.
    GoAway,
    /// The server sent an ERROR frame with this code.
    Error(u16),
    /// A reply was malformed, altered or out of order, and the frames after it cannot be trusted.
    BadReply,
    /// The server sent more than it was sent.
    Surplus,
    /// The socket failed with this error number.
    Socket(i32),
}

impl Ending {
    pub(super) fn of_socket(error: Errno) -> Self {
        match error {
            Errno::CONNRESET | Errno::PIPE => Self::Reset,
            other => Self::Socket(other.raw_os_error()),
        }
    }
}

impl Wire {
    pub(super) fn new(
        protocol: Protocol,
        message_size: usize,
        depth: usize,
        start: Position,
    ) -> Self {
        match protocol {
            Protocol::Raw => Self::Raw(RawWire::new(message_size, start)),
            Protocol::Framed => Self::Framed(Box::new(FramedWire::new(message_size, depth, start))),
        }
    }

    /// Adds messages to what is to be sent.
    pub(super) fn push(&mut self, messages: usize, pattern: &Pattern) {
        match self {
            Self::Raw(wire) => wire.push(messages),
            Self::Framed(wire) => wire.push(messages, pattern),
        }
    }

    /// Whether bytes wait for the socket to take them.
    pub(super) fn has_unsent(&self) -> bool {
        match self {
            Self::Raw(wire) => wire.has_unsent(),
            Self::Framed(wire) => wire.has_unsent(),
        }
    }

    /// Gives the socket what it takes; says how many bytes that were.
    pub(super) fn flush(
        &mut self,
        socket: BorrowedFd<'_>,
        pattern: &Pattern,
    ) -> Result<usize, Errno> {
        match self {
            Self::Raw(wire) => wire.flush(socket, pattern),
            Self::Framed(wire) => wire.flush(socket, pattern),
        }
    }

    /// Checks bytes that came back, at most [`RECEIVE_CHUNK`] of them.
    pub(super) fn receive(&mut self, bytes: &[u8], pattern: &Pattern) -> Received {
        match self {
            Self::Raw(wire) => wire.receive(bytes, pattern),
            Self::Framed(wire) => wire.receive(bytes),
        }
    }
}

/// Sends until the socket would block, which is not an error but `None`.
fn unless_blocked(sent: Result<usize, Errno>) -> Result<Option<usize>, Errno> {
    match sent {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}
