//! The life of a server's connection as a list of operations, and the checker that leads it.
//!
//! Property tests and fuzz targets make [`Script`]s; [`check`] runs the real connection and the
//! [`Oracle`] side by side and compares them after every operation.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::either::{Either, EitherConnection};
use super::oracle::{Oracle, Outcome, Sent};
use super::wire::{ERROR, Fields, GOAWAY, HEADER, PONG};
use crate::protocol::{
    CloseReason, Connection, ErrorCode, Input, MAX_ERROR_TEXT, Output, Protocol, ProtocolError,
    StreamOffset,
};

/// Between two inputs: four entries of the queue, the failed frame's Discard, GOAWAY, ERROR, Close.
const MAX_OUTPUTS: usize = 8;

/// Events of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The server's protocol and limits.
    pub protocol: Either,
    /// Bytes the peer sends. Those that no operation receives never arrive.
    pub stream: Vec<u8>,
    /// Events, in order.
    pub ops: Vec<Op>,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The next bytes of the stream arrive in one piece: this many, or what is left.
    Receive(usize),
    /// The peer's FIN arrives.
    Eof,
    /// The server shuts down.
    Drain,
    /// The server has no room.
    Busy,
    /// Time passes, and the connection is asked whether something is due.
    Elapse(Duration),
}

impl Script {
    /// The script with everything that arrives between two other operations cut into pieces of this
    /// length.
    pub fn recut(&self, piece: usize) -> Self {
        let received = |op: &Op| if let Op::Receive(length) = *op { Some(length) } else { None };
        let ops = recut(&self.ops, self.stream.len(), piece, received, Op::Receive);
        Self { ops, ..self.clone() }
    }
}

/// Replaces the operations that receive, of a stream of so many bytes, by others: everything that
/// arrives between two other operations comes in pieces of this length.
pub(super) fn recut<Op: Clone>(
    ops: &[Op],
    bytes: usize,
    piece: usize,
    received: impl Fn(&Op) -> Option<usize>,
    receive: impl Fn(usize) -> Op,
) -> Vec<Op> {
    let (mut left, mut arriving) = (bytes, 0);
    let mut recut = Vec::with_capacity(ops.len() + bytes.div_ceil(piece));
    let cut = |arrived: usize, recut: &mut Vec<Op>| {
        let starts = (0..arrived).step_by(piece);
        recut.extend(starts.map(|start| receive(piece.min(arrived - start))));
    };
    for op in ops {
        if let Some(length) = received(op) {
            arriving += length.min(left);
            left -= length.min(left);
        } else {
            cut(std::mem::take(&mut arriving), &mut recut);
            recut.push(op.clone());
        }
    }
    cut(arriving, &mut recut);
    recut
}

/// Runs a script and returns how it came out.
///
/// # Panics
///
/// When the connection breaks its contract or differs from the oracle.
pub fn check(script: &Script) -> Outcome {
    let mut run = Run::new(script.protocol);
    let mut rest = &script.stream[..];
    for op in &script.ops {
        match *op {
            Op::Receive(length) => {
                let (piece, later) = rest.split_at(length.min(rest.len()));
                rest = later;
                run.oracle.receive(piece);
                run.receive(piece);
            }
            Op::Eof => {
                run.oracle.end();
                run.tell(Input::Eof);
            }
            Op::Drain => {
                run.oracle.drain();
                run.tell(Input::Drain);
            }
            Op::Busy => {
                run.oracle.refuse_as_busy();
                run.tell(Input::Busy);
            }
            Op::Elapse(time) => {
                run.now += time;
                run.oracle.elapse(time);
                run.tell(Input::Timeout);
            }
        }
        run.compare(op);
    }
    assert_eq!(&run.seen, run.oracle.outcome(), "at the end");
    run.seen
}

/// Runs a script as it is, whole and byte by byte.
///
/// # Panics
///
/// As [`check_cuts`].
pub fn check_any_cut(script: &Script) -> Outcome {
    check_cuts(script, &[usize::MAX, 1])
}

/// Runs a script as it is and cut into pieces of each of these lengths.
///
/// # Panics
///
/// As [`check`], and when two come out differently.
pub fn check_cuts(script: &Script, pieces: &[usize]) -> Outcome {
    let outcome = check(script);
    for &piece in pieces {
        let cut = check(&script.recut(piece));
        assert_eq!(outcome, cut, "the result depends on the cuts ({piece})");
    }
    outcome
}

struct Run {
    protocol: Either,
    connection: EitherConnection,
    oracle: Oracle,
    start: Instant,
    now: Instant,
    /// Everything handed over while the connection was open, consumed or not.
    offered: StreamOffset,
    seen: Outcome,
}

impl Run {
    fn new(protocol: Either) -> Self {
        let start = Instant::now();
        Self {
            protocol,
            connection: protocol.connection(),
            oracle: Oracle::new(protocol),
            start,
            now: start,
            offered: 0,
            seen: Outcome::default(),
        }
    }

    fn receive(&mut self, piece: &[u8]) {
        let was_closed = self.seen.close.is_some();
        if !was_closed {
            self.offered += piece.len() as u64;
        }
        let mut rest = piece;
        loop {
            let given = rest.len();
            match self.connection.handle_input(self.now, Input::Data(rest)) {
                Ok(consumed) => {
                    assert!(consumed <= given, "consumed {consumed} of {given} bytes");
                    assert!(consumed > 0 || given == 0, "took nothing although polled empty");
                    assert!(!was_closed || consumed == given, "a closed connection ignores data");
                    if !was_closed {
                        self.seen.accepted += consumed as u64;
                    }
                    rest = &rest[consumed..];
                    self.poll(self.seen.accepted);
                }
                Err(error) => return self.poll_error(error),
            }
            if rest.is_empty() {
                return;
            }
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        match self.connection.handle_input(self.now, input) {
            Ok(consumed) => {
                assert_eq!(consumed, 0, "{input:?} consumes no bytes");
                self.poll(self.seen.accepted);
            }
            Err(error) => self.poll_error(error),
        }
    }

    /// Polls to the end; no range may reach beyond `limit`.
    fn poll(&mut self, limit: StreamOffset) {
        for polled in 0.. {
            let Some(output) = self.connection.poll_output() else { return };
            assert!(polled < MAX_OUTPUTS, "more outputs than can wait: {output:?}");
            assert_eq!(self.seen.close, None, "after Close came {output:?}");
            match output {
                Output::Forward(range) => {
                    self.check_range(&range, limit);
                    self.seen.forward(range);
                }
                Output::Discard(range) => {
                    self.check_range(&range, limit);
                    self.seen.discard(range);
                }
                Output::Emit(bytes) => self.seen.sent.push(read_emitted(&bytes)),
                Output::Close(reason) => self.seen.close = Some(reason),
            }
        }
    }

    /// After an error comes what was queued before, then its ERROR (if the protocol has one) and
    /// its Close.
    fn poll_error(&mut self, error: ProtocolError) {
        assert_eq!(self.seen.error, None, "a second error");
        assert_eq!(self.seen.close, None, "an error after the end");
        self.seen.error = Some(error);
        self.poll(self.offered);
        self.seen.accepted = self.seen.covered();
        assert_eq!(self.seen.close, Some(CloseReason::Refused));
        let told = Sent::Error(error.code.to_wire(), error.sequence);
        match self.protocol {
            Either::Raw => assert!(!self.seen.sent.contains(&told), "raw has no ERROR"),
            Either::Framed(_) => assert_eq!(self.seen.sent.last(), Some(&told)),
        }
    }

    fn check_range(&self, range: &Range<StreamOffset>, limit: StreamOffset) {
        assert!(range.start < range.end, "empty range {range:?}");
        assert_eq!(range.start, self.seen.covered(), "range {range:?} leaves a gap or overlaps");
        assert!(range.end <= limit, "range {range:?} runs ahead of the stream at {limit}");
    }

    /// Looks at the last of what was seen: the rest was the last before, and is looked at once more
    /// at the end.
    fn compare(&self, op: &Op) {
        let undecided = self.seen.accepted - self.seen.covered();
        assert!(undecided <= self.protocol.max_undecided() as u64, "{undecided} undecided bytes");
        assert_eq!(self.seen.last(), self.oracle.outcome().last(), "after {op:?}");
        let deadline = self.connection.deadline().map(|deadline| deadline - self.start);
        assert_eq!(deadline, self.oracle.deadline(), "deadline after {op:?}");
    }
}

/// Reads a frame of the server's own, which must be valid.
fn read_emitted(frame: &[u8]) -> Sent {
    let fields = Fields::read(frame).expect("an emitted frame has a header");
    let payload = &frame[HEADER..];
    assert_eq!((fields.magic, fields.version), (*b"RB", 1), "in {frame:?}");
    assert_eq!(fields.length as usize, payload.len(), "length in {frame:?}");
    assert_eq!(fields.checksum, fields.right_checksum(payload), "checksum in {frame:?}");
    match fields.kind {
        PONG => Sent::Pong(fields.sequence, payload.to_vec()),
        GOAWAY => {
            assert!(payload.is_empty(), "GOAWAY with a payload");
            Sent::GoAway(fields.sequence)
        }
        ERROR => Sent::Error(read_error(payload), fields.sequence),
        kind => panic!("a server emits no frame of kind {kind}"),
    }
}

fn read_error(payload: &[u8]) -> u16 {
    let (code, text) = payload.split_first_chunk().expect("an ERROR begins with its code");
    let text = std::str::from_utf8(text).expect("the text of an ERROR is UTF-8");
    assert!(!text.is_empty() && text.len() <= MAX_ERROR_TEXT, "text of {} bytes", text.len());
    let code = ErrorCode::from_wire(u16::from_be_bytes(*code)).expect("a code of the table");
    let is_of_label = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    assert!(code.name().bytes().all(is_of_label), "{code:?} cannot be a label");
    code.to_wire()
}
