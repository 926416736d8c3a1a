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
//! use ringback::protocol::{Config, Input, Output};
//!
//! let mut connection = Config::Raw.connection();
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
//! # Ok::<(), ringback::protocol::ProtocolError>(())
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

mod client;
mod connection;
mod error;
mod frame;
mod framed;
mod output;
mod raw;
mod reader;

pub use client::{ErrorReply, FramedClient, Reply, ReplyError, Request, RequestError};
pub use connection::{Config, Connection};
pub use error::{ErrorCode, ProtocolError};
pub use frame::{HEADER_LEN, Header, Kind, MAX_ERROR_TEXT, MAX_FRAME_CEILING, MAX_PING};
pub use framed::{FramedConfig, FramedConnection};
pub use output::{CloseReason, InlineBytes, Output};
pub use raw::RawConnection;

/// Position of a byte in the stream received from the peer; the first byte after accept is 0.
pub type StreamOffset = u64;

/// What happened to a connection.
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
