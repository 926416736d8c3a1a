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
use crate::load::config::Protocol;
use crate::load::engine::pattern::{Pattern, Position};
use crate::load::record::ending::Ending;

/// Most bytes given to the kernel in one call.
pub(crate) const SEND_CHUNK: usize = 256 << 10;
/// Size of a thread's receive buffer. It stays in the L2 cache whatever the size of messages.
pub(crate) const RECEIVE_CHUNK: usize = 64 << 10;

/// Most bytes given to the kernel before the caller's other connections have their turn, what
/// [`SEND_CHUNK`] rounds up to excepted. Twice what a socket's default send buffer takes at once.
const FLUSH_BYTES: usize = 512 << 10;

/// The longest slice of the pattern that a protocol borrows with messages of up to this size.
pub(crate) fn longest_slice(protocol: Protocol, largest_message: usize) -> usize {
    match protocol {
        Protocol::Raw => SEND_CHUNK.max(RECEIVE_CHUNK),
        // A request is made of its whole payload: the checksum stands before it.
        Protocol::Framed => largest_message,
    }
}

pub(crate) enum Wire {
    Raw(RawWire),
    Framed(Box<FramedWire>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) completed: usize,
    pub(crate) corrupted: usize,
    /// The connection is of no use, or soon will not be.
    pub(crate) ending: Option<Ending>,
}

impl Wire {
    pub(crate) fn new(protocol: Protocol, depth: usize, start: Position) -> Self {
        match protocol {
            Protocol::Raw => Self::Raw(RawWire::new(start)),
            Protocol::Framed => Self::Framed(Box::new(FramedWire::new(depth, start))),
        }
    }

    pub(crate) fn push(&mut self, length: usize, pattern: &Pattern) {
        match self {
            Self::Raw(wire) => wire.push(length),
            Self::Framed(wire) => wire.push(length, pattern),
        }
    }

    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            Self::Raw(wire) => wire.has_unsent(),
            Self::Framed(wire) => wire.has_unsent(),
        }
    }

    /// Gives the socket what it takes, a bounded part of what waits; returns how many bytes that
    /// were.
    pub(crate) fn flush(
        &mut self,
        socket: BorrowedFd<'_>,
        pattern: &Pattern,
    ) -> Result<usize, Errno> {
        let mut flushed = 0;
        while self.has_unsent() && flushed < FLUSH_BYTES {
            let outcome = match self {
                Self::Raw(wire) => wire.send(socket, pattern),
                Self::Framed(wire) => wire.send(socket, pattern),
            };
            match outcome {
                Ok(sent) => flushed += sent,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(flushed)
    }

    /// Checks bytes that came back, at most [`RECEIVE_CHUNK`] of them. `length_of` is the length
    /// of a message in flight, of which number 0 is the oldest before this call.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        pattern: &Pattern,
        length_of: impl Fn(usize) -> usize,
    ) -> Received {
        match self {
            Self::Raw(wire) => wire.receive(bytes, pattern, length_of),
            Self::Framed(wire) => wire.receive(bytes),
        }
    }
}
