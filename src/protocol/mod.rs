//! The sans-IO protocol core: bytes in, decisions out.
//!
//! Nothing in this module opens a socket, reads a clock, starts a thread, allocates per message or
//! contains `unsafe`. A connection is told what arrived with [`Connection::handle_input`] and asked
//! what to do with [`Connection::poll_output`]; the caller moves the bytes.
//!
//! An echo is made of bytes that were received, so the core copies nothing. It answers with
//! *stretches of the received stream*: [`Output::Forward`] says which bytes may now go back,
//! [`Output::Discard`] which never will. A borrow cannot cross the I/O, a range can.
//!
//! # The contract of a connection
//!
//! ```
//! use std::time::Instant;
//! use ringback::protocol::{Connection, Input, Output, Protocol, Raw};
//!
//! let mut connection = Raw.connection();
//! let received = b"Hello, world";
//! let mut rest = &received[..];
//! let mut echoed = Vec::new();
//! while !rest.is_empty() {
//!     let consumed = connection.handle_input(Instant::now(), Input::Data(rest))?;
//!     rest = &rest[consumed..];
//!     while let Some(output) = connection.poll_output() {
//!         if let Output::Forward(range) = output {
//!             echoed.extend_from_slice(&received[range.start as usize..range.end as usize]);
//!         }
//!     }
//! }
//! assert_eq!(echoed, received);
//! # Ok::<(), std::convert::Infallible>(())
//! ```
//!
//! These hold for every protocol, whatever the peer sends, and are what the property tests and the
//! fuzz targets check:
//!
//! - the result does not depend on how the input was cut;
//! - forwarded and discarded ranges are disjoint and increasing, together they cover the accepted
//!   stream in order and never run ahead of it;
//! - an error is followed by what was queued before it, its `Emit`, a `Close`, and nothing else;
//! - no input panics, and memory is bounded by a constant of the configuration.

use std::error::Error;
use std::fmt::Debug;
use std::time::{Duration, Instant};

mod client;
mod error;
mod frame;
mod framed;
mod output;
mod raw;
mod reader;
mod tally;

pub use client::{ErrorReply, FramedClient, Reply, ReplyError, Request, RequestError};
pub use error::{ErrorCode, ProtocolError};
pub use frame::{HEADER_LEN, Header, Kind, MAX_ERROR_TEXT, MAX_FRAME_CEILING, MAX_PING};
pub use framed::{Framed, FramedConnection};
pub use output::{CloseReason, InlineBytes, Output};
pub use raw::{Raw, RawConnection};
pub use tally::Tally;

/// Position of a byte in the stream received from the peer; the first byte after accept is 0.
pub type StreamOffset = u64;

/// A protocol that a server speaks, with its limits. [`Raw`] and [`Framed`] are two; a server runs any
/// other in their place ([`Server::start`](crate::server::Server::start)).
pub trait Protocol: Clone + Debug + Send + Sync + 'static {
    /// The server's side of one connection.
    type Connection: Connection;

    /// A connection that has received nothing.
    fn connection(&self) -> Self::Connection;

    /// Checks the limits before a server starts.
    ///
    /// # Errors
    ///
    /// Names the limit that is not possible, and what would be.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Most bytes of the stream that a connection leaves undecided, such as a frame that is judged
    /// when it is complete. A server's least memory depends on it.
    fn max_undecided(&self) -> usize {
        0
    }
}

/// The server's side of one connection.
///
/// After every [`handle_input`](Self::handle_input) call [`poll_output`](Self::poll_output) until
/// it returns `None`, carry out what it says in that order, then go on with the rest of the input.
pub trait Connection: Debug + 'static {
    /// How a peer breaks the protocol.
    type Error: Error;

    /// Tells the connection what happened, and when.
    ///
    /// Returns how many bytes of [`Input::Data`] were consumed: fewer than given when outputs wait or
    /// one call has done its share, never none when it was polled empty before. 0 for every other
    /// input. After an error or [`Input::Eof`] all data is consumed and ignored.
    ///
    /// # Errors
    ///
    /// When the peer broke the protocol, once. What was accepted of the data is covered by the
    /// outputs still to be polled, which end with a `Close`; the rest of it is to be dropped.
    fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<usize, Self::Error>;

    /// The next thing to do, if there is one.
    fn poll_output(&mut self) -> Option<Output>;

    /// When [`Input::Timeout`] is due, if nothing else happens before.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Frames and errors seen since the last call, for a server's metrics; nothing where a protocol
    /// has no frames.
    fn take_tally(&mut self) -> Tally {
        Tally::default()
    }

    /// Returns whether every byte that arrives goes back, whatever it is and whatever came before.
    /// Such bytes need not be shown: a driver may move them without copying them, and tells with
    /// [`pass`](Self::pass).
    fn is_transparent(&self) -> bool {
        false
    }

    /// So many bytes went back without having been shown. Called while nothing waits to be polled.
    ///
    /// # Panics
    ///
    /// When the protocol is not [transparent](Self::is_transparent).
    fn pass(&mut self, bytes: usize) {
        panic!("{bytes} bytes passed a protocol that has to see them");
    }

    /// Moves the deadline: for this long the peer could not go on, because nobody read it.
    fn postpone_deadline(&mut self, by: Duration) {
        let _ = by;
    }
}

/// Events of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// These bytes arrived, following those of every earlier `Data` that was consumed.
    Data(&'a [u8]),
    /// The peer sent FIN: no more data will arrive.
    Eof,
    /// The server is shutting down; a peer that can be told is asked to finish.
    Drain,
    /// The instant of [`Connection::deadline`] may have passed.
    Timeout,
    /// The server has no room for this connection; it is told so and closed.
    Busy,
}
