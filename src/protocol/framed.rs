//! The server side of the `framed` protocol.
//!
//! Forwards nothing that it has not verified: an ECHO goes back only when its checksum is right.

use std::time::{Duration, Instant};

use super::error::{ErrorCode, ProtocolError};
use super::frame::{
    ERROR_CODE_LEN, HEADER_LEN, Header, Kind, MAX_ERROR, MAX_FRAME_CEILING, MAX_PING, Reader,
};
use super::output::{CloseReason, InlineBytes, Output, OutputQueue};
use super::reader::{FrameReader, Progress};
use super::{Connection, Input, Protocol, StreamOffset, Tally};

/// The `framed` protocol: frames with sequence and checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed {
    /// Longest ECHO payload in bytes; more than [`MAX_FRAME_CEILING`] counts as the ceiling.
    pub max_frame: u32,
    /// How long a frame may take from its first byte to its last.
    pub frame_timeout: Duration,
}

impl Protocol for Framed {
    type Connection = FramedConnection;

    fn connection(&self) -> FramedConnection {
        FramedConnection::new(*self)
    }

    fn check(&self) -> Result<(), String> {
        match self.max_frame {
            1..=MAX_FRAME_CEILING => Ok(()),
            limit => {
                Err(format!("a frame limit of {limit} bytes is outside 1 to {MAX_FRAME_CEILING}"))
            }
        }
    }

    fn max_undecided(&self) -> usize {
        HEADER_LEN + self.max_frame.min(MAX_FRAME_CEILING) as usize
    }
}

impl Default for Framed {
    fn default() -> Self {
        Self { max_frame: 64 << 10, frame_timeout: Duration::from_secs(10) }
    }
}

/// One connection that speaks `framed`.
#[derive(Debug, Clone)]
pub struct FramedConnection {
    reader: FrameReader<MAX_PING>,
    frame_timeout: Duration,
    /// First byte of the frame that is arriving, and the end of everything accepted.
    frame_start: StreamOffset,
    accepted: StreamOffset,
    frame_deadline: Option<Instant>,
    last_verified: u64,
    queue: OutputQueue,
    goaway: GoAway,
    ending: Ending,
    tally: Tally,
}

/// Frames answered in one call, so that a driver can share its time among connections whatever the
/// size of their frames.
const MAX_FRAMES_PER_CALL: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoAway {
    Unasked,
    Due,
    Polled,
}

/// How far the connection has come with its end; each state follows the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    Error(ProtocolError),
    Close(CloseReason),
    Polled,
}

impl Connection for FramedConnection {
    type Error = ProtocolError;

    /// The frame that is arriving must be complete by then.
    fn deadline(&self) -> Option<Instant> {
        self.frame_deadline
    }

    fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn postpone_deadline(&mut self, by: Duration) {
        self.frame_deadline = self.frame_deadline.and_then(|deadline| deadline.checked_add(by));
    }

    fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<usize, ProtocolError> {
        if self.ending != Ending::Open {
            return Ok(if let Input::Data(bytes) = input { bytes.len() } else { 0 });
        }
        match input {
            Input::Data(bytes) => return self.handle_data(now, bytes),
            Input::Eof if self.reader.is_inside_frame() => {
                return Err(self.refuse(ErrorCode::Truncated));
            }
            Input::Eof => self.ending = Ending::Close(CloseReason::Finished),
            Input::Drain if self.goaway == GoAway::Unasked => self.goaway = GoAway::Due,
            Input::Drain => {}
            Input::Timeout if self.frame_deadline.is_some_and(|deadline| deadline <= now) => {
                return Err(self.refuse(ErrorCode::FrameTimeout));
            }
            Input::Timeout => {}
            Input::Busy => {
                self.refuse(ErrorCode::Busy);
            }
        }
        Ok(0)
    }

    fn poll_output(&mut self) -> Option<Output> {
        if self.queue.is_empty() { self.poll_own_output() } else { self.queue.pop() }
    }
}

impl FramedConnection {
    /// The output that is due once everything received is answered.
    fn poll_own_output(&mut self) -> Option<Output> {
        if self.goaway == GoAway::Due {
            self.goaway = GoAway::Polled;
            return Some(Output::Emit(InlineBytes::frame(Kind::GoAway, self.last_verified, &[])));
        }
        match self.ending {
            Ending::Error(error) => {
                self.ending = Ending::Close(match error.code {
                    ErrorCode::Busy => CloseReason::Busy,
                    _ => CloseReason::Refused,
                });
                Some(Output::Emit(error_frame(error)))
            }
            Ending::Close(reason) => {
                self.ending = Ending::Polled;
                Some(Output::Close(reason))
            }
            Ending::Open | Ending::Polled => None,
        }
    }

    fn new(protocol: Framed) -> Self {
        Self {
            reader: FrameReader::new(Reader::Server, protocol.max_frame.min(MAX_FRAME_CEILING)),
            frame_timeout: protocol.frame_timeout,
            frame_start: 0,
            accepted: 0,
            frame_deadline: None,
            last_verified: 0,
            queue: OutputQueue::default(),
            goaway: GoAway::Unasked,
            ending: Ending::Open,
            tally: Tally::default(),
        }
    }

    fn handle_data(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, ProtocolError> {
        let mut consumed = 0;
        for _ in 0..MAX_FRAMES_PER_CALL {
            if consumed == bytes.len() || !self.queue.has_room_for_frame() {
                break;
            }
            let (taken, progress) = self.reader.read(&bytes[consumed..]);
            consumed += taken;
            self.accepted += taken as u64;
            match progress {
                Progress::NeedMore => {}
                Progress::Frame(header) => self.answer(&header),
                Progress::Refused(error) => return Err(self.fail(error)),
            }
        }
        if !self.reader.is_inside_frame() {
            self.frame_deadline = None;
        } else if self.frame_deadline.is_none() {
            // A timeout beyond what an `Instant` can hold is none.
            self.frame_deadline = now.checked_add(self.frame_timeout);
        }
        Ok(consumed)
    }

    fn answer(&mut self, header: &Header) {
        let frame = self.frame_start..self.accepted;
        self.frame_start = self.accepted;
        self.frame_deadline = None;
        self.last_verified = header.sequence;
        if header.kind == Kind::Ping {
            self.queue.discard(frame);
            self.queue.pong(header.sequence, self.reader.captured(header));
            self.tally.ping_frames += 1;
        } else {
            self.queue.forward(frame);
            self.tally.echo_frames += 1;
        }
    }

    fn refuse(&mut self, code: ErrorCode) -> ProtocolError {
        self.fail(ProtocolError { code, sequence: self.reader.sequence() })
    }

    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.queue.discard(self.frame_start..self.accepted);
        self.frame_start = self.accepted;
        self.frame_deadline = None;
        self.ending = Ending::Error(error);
        if error.code != ErrorCode::Busy {
            self.tally.error = Some(error.code);
        }
        error
    }
}

fn error_frame(error: ProtocolError) -> InlineBytes {
    let text = error.code.text().as_bytes();
    let mut payload = [0; MAX_ERROR];
    payload[..ERROR_CODE_LEN].copy_from_slice(&error.code.to_wire().to_be_bytes());
    payload[ERROR_CODE_LEN..ERROR_CODE_LEN + text.len()].copy_from_slice(text);
    InlineBytes::frame(Kind::Error, error.sequence, &payload[..ERROR_CODE_LEN + text.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_timeout_beyond_the_clock_is_none() {
        let config = Framed { frame_timeout: Duration::MAX, ..Framed::default() };
        let mut connection = config.connection();
        assert_eq!(connection.handle_input(Instant::now(), Input::Data(b"RB")), Ok(2));
        assert_eq!(connection.deadline(), None);
    }

    #[test]
    fn max_frame_has_a_ceiling() {
        let config = Framed { max_frame: u32::MAX, ..Framed::default() };
        let announces = |length| {
            let header = Header { kind: Kind::Echo, length, sequence: 7, checksum: 0 }.encode();
            config.connection().handle_input(Instant::now(), Input::Data(&header))
        };
        let too_large = ProtocolError { code: ErrorCode::FrameTooLarge, sequence: 7 };
        assert_eq!(announces(MAX_FRAME_CEILING), Ok(20));
        assert_eq!(announces(MAX_FRAME_CEILING + 1), Err(too_large));
    }

    /// A caller that does not poll is stopped, not answered without bound.
    #[test]
    fn input_stops_while_the_queue_is_full() {
        let ping = [&Header::new(Kind::Ping, 1, b"?").encode()[..], b"?"].concat();
        let (now, pings) = (Instant::now(), ping.repeat(10));
        let mut connection = Framed::default().connection();
        assert_eq!(connection.handle_input(now, Input::Data(&pings)), Ok(2 * ping.len()));
        assert_eq!(connection.handle_input(now, Input::Data(&pings)), Ok(0));
        assert_eq!(std::iter::from_fn(|| connection.poll_output()).count(), 4);
        assert_eq!(connection.handle_input(now, Input::Data(&pings)), Ok(2 * ping.len()));
    }

    /// The clock of a frame starts with its first byte and with every frame anew.
    #[test]
    fn the_deadline_belongs_to_the_frame_that_is_arriving() {
        let echo = Header::new(Kind::Echo, 1, b"").encode();
        let timeout = Framed::default().frame_timeout;
        let start = Instant::now();
        let later = start + timeout / 2;
        let mut connection = Framed::default().connection();
        assert_eq!(connection.deadline(), None);
        assert_eq!(connection.handle_input(start, Input::Data(&echo[..1])), Ok(1));
        assert_eq!(connection.handle_input(later, Input::Data(&echo[1..19])), Ok(18));
        assert_eq!(connection.deadline(), Some(start + timeout));
        let end_and_start = [&echo[19..], &echo[..1]].concat();
        assert_eq!(connection.handle_input(later, Input::Data(&end_and_start)), Ok(2));
        assert_eq!(connection.deadline(), Some(later + timeout));
        assert_eq!(connection.handle_input(start + timeout, Input::Timeout), Ok(0));
        assert_eq!(connection.handle_input(later, Input::Data(&echo[1..])), Ok(19));
        assert_eq!(connection.deadline(), None);
    }

    #[test]
    fn goaway_and_the_end_wait_for_what_is_queued() {
        let echo = Header::new(Kind::Echo, 7, b"").encode();
        let now = Instant::now();
        let mut connection = Framed::default().connection();
        assert_eq!(connection.handle_input(now, Input::Data(&echo)), Ok(20));
        assert_eq!(connection.handle_input(now, Input::Drain), Ok(0));
        assert_eq!(connection.handle_input(now, Input::Eof), Ok(0));
        assert_eq!(connection.handle_input(now, Input::Data(&echo)), Ok(20));
        let goaway = InlineBytes::frame(Kind::GoAway, 7, b"");
        let expected =
            [Output::Forward(0..20), Output::Emit(goaway), Output::Close(CloseReason::Finished)];
        let polled: Vec<_> = std::iter::from_fn(|| connection.poll_output()).collect();
        assert_eq!(polled, expected);
    }
}
