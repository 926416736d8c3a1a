//! One connection of the native driver: which operations are in flight, which bytes wait for what.
//!
//! # The life of a received byte
//!
//! 1. A receive completes: the kernel gives up a buffer, its bytes arrive as a lease (or as a copy,
//!    while buffers are scarce) and join `undecided`.
//! 2. The protocol core sees them and forwards or discards ranges of the stream.
//! 3. Discarded parts are recycled. Forwarded ones move to `outgoing`.
//! 4. When no send is in flight, everything in `outgoing` moves into one batch and out.
//! 5. The send completes: what was sent is recycled, what was not goes back to the front of
//!    `outgoing`.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rustix::io::Errno;

use super::segments::Segments;
use super::session::Submission;
use super::slab::Key;
use crate::driver::Settings;
use crate::lifecycle::{Alarm, Fate, Lifecycle, Step};
use crate::protocol::{self, Input, Output};
use crate::sys::{Operation, Part, SendBatch, Token};

#[derive(Debug)]
pub(super) struct Connection {
    key: Key,
    protocol: protocol::Connection,
    lifecycle: Lifecycle,
    undecided: Segments,
    outgoing: VecDeque<Part>,
    /// The empty batch of the last send, kept for its memory.
    spare_batch: SendBatch,
    receive: Receive,
    send: Send,
    /// Whether the session already knows that [`Self::advance`] has something to do.
    pub(super) is_dirty: bool,
    pub(super) alarm: Alarm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receive {
    Idle,
    Armed,
    Cancelling,
    /// Waits for a buffer in the session's queue.
    Parked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Send {
    Idle,
    InFlight,
    Cancelling,
}

/// Where the submissions of a turn are collected.
pub(super) type Submissions = VecDeque<Submission>;

/// What is left of a connection after [`Connection::advance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Alive,
    /// Nothing names it any more: its slot can be freed.
    Gone,
}

impl Connection {
    pub(super) fn new(key: Key, now: Instant, settings: &Settings) -> Self {
        Self {
            key,
            protocol: settings.protocol.connection(),
            lifecycle: Lifecycle::new(now),
            undecided: Segments::default(),
            outgoing: VecDeque::new(),
            spare_batch: SendBatch::default(),
            receive: Receive::Idle,
            send: Send::Idle,
            is_dirty: false,
            alarm: Alarm::default(),
        }
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let of_protocol = self.protocol.deadline();
        self.lifecycle.deadline().into_iter().chain(of_protocol).min()
    }

    /// The outstanding receive ended; another may be armed.
    pub(super) fn receive_ended(&mut self) {
        self.receive = Receive::Idle;
    }

    /// The outstanding receive ended for want of a buffer.
    pub(super) fn park(&mut self) {
        self.receive = Receive::Parked;
    }

    /// A buffer may be there.
    pub(super) fn unpark(&mut self) {
        if self.receive == Receive::Parked {
            self.receive = Receive::Idle;
        }
    }

    /// `part` was received; `bytes` are its bytes.
    pub(super) fn handle_received(
        &mut self,
        now: Instant,
        part: Part,
        bytes: &[u8],
        settings: &Settings,
        submissions: &mut Submissions,
    ) {
        match self.lifecycle.received(now, part.len()) {
            Fate::Deliver => {
                self.undecided.push(part);
                self.feed(now, Input::Data(bytes), settings, submissions);
            }
            Fate::Ignore => release(part, submissions),
        }
    }

    /// The peer's FIN arrived.
    pub(super) fn handle_eof(
        &mut self,
        now: Instant,
        settings: &Settings,
        submissions: &mut Submissions,
    ) {
        self.lifecycle.peer_finished();
        self.feed(now, Input::Eof, settings, submissions);
    }

    /// The socket failed.
    pub(super) fn handle_failure(&mut self) {
        self.lifecycle.fail();
    }

    /// A send ended; returns how many bytes it sent.
    pub(super) fn handle_sent(
        &mut self,
        now: Instant,
        mut batch: SendBatch,
        result: Result<usize, Errno>,
        settings: &Settings,
        submissions: &mut Submissions,
    ) -> usize {
        self.send = Send::Idle;
        let sent = result.unwrap_or(0);
        let mut rest = sent;
        while rest > 0 {
            let part = batch.pop_at_most(rest).expect("no more is sent than was given");
            rest -= part.len();
            release(part, submissions);
        }
        while let Some(part) = batch.pop_last() {
            self.outgoing.push_front(part);
        }
        self.spare_batch = batch;
        self.lifecycle.sent(now, sent, &settings.limits);
        match result {
            Ok(_) | Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.lifecycle.fail(),
        }
        sent
    }

    /// The server shuts down.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        settings: &Settings,
        submissions: &mut Submissions,
    ) {
        self.lifecycle.drain(now, &settings.drain);
        self.feed(now, Input::Drain, settings, submissions);
    }

    /// The server ends at once.
    pub(super) fn abandon(&mut self) {
        self.lifecycle.abandon();
    }

    /// Acts on the deadlines that have passed.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        settings: &Settings,
        submissions: &mut Submissions,
    ) {
        self.lifecycle.handle_timeout(now);
        self.feed(now, Input::Timeout, settings, submissions);
    }

    /// Submits what the state calls for.
    pub(super) fn advance(&mut self, now: Instant, submissions: &mut Submissions) -> Progress {
        self.submit_send(submissions);
        match self.lifecycle.step() {
            Step::Continue => {}
            Step::SendFin => {
                submissions.push_back(Submission::ShutdownWrite { slot: self.key.slot });
                self.lifecycle.fin_sent(now);
            }
            Step::Close => return self.close(submissions),
        }
        match self.receive {
            Receive::Idle if self.lifecycle.wants_input() => {
                submissions.push_back(Submission::Receive(self.token(Operation::Receive)));
                self.receive = Receive::Armed;
            }
            Receive::Armed if !self.lifecycle.wants_input() => self.cancel_receive(submissions),
            _ => {}
        }
        Progress::Alive
    }

    /// Tells the protocol and carries out what it answers.
    fn feed(
        &mut self,
        now: Instant,
        mut input: Input<'_>,
        settings: &Settings,
        submissions: &mut Submissions,
    ) {
        while self.lifecycle.is_open() {
            let outcome = self.protocol.handle_input(now, input);
            while let Some(output) = self.protocol.poll_output() {
                self.carry_out(output, settings, submissions);
            }
            match (outcome, input) {
                (Ok(consumed), Input::Data(bytes)) if consumed < bytes.len() => {
                    input = Input::Data(&bytes[consumed..]);
                }
                (Ok(_), _) => return,
                (Err(_), _) => {
                    self.undecided.drain().for_each(|part| release(part, submissions));
                    return;
                }
            }
        }
    }

    fn carry_out(&mut self, output: Output, settings: &Settings, submissions: &mut Submissions) {
        let limits = &settings.limits;
        match output {
            Output::Forward(range) => {
                let length = (range.end - range.start) as usize;
                self.lifecycle.decided(length);
                self.lifecycle.queued(length, limits);
                self.undecided.take(range, |part| self.outgoing.push_back(part));
            }
            Output::Discard(range) => {
                self.lifecycle.decided((range.end - range.start) as usize);
                self.undecided.take(range, |part| release(part, submissions));
            }
            Output::Emit(bytes) => {
                self.lifecycle.queued(bytes.len(), limits);
                self.outgoing.push_back(Part::Owned(Bytes::copy_from_slice(&bytes)));
            }
            Output::Close(reason) => self.lifecycle.end(reason, limits),
        }
    }

    fn submit_send(&mut self, submissions: &mut Submissions) {
        if self.send != Send::Idle || self.outgoing.is_empty() || self.lifecycle.is_closed() {
            return;
        }
        let mut batch = std::mem::take(&mut self.spare_batch);
        while let Some(part) = self.outgoing.pop_front() {
            batch.push(part);
            if batch.is_full() {
                break;
            }
        }
        submissions.push_back(Submission::Send(self.token(Operation::Send), batch));
        self.send = Send::InFlight;
    }

    /// Cancels what is in flight; once nothing is, gives everything back.
    fn close(&mut self, submissions: &mut Submissions) -> Progress {
        if self.receive == Receive::Armed {
            self.cancel_receive(submissions);
        }
        if self.send == Send::InFlight {
            submissions.push_back(Submission::Cancel(self.token(Operation::Send)));
            self.send = Send::Cancelling;
        }
        if self.receive == Receive::Cancelling || self.send == Send::Cancelling {
            return Progress::Alive;
        }
        self.undecided.drain().for_each(|part| release(part, submissions));
        self.outgoing.drain(..).for_each(|part| release(part, submissions));
        submissions.push_back(Submission::Close { slot: self.key.slot });
        Progress::Gone
    }

    fn cancel_receive(&mut self, submissions: &mut Submissions) {
        submissions.push_back(Submission::Cancel(self.token(Operation::Receive)));
        self.receive = Receive::Cancelling;
    }

    fn token(&self, operation: Operation) -> Token {
        Token::new(operation, self.key.slot, self.key.generation)
    }
}

/// Gives up received or owned bytes.
fn release(part: Part, submissions: &mut Submissions) {
    if let Part::Leased(lease) = part {
        submissions.push_back(Submission::Recycle(lease));
    }
}
