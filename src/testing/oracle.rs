//! Answer that a server must give to a stream, worked out the slow and obvious way.
//!
//! Keeps the whole received stream and looks at frames only when they lie in it whole, so that it
//! has no states between bytes to get wrong. Written from the design, not from the code it judges.

use std::ops::Range;
use std::time::Duration;

use super::either::Either;
use super::wire::{ECHO, ERROR, Fields, GOAWAY, HEADER, PING, PONG};
use crate::protocol::{CloseReason, ErrorCode, ProtocolError, StreamOffset};

/// Everything that can be seen of a connection from outside, in a form that does not depend on
/// how the work was divided: neighbours are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes of the stream that were taken; none is after an error or the end.
    pub accepted: StreamOffset,
    /// Fates of the received bytes, in stream order.
    pub fates: Vec<Fate>,
    /// Messages the peer was sent, in order.
    pub sent: Vec<Sent>,
    /// How the peer broke the protocol.
    pub error: Option<ProtocolError>,
    /// Why the connection was closed.
    pub close: Option<CloseReason>,
}

/// The end of an [`Outcome`], which grows there alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Last<'a> {
    accepted: StreamOffset,
    fates: (usize, Option<&'a Fate>),
    sent: (usize, Option<&'a Sent>),
    error: Option<ProtocolError>,
    close: Option<CloseReason>,
}

/// Fate of a stretch of the received stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It went back to the peer.
    Forwarded(Range<StreamOffset>),
    /// It was dropped.
    Discarded(Range<StreamOffset>),
}

/// Something that the peer was sent. The text of an ERROR is left to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A stretch of what it had sent itself.
    Stream(Range<StreamOffset>),
    /// The answer to a PING.
    Pong(u64, Vec<u8>),
    /// The request to finish, with the sequence of the last verified frame.
    GoAway(u64),
    /// A complaint about the frame with this sequence.
    Error(u16, u64),
}

impl Outcome {
    /// Adds a stretch that goes back to the peer.
    pub fn forward(&mut self, range: Range<StreamOffset>) {
        match self.fates.last_mut() {
            Some(Fate::Forwarded(last)) if last.end == range.start => last.end = range.end,
            _ => self.fates.push(Fate::Forwarded(range.clone())),
        }
        match self.sent.last_mut() {
            Some(Sent::Stream(last)) if last.end == range.start => last.end = range.end,
            _ => self.sent.push(Sent::Stream(range)),
        }
    }

    /// Adds a stretch that is dropped.
    pub fn discard(&mut self, range: Range<StreamOffset>) {
        match self.fates.last_mut() {
            Some(Fate::Discarded(last)) if last.end == range.start => last.end = range.end,
            _ => self.fates.push(Fate::Discarded(range)),
        }
    }

    /// The last of everything, and how much of it there is.
    pub fn last(&self) -> Last<'_> {
        Last {
            accepted: self.accepted,
            fates: (self.fates.len(), self.fates.last()),
            sent: (self.sent.len(), self.sent.last()),
            error: self.error,
            close: self.close,
        }
    }

    /// How much of the stream has met its fate.
    pub fn covered(&self) -> StreamOffset {
        match self.fates.last() {
            Some(Fate::Forwarded(range) | Fate::Discarded(range)) => range.end,
            None => 0,
        }
    }
}

/// Highest payload length that the design allows to be configured.
const CEILING: u32 = 16 << 20;

/// The oracle of one connection, either protocol.
#[derive(Debug)]
pub struct Oracle {
    protocol: Either,
    now: Duration,
    stream: Vec<u8>,
    /// How long the stream had grown by each time at which something came.
    arrivals: Vec<(usize, Duration)>,
    last_verified: u64,
    asked_to_drain: bool,
    outcome: Outcome,
}

impl Oracle {
    /// The oracle of a connection that has received nothing, at time zero.
    pub fn new(protocol: Either) -> Self {
        Self {
            protocol,
            now: Duration::ZERO,
            stream: Vec::new(),
            arrivals: Vec::new(),
            last_verified: 0,
            asked_to_drain: false,
            outcome: Outcome::default(),
        }
    }

    /// The outcome that the connection must have reached by now.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// When the frame that is arriving must be complete.
    pub fn deadline(&self) -> Option<Duration> {
        let Either::Framed(framed) = self.protocol else { return None };
        let frame_start = self.outcome.covered() as usize;
        let arrival = self.arrivals.partition_point(|(length, _)| *length <= frame_start);
        let (_, started) = self.arrivals.get(arrival).filter(|_| !self.is_over())?;
        started.checked_add(framed.frame_timeout)
    }

    /// The peer sent these bytes.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.is_over() {
            return;
        }
        self.stream.extend(bytes);
        match self.arrivals.last_mut() {
            Some((length, time)) if *time == self.now => *length = self.stream.len(),
            _ => self.arrivals.push((self.stream.len(), self.now)),
        }
        self.outcome.accepted = self.stream.len() as u64;
        match self.protocol {
            Either::Raw if bytes.is_empty() => {}
            Either::Raw => self.outcome.forward(self.outcome.covered()..self.outcome.accepted),
            Either::Framed(framed) => while !self.is_over() && self.answer(framed.max_frame) {},
        }
    }

    /// The peer sent FIN.
    pub fn end(&mut self) {
        if self.is_over() {
            return;
        }
        if self.outcome.covered() < self.outcome.accepted {
            self.fail(ErrorCode::Truncated);
        } else {
            self.outcome.close = Some(CloseReason::Finished);
        }
    }

    /// The server is shutting down.
    pub fn drain(&mut self) {
        let framed = matches!(self.protocol, Either::Framed(_));
        if framed && !self.is_over() && !self.asked_to_drain {
            self.outcome.sent.push(Sent::GoAway(self.last_verified));
        }
        self.asked_to_drain = true;
    }

    /// Time passed.
    pub fn elapse(&mut self, time: Duration) {
        self.now += time;
        if self.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.fail(ErrorCode::FrameTimeout);
        }
    }

    /// The server has no room for this connection.
    pub fn refuse_as_busy(&mut self) {
        if !self.is_over() {
            self.close_with(self.error(ErrorCode::Busy), CloseReason::Busy);
        }
    }

    fn is_over(&self) -> bool {
        self.outcome.close.is_some()
    }

    /// Answers the first frame that has met no fate yet; false if it is not complete.
    fn answer(&mut self, max_frame: u32) -> bool {
        let start = self.outcome.covered();
        let arriving = &self.stream[start as usize..];
        let server = |kind| match kind {
            ECHO => Some(max_frame.min(CEILING)),
            PING => Some(max_frame.min(64)),
            _ => None,
        };
        match judge(arriving, server) {
            Verdict::Incomplete => return false,
            Verdict::Wrong { error, length } => {
                self.outcome.accepted = start + length as u64;
                self.fail_with(error);
            }
            Verdict::Frame { fields, length } => {
                let payload = arriving[HEADER..length].to_vec();
                let range = start..start + length as u64;
                self.last_verified = fields.sequence;
                if fields.kind == PING {
                    self.outcome.discard(range);
                    self.outcome.sent.push(Sent::Pong(fields.sequence, payload));
                } else {
                    self.outcome.forward(range);
                }
            }
        }
        true
    }

    fn fail(&mut self, code: ErrorCode) {
        self.fail_with(self.error(code));
    }

    fn error(&self, code: ErrorCode) -> ProtocolError {
        let arriving = &self.stream[self.outcome.covered() as usize..];
        let sequence = Fields::read(arriving).map_or(0, |fields| fields.sequence);
        ProtocolError { code, sequence }
    }

    fn fail_with(&mut self, error: ProtocolError) {
        self.outcome.error = Some(error);
        self.close_with(error, CloseReason::Refused);
    }

    /// Drops what waits and reports the error to the peer, if the protocol can.
    fn close_with(&mut self, error: ProtocolError, reason: CloseReason) {
        let waiting = self.outcome.covered()..self.outcome.accepted;
        if !waiting.is_empty() {
            self.outcome.discard(waiting);
        }
        if let Either::Framed(_) = self.protocol {
            self.outcome.sent.push(Sent::Error(error.code as u16, error.sequence));
        }
        self.outcome.close = Some(reason);
    }
}

/// Verdict on the beginning of a stream.
pub(super) enum Verdict {
    /// Not yet a frame, and nothing wrong so far.
    Incomplete,
    /// Not a frame; `length` bytes of it were needed to see that.
    Wrong { error: ProtocolError, length: usize },
    /// A valid frame of `length` bytes.
    Frame { fields: Fields, length: usize },
}

/// Judges the frame at the beginning of `stream`. `limit` gives the longest payload of a kind, or
/// `None` for a kind that does not travel in this direction.
pub(super) fn judge(stream: &[u8], limit: impl Fn(u8) -> Option<u32>) -> Verdict {
    let Some(fields) = Fields::read(stream) else { return Verdict::Incomplete };
    let wrong = |code, length| {
        let sequence = if code == ErrorCode::BadMagic { 0 } else { fields.sequence };
        Verdict::Wrong { error: ProtocolError { code, sequence }, length }
    };
    if fields.magic != [0x52, 0x42] {
        return wrong(ErrorCode::BadMagic, HEADER);
    }
    if fields.version != 1 {
        return wrong(ErrorCode::UnsupportedVersion, HEADER);
    }
    if ![ECHO, PING, PONG, GOAWAY, ERROR].contains(&fields.kind) {
        return wrong(ErrorCode::UnknownKind, HEADER);
    }
    match limit(fields.kind) {
        None => return wrong(ErrorCode::UnexpectedKind, HEADER),
        Some(limit) if fields.length > limit => return wrong(ErrorCode::FrameTooLarge, HEADER),
        Some(_) => {}
    }
    let length = HEADER + fields.length as usize;
    if stream.len() < length {
        return Verdict::Incomplete;
    }
    if fields.right_checksum(&stream[HEADER..length]) != fields.checksum {
        return wrong(ErrorCode::ChecksumMismatch, length);
    }
    Verdict::Frame { fields, length }
}
