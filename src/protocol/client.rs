//! The client side of the `framed` protocol: makes requests, matches replies to them.
//!
//! Never holds a payload: a request is a header to send before it, a reply is verified as it
//! streams past and compared by the checksum that the request was sent with.

use std::collections::VecDeque;

use super::error::{ErrorCode, ProtocolError};
use super::frame::{
    ERROR_CODE_LEN, HEADER_LEN, Header, Kind, MAX_ERROR, MAX_FRAME_CEILING, MAX_PING, Reader,
};
use super::output::InlineBytes;
use super::reader::{FrameReader, Progress};

/// The client's side of one connection.
#[derive(Debug)]
pub struct FramedClient {
    reader: FrameReader<MAX_ERROR>,
    /// Headers of the replies that are due, oldest first; replies come in the order of requests.
    expected: VecDeque<Header>,
    max_in_flight: usize,
    reply: Option<Reply>,
    failed: bool,
}

/// Requests that a client can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Return these bytes.
    Echo,
    /// Answer with a PONG; at most [`MAX_PING`] bytes.
    Ping,
}

/// Why a request was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The in-flight limit is reached: read replies first.
    #[error("{0} requests are in flight, the limit: read replies before sending more")]
    InFlightLimit(usize),
    /// The payload is longer than any server would take.
    #[error("payload of {length} bytes exceeds the limit of {limit}")]
    PayloadTooLong {
        /// Length of the payload in bytes.
        length: usize,
        /// Limit of this kind of request in bytes.
        limit: usize,
    },
}

/// Messages of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "no heap in the core; there is one a connection")]
pub enum Reply {
    /// The ECHO with this sequence came back unaltered.
    Echo {
        /// Sequence of the request.
        sequence: u64,
    },
    /// The PING with this sequence was answered.
    Pong {
        /// Sequence of the request.
        sequence: u64,
    },
    /// The server is draining: stop sending, half-close, read to the end.
    GoAway {
        /// Sequence of the last request that the server verified, 0 if none.
        last_sequence: u64,
    },
    /// The server ends the connection.
    Error(ErrorReply),
}

/// The content of an ERROR frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorReply {
    /// Sequence of the offending request, 0 if unknown.
    pub sequence: u64,
    payload: InlineBytes,
}

impl ErrorReply {
    /// The number of the error as sent; 0 where the frame was too short to carry one.
    pub fn number(&self) -> u16 {
        self.payload.first_chunk::<ERROR_CODE_LEN>().map_or(0, |code| u16::from_be_bytes(*code))
    }

    /// The code, unless it is one that this version does not know.
    pub fn code(&self) -> Option<ErrorCode> {
        ErrorCode::from_wire(self.number())
    }

    /// The server's explanation; what is not UTF-8 in it is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.payload.get(ERROR_CODE_LEN..).unwrap_or_default()).into_owned()
    }
}

/// How the server broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A frame was malformed, its checksum wrong, or its kind not a server's to send.
    #[error("malformed reply: {0}")]
    Malformed(ProtocolError),
    /// A reply came that nothing asked for.
    #[error("reply with sequence {sequence}, but no request is in flight")]
    Unasked {
        /// Sequence of the reply.
        sequence: u64,
    },
    /// A reply came that answers another request than the oldest.
    #[error("reply with sequence {got}, expected {expected}")]
    OutOfOrder {
        /// Sequence of the oldest request in flight.
        expected: u64,
        /// Sequence of the reply.
        got: u64,
    },
    /// A well-formed reply with the right sequence, but not what was sent.
    #[error("reply {sequence} differs from its request")]
    Altered {
        /// Sequence of the request.
        sequence: u64,
    },
    /// The stream ended inside a frame or before every request was answered.
    #[error("the stream ended with {unanswered} requests unanswered")]
    Ended {
        /// Requests that never got a reply.
        unanswered: usize,
    },
}

impl FramedClient {
    /// A client with room for this many unanswered requests, allocated here and never grown.
    pub fn new(max_in_flight: usize) -> Self {
        Self {
            reader: FrameReader::new(Reader::Client, MAX_FRAME_CEILING),
            expected: VecDeque::with_capacity(max_in_flight),
            max_in_flight,
            reply: None,
            failed: false,
        }
    }

    /// Requests that wait for their reply.
    pub fn in_flight(&self) -> usize {
        self.expected.len()
    }

    /// Makes a request: the bytes to send before `payload`.
    ///
    /// # Errors
    ///
    /// When the in-flight limit is reached or the payload is too long; nothing changes then.
    pub fn request(
        &mut self,
        request: Request,
        sequence: u64,
        payload: &[u8],
    ) -> Result<[u8; HEADER_LEN], RequestError> {
        let (kind, reply_kind, limit) = match request {
            Request::Echo => (Kind::Echo, Kind::Echo, MAX_FRAME_CEILING as usize),
            Request::Ping => (Kind::Ping, Kind::Pong, MAX_PING),
        };
        if self.expected.len() == self.max_in_flight {
            return Err(RequestError::InFlightLimit(self.max_in_flight));
        }
        if payload.len() > limit {
            return Err(RequestError::PayloadTooLong { length: payload.len(), limit });
        }
        let header = Header::new(kind, sequence, payload);
        let reply =
            if kind == reply_kind { header } else { Header::new(reply_kind, sequence, payload) };
        self.expected.push_back(reply);
        Ok(header.encode())
    }

    /// Takes received bytes up to the end of one reply; returns how many. Poll the reply, then go
    /// on with the rest.
    ///
    /// # Errors
    ///
    /// When the server broke the protocol, once; the connection is of no use then, and further
    /// input is consumed and ignored.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<usize, ReplyError> {
        if self.failed {
            return Ok(bytes.len());
        }
        if self.reply.is_some() {
            return Ok(0);
        }
        let (taken, progress) = self.reader.read(bytes);
        let outcome = match progress {
            Progress::NeedMore => return Ok(taken),
            Progress::Frame(header) => self.match_reply(&header),
            Progress::Refused(error) => Err(ReplyError::Malformed(error)),
        };
        self.failed = outcome.is_err();
        self.reply = Some(outcome?);
        Ok(taken)
    }

    /// The server sent FIN.
    ///
    /// # Errors
    ///
    /// When it did so inside a frame or before every request was answered.
    pub fn handle_eof(&mut self) -> Result<(), ReplyError> {
        if self.failed || (self.expected.is_empty() && !self.reader.is_inside_frame()) {
            return Ok(());
        }
        self.failed = true;
        Err(ReplyError::Ended { unanswered: self.expected.len() })
    }

    /// The reply that the last input completed, if it did.
    pub fn poll_reply(&mut self) -> Option<Reply> {
        self.reply.take()
    }

    fn match_reply(&mut self, header: &Header) -> Result<Reply, ReplyError> {
        let sequence = header.sequence;
        match header.kind {
            Kind::GoAway => return Ok(Reply::GoAway { last_sequence: sequence }),
            Kind::Error => {
                let payload = InlineBytes::copy_of(self.reader.captured(header));
                return Ok(Reply::Error(ErrorReply { sequence, payload }));
            }
            Kind::Echo | Kind::Ping | Kind::Pong => {}
        }
        let expected = self.expected.front().ok_or(ReplyError::Unasked { sequence })?;
        if expected.sequence != sequence {
            return Err(ReplyError::OutOfOrder { expected: expected.sequence, got: sequence });
        }
        if expected != header {
            return Err(ReplyError::Altered { sequence });
        }
        self.expected.pop_front();
        Ok(match header.kind {
            Kind::Echo => Reply::Echo { sequence },
            _ => Reply::Pong { sequence },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_was_not_polled_holds_the_input_back() {
        let mut client = FramedClient::new(1);
        let goaway = Header::new(Kind::GoAway, 7, b"").encode();
        assert_eq!(client.handle_input(&goaway), Ok(HEADER_LEN));
        assert_eq!(client.handle_input(&goaway), Ok(0));
        assert_eq!(client.poll_reply(), Some(Reply::GoAway { last_sequence: 7 }));
        assert_eq!(client.poll_reply(), None);
        assert_eq!(client.handle_input(&goaway), Ok(HEADER_LEN));
    }

    #[test]
    fn a_refused_request_changes_nothing() {
        let mut client = FramedClient::new(1);
        let too_long = vec![0; MAX_FRAME_CEILING as usize + 1];
        let (length, limit) = (too_long.len(), MAX_FRAME_CEILING as usize);
        assert_eq!(
            client.request(Request::Echo, 1, &too_long),
            Err(RequestError::PayloadTooLong { length, limit })
        );
        assert_eq!(client.in_flight(), 0);
        assert!(client.request(Request::Echo, 1, &too_long[1..]).is_ok());
        assert_eq!(client.request(Request::Ping, 2, b""), Err(RequestError::InFlightLimit(1)));
        assert_eq!(client.in_flight(), 1);
    }

    #[test]
    fn the_end_is_an_error_once() {
        let mut client = FramedClient::new(2);
        assert!(client.request(Request::Ping, 1, b"").is_ok());
        assert_eq!(client.handle_eof(), Err(ReplyError::Ended { unanswered: 1 }));
        assert_eq!(client.handle_eof(), Ok(()));
        assert_eq!(client.handle_input(b"anything"), Ok(8));
    }

    #[test]
    fn an_error_reply_is_shown_even_where_it_is_not_utf8() {
        let mut client = FramedClient::new(1);
        let payload = b"\x03\xE8not \xFF text";
        let frame = [&Header::new(Kind::Error, 5, payload).encode()[..], payload].concat();
        assert_eq!(client.handle_input(&frame), Ok(frame.len()));
        let Some(Reply::Error(error)) = client.poll_reply() else { panic!("no ERROR") };
        assert_eq!((error.sequence, error.number(), error.code()), (5, 1000, None));
        assert_eq!(error.text(), "not \u{FFFD} text");
    }
}
