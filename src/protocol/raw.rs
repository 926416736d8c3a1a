//! The `raw` protocol: every byte comes back, in order (RFC 862 over TCP).

use std::convert::Infallible;
use std::time::Instant;

use super::output::{CloseReason, Output};
use super::{Connection, Input, Protocol, StreamOffset};

/// The `raw` protocol: every byte comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raw;

impl Protocol for Raw {
    type Connection = RawConnection;

    fn connection(&self) -> RawConnection {
        RawConnection::default()
    }
}

/// One connection that speaks `raw`. Its whole memory is two offsets and how it ended.
#[derive(Debug, Clone, Default)]
pub struct RawConnection {
    received: StreamOffset,
    forwarded: StreamOffset,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    Open,
    Decided(CloseReason),
    Polled,
}

impl Connection for RawConnection {
    /// No byte is wrong.
    type Error = Infallible;

    fn handle_input(&mut self, _: Instant, input: Input<'_>) -> Result<usize, Infallible> {
        match input {
            Input::Data(bytes) => {
                if self.ending == Ending::Open {
                    self.received += bytes.len() as u64;
                }
                return Ok(bytes.len());
            }
            Input::Eof if self.ending == Ending::Open => {
                self.ending = Ending::Decided(CloseReason::Finished);
            }
            Input::Busy if self.ending == Ending::Open => {
                self.ending = Ending::Decided(CloseReason::Busy);
            }
            Input::Eof | Input::Busy | Input::Drain | Input::Timeout => {}
        }
        Ok(0)
    }

    fn poll_output(&mut self) -> Option<Output> {
        if self.forwarded < self.received {
            let range = self.forwarded..self.received;
            self.forwarded = self.received;
            return Some(Output::Forward(range));
        }
        if let Ending::Decided(reason) = self.ending {
            self.ending = Ending::Polled;
            return Some(Output::Close(reason));
        }
        None
    }

    fn is_transparent(&self) -> bool {
        true
    }

    fn pass(&mut self, bytes: usize) {
        self.received += bytes as u64;
        self.forwarded += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_ends_once() {
        let (busy, eof) = (Input::Busy, Input::Eof);
        for (first, second, reason) in
            [(busy, busy, CloseReason::Busy), (eof, busy, CloseReason::Finished)]
        {
            let (mut connection, now) = (Raw.connection(), Instant::now());
            assert_eq!(connection.handle_input(now, first), Ok(0));
            assert_eq!(connection.handle_input(now, second), Ok(0));
            assert_eq!(connection.poll_output(), Some(Output::Close(reason)));
            assert_eq!(connection.poll_output(), None);
        }
    }

    #[test]
    fn the_end_waits_for_the_rest() {
        let (mut connection, now) = (Raw.connection(), Instant::now());
        assert_eq!(connection.handle_input(now, Input::Data(b"Hello")), Ok(5));
        assert_eq!(connection.handle_input(now, Input::Data(b", world")), Ok(7));
        assert_eq!(connection.handle_input(now, Input::Eof), Ok(0));
        assert_eq!(connection.poll_output(), Some(Output::Forward(0..12)));
        assert_eq!(connection.poll_output(), Some(Output::Close(CloseReason::Finished)));
        assert_eq!(connection.poll_output(), None);
    }
}
