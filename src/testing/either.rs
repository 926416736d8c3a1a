//! The protocol that a test chooses while it runs.

use std::time::{Duration, Instant};

use crate::protocol::{
    Connection, Framed, FramedConnection, Input, Output, Protocol, ProtocolError, Raw,
    RawConnection, Tally,
};

/// Either protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either {
    /// Every byte comes back.
    Raw,
    /// Frames with sequence and checksum.
    Framed(Framed),
}

/// One connection of either.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a test has few of them")]
pub enum EitherConnection {
    /// Speaks `raw`.
    Raw(RawConnection),
    /// Speaks `framed`.
    Framed(FramedConnection),
}

impl Protocol for Either {
    type Connection = EitherConnection;

    fn connection(&self) -> EitherConnection {
        match self {
            Self::Raw => EitherConnection::Raw(Raw.connection()),
            Self::Framed(framed) => EitherConnection::Framed(framed.connection()),
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Raw => Raw.check(),
            Self::Framed(framed) => framed.check(),
        }
    }

    fn max_undecided(&self) -> usize {
        match self {
            Self::Raw => Raw.max_undecided(),
            Self::Framed(framed) => framed.max_undecided(),
        }
    }
}

impl Connection for EitherConnection {
    type Error = ProtocolError;

    fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<usize, ProtocolError> {
        match self {
            Self::Raw(connection) => {
                let Ok(consumed) = connection.handle_input(now, input);
                Ok(consumed)
            }
            Self::Framed(connection) => connection.handle_input(now, input),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::Raw(connection) => connection.poll_output(),
            Self::Framed(connection) => connection.poll_output(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Raw(connection) => connection.deadline(),
            Self::Framed(connection) => connection.deadline(),
        }
    }

    fn take_tally(&mut self) -> Tally {
        match self {
            Self::Raw(connection) => connection.take_tally(),
            Self::Framed(connection) => connection.take_tally(),
        }
    }

    fn postpone_deadline(&mut self, by: Duration) {
        match self {
            Self::Raw(connection) => connection.postpone_deadline(by),
            Self::Framed(connection) => connection.postpone_deadline(by),
        }
    }

    fn is_transparent(&self) -> bool {
        match self {
            Self::Raw(connection) => connection.is_transparent(),
            Self::Framed(connection) => connection.is_transparent(),
        }
    }

    fn pass(&mut self, bytes: usize) {
        match self {
            Self::Raw(connection) => connection.pass(bytes),
            Self::Framed(connection) => connection.pass(bytes),
        }
    }
}
