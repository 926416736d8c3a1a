//! One connection of either protocol behind one interface.

use std::time::{Duration, Instant};

use super::Input;
use super::error::ProtocolError;
use super::framed::{FramedConfig, FramedConnection};
use super::output::Output;
use super::raw::RawConnection;

/// Which protocol a server speaks, and its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Config {
    /// Every byte comes back.
    #[default]
    Raw,
    /// Frames with sequence and checksum.
    Framed(FramedConfig),
}

impl Config {
    /// A connection that has received nothing.
    pub fn connection(&self) -> Connection {
        match self {
            Self::Raw => Connection::Raw(RawConnection::default()),
            Self::Framed(config) => Connection::Framed(FramedConnection::new(*config)),
        }
    }
}

/// The server's side of one connection.
///
/// After every [`handle_input`](Self::handle_input) call [`poll_output`](Self::poll_output) until
/// it returns `None`, carry out what it says in that order, then go on with the rest of the input.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one server runs one protocol: boxing saves nothing")]
pub enum Connection {
    /// Speaks `raw`.
    Raw(RawConnection),
    /// Speaks `framed`.
    Framed(FramedConnection),
}

impl Connection {
    /// When [`Input::Timeout`] is due, if nothing else happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Raw(_) => None,
            Self::Framed(connection) => connection.deadline(),
        }
    }

    /// Moves the deadline: for this long the peer could not go on, because nobody read it.
    pub fn postpone_deadline(&mut self, by: Duration) {
        match self {
            Self::Raw(_) => {}
            Self::Framed(connection) => connection.postpone_deadline(by),
        }
    }

    /// Tells the connection what happened, and when.
    ///
    /// Returns how many bytes of [`Input::Data`] were consumed: fewer than given when the output
    /// queue is full or eight frames were answered, never none when it was polled empty before. 0 for every other input. After
    /// an error or [`Input::Eof`] all data is consumed and ignored.
    ///
    /// # Errors
    ///
    /// When the peer broke the protocol, once. What was accepted of the data is covered by the
    /// outputs still to be polled, which end with a `Close`; the rest of it is to be dropped.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<usize, ProtocolError> {
        match self {
            Self::Raw(connection) => connection.handle_input(input),
            Self::Framed(connection) => connection.handle_input(now, input),
        }
    }

    /// The next thing to do, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::Raw(connection) => connection.poll_output(),
            Self::Framed(connection) => connection.poll_output(),
        }
    }
}
