//! Replies that a client must make of a stream, worked out the slow and obvious way.
//!
//! Keeps every request with its whole payload and the whole received stream.

use std::collections::VecDeque;

use super::oracle::{Verdict, judge};
use super::wire::{ECHO, ERROR, GOAWAY, HEADER, PONG};
use crate::protocol::{ReplyError, Request, RequestError};

/// Longest payloads that a client may send or must read, from the design: `max_frame` has a
/// ceiling of 16 MiB, a PING carries 64 bytes, an ERROR its code and 200 bytes of text.
const ECHO_LIMIT: u32 = 16 << 20;
const PING_LIMIT: u32 = 64;
const ERROR_LIMIT: u32 = 2 + 200;

/// Something that the client heard from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The ECHO with this sequence came back.
    Echo(u64),
    /// The PING with this sequence was answered.
    Pong(u64),
    /// The server asked to finish.
    GoAway(u64),
    /// The server complained: sequence, number (0 if it had none), text.
    Error(u64, u16, String),
    /// The server broke the protocol; nothing is heard after that.
    Broken(ReplyError),
}

/// The oracle of one client.
#[derive(Debug)]
pub struct ClientOracle {
    max_in_flight: usize,
    requests: VecDeque<(Request, u64, Vec<u8>)>,
    stream: Vec<u8>,
    is_broken: bool,
}

impl ClientOracle {
    /// The oracle of a client that has sent and heard nothing.
    pub fn new(max_in_flight: usize) -> Self {
        let (requests, stream) = (VecDeque::new(), Vec::new());
        Self { max_in_flight, requests, stream, is_broken: false }
    }

    /// Requests that wait for their reply.
    pub fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// The client wants to send this.
    ///
    /// # Errors
    ///
    /// When it must not.
    pub fn request(
        &mut self,
        request: Request,
        sequence: u64,
        payload: &[u8],
    ) -> Result<(), RequestError> {
        let limit = match request {
            Request::Echo => ECHO_LIMIT as usize,
            Request::Ping => PING_LIMIT as usize,
        };
        let length = payload.len();
        if self.requests.len() >= self.max_in_flight {
            return Err(RequestError::InFlightLimit(self.max_in_flight));
        }
        if length > limit {
            return Err(RequestError::PayloadTooLong { length, limit });
        }
        self.requests.push_back((request, sequence, payload.to_vec()));
        Ok(())
    }

    /// The server sent these bytes: what the client hears.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Heard> {
        self.stream.extend(bytes);
        let mut heard = Vec::new();
        while !self.is_broken {
            let Some(next) = self.next_frame() else { break };
            self.is_broken = matches!(next, Heard::Broken(_));
            heard.push(next);
        }
        heard
    }

    /// The server sent FIN: what the client hears.
    pub fn end(&mut self) -> Vec<Heard> {
        if self.is_broken || (self.stream.is_empty() && self.requests.is_empty()) {
            return Vec::new();
        }
        self.is_broken = true;
        vec![Heard::Broken(ReplyError::Ended { unanswered: self.requests.len() })]
    }

    fn next_frame(&mut self) -> Option<Heard> {
        let from_server = |kind| match kind {
            ECHO => Some(ECHO_LIMIT),
            PONG => Some(PING_LIMIT),
            GOAWAY => Some(0),
            ERROR => Some(ERROR_LIMIT),
            _ => None,
        };
        let (fields, length) = match judge(&self.stream, from_server) {
            Verdict::Incomplete => return None,
            Verdict::Wrong { error, .. } => {
                return Some(Heard::Broken(ReplyError::Malformed(error)));
            }
            Verdict::Frame { fields, length } => (fields, length),
        };
        let frame: Vec<u8> = self.stream.drain(..length).collect();
        let payload = &frame[HEADER..];
        Some(match fields.kind {
            GOAWAY => Heard::GoAway(fields.sequence),
            ERROR => heard_error(fields.sequence, payload),
            kind => self.answer(kind, fields.sequence, payload),
        })
    }

    /// An ECHO or a PONG, which must answer the oldest request.
    fn answer(&mut self, kind: u8, sequence: u64, payload: &[u8]) -> Heard {
        let Some((request, expected, sent)) = self.requests.front() else {
            return Heard::Broken(ReplyError::Unasked { sequence });
        };
        if *expected != sequence {
            return Heard::Broken(ReplyError::OutOfOrder { expected: *expected, got: sequence });
        }
        let heard = match (request, kind) {
            (Request::Echo, ECHO) if sent == payload => Heard::Echo(sequence),
            (Request::Ping, PONG) if sent == payload => Heard::Pong(sequence),
            _ => return Heard::Broken(ReplyError::Altered { sequence }),
        };
        self.requests.pop_front();
        heard
    }
}

fn heard_error(sequence: u64, payload: &[u8]) -> Heard {
    if payload.len() < 2 {
        return Heard::Error(sequence, 0, String::new());
    }
    let number = u16::from(payload[0]) * 256 + u16::from(payload[1]);
    Heard::Error(sequence, number, String::from_utf8_lossy(&payload[2..]).into_owned())
}
