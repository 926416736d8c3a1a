//! The `raw` protocol: every byte comes back, in order (RFC 862 over TCP).

use super::error::{ErrorCode, ProtocolError};
use super::output::{CloseReason, Output};
use super::{Input, StreamOffset};

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

impl RawConnection {
    /// See [`Connection::handle_input`](super::Connection::handle_input).
    pub fn handle_input(&mut self, input: Input<'_>) -> Result<usize, ProtocolError> {
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
                self.ending = Ending::Decided(CloseReason::Failed(ErrorCode::Busy));
                return Err(ProtocolError { code: ErrorCode::Busy, sequence: 0 });
            }
            Input::Eof | Input::Busy | Input::Drain | Input::Timeout => {}
        }
        Ok(0)
    }

    /// See [`Connection::poll_output`](super::Connection::poll_output).
    pub fn poll_output(&mut self) -> Option<Output> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_an_error_once_and_not_after_the_end() {
        let busy = Err(ProtocolError { code: ErrorCode::Busy, sequence: 0 });
        let mut refused = RawConnection::default();
        assert_eq!(refused.handle_input(Input::Busy), busy);
        assert_eq!(refused.handle_input(Input::Busy), Ok(0));

        let mut finished = RawConnection::default();
        assert_eq!(finished.handle_input(Input::Eof), Ok(0));
        assert_eq!(finished.handle_input(Input::Busy), Ok(0));
        assert_eq!(finished.poll_output(), Some(Output::Close(CloseReason::Finished)));
        assert_eq!(finished.poll_output(), None);
    }

    #[test]
    fn the_end_waits_for_the_rest() {
        let mut connection = RawConnection::default();
        assert_eq!(connection.handle_input(Input::Data(b"Hello")), Ok(5));
        assert_eq!(connection.handle_input(Input::Data(b", world")), Ok(7));
        assert_eq!(connection.handle_input(Input::Eof), Ok(0));
        assert_eq!(connection.poll_output(), Some(Output::Forward(0..12)));
        assert_eq!(connection.poll_output(), Some(Output::Close(CloseReason::Finished)));
        assert_eq!(connection.poll_output(), None);
    }
}
