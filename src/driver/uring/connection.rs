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

use rustix::io::Errno;

use super::outbox::{Outbox, Submission};
use super::receiving::Receiving;
use crate::driver::segments::{Segments, append};
use crate::driver::slab::Key;
use crate::driver::spill::OwnedMemory;
use crate::driver::{Account, Manner, Settings, failure};
use crate::lifecycle::{Alarm, Cause, Fate, Lifecycle, Permit, Probe, Step};
use crate::protocol::{self, Input, Output};
use crate::sys::{Operation, Owned, Part, SendBatch, Token};

#[derive(Debug)]
pub(super) struct Connection {
    key: Key,
    permit: Permit,
    protocol: protocol::Connection,
    lifecycle: Lifecycle,
    undecided: Segments,
    outgoing: VecDeque<Part>,
    /// The empty batch of the last send, kept for its memory.
    spare_batch: SendBatch,
    receiving: Receiving,
    send: Send,
    parts_in_flight: usize,
    owned: OwnedMemory,
    unsent_at_end: usize,
    /// Whether the session already knows that [`Self::advance`] has something to do.
    pub(super) is_dirty: bool,
    pub(super) alarm: Alarm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Send {
    Idle,
    InFlight,
    Cancelling,
}

/// What is left of a connection after [`Connection::advance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Alive,
    /// Nothing names it any more: its slot can be freed.
    Gone,
}

impl Connection {
    pub(super) fn new(key: Key, permit: Permit, now: Instant, settings: &Settings) -> Self {
        Self {
            key,
            permit,
            protocol: settings.protocol.connection(),
            lifecycle: Lifecycle::new(now),
            undecided: Segments::default(),
            outgoing: VecDeque::new(),
            spare_batch: SendBatch::default(),
            receiving: Receiving::new(),
            send: Send::Idle,
            parts_in_flight: 0,
            owned: OwnedMemory::default(),
            unsent_at_end: 0,
            is_dirty: false,
            alarm: Alarm::default(),
        }
    }

    pub(super) fn permit(&self) -> Permit {
        self.permit
    }

    pub(super) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// See [`OwnedMemory::spell`].
    pub(super) fn spell(&self) -> Option<u32> {
        self.owned.spell()
    }

    /// When [`Self::handle_timeout`] is due. A frame's time does not run while we do not read.
    pub(super) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        let is_reading = self.lifecycle.is_open() && !self.receiving.is_paused();
        let of_protocol = self.protocol.deadline().filter(|_| is_reading);
        self.lifecycle.deadline(&settings.limits).into_iter().chain(of_protocol).min()
    }

    /// See [`OwnedMemory::take_new_spell`].
    pub(super) fn take_new_spell(&mut self) -> Option<u32> {
        self.owned.take_new_spell()
    }

    /// Received bytes that were to be sent back and were not, once the connection is over.
    pub(super) fn unsent_at_end(&self) -> usize {
        self.unsent_at_end
    }

    fn unsent_echo(&self) -> usize {
        let is_echo = |part: &&Part| !matches!(part, Part::Owned(owned) if owned.is_our_own_word());
        self.outgoing.iter().filter(is_echo).map(Part::len).sum()
    }

    pub(super) fn receiving(&mut self) -> &mut Receiving {
        &mut self.receiving
    }

    /// `part` was received; `bytes` are its bytes.
    pub(super) fn handle_received(
        &mut self,
        now: Instant,
        part: Part,
        bytes: &[u8],
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        if let Part::Owned(copy) = &part {
            self.owned.add(copy, &mut outbox.owned);
        }
        self.receiving.took(part.len());
        match self.lifecycle.received(now, part.len()) {
            Fate::Deliver => {
                let saved = self.undecided.push(part);
                self.owned.refund(saved, &mut outbox.owned);
                self.feed(now, Input::Data(bytes), settings, outbox);
            }
            Fate::Ignore => outbox.release(part, &mut self.owned),
        }
    }

    /// The peer's FIN arrived.
    pub(super) fn handle_eof(&mut self, now: Instant, settings: &Settings, outbox: &mut Outbox) {
        self.lifecycle.peer_finished();
        self.feed(now, Input::Eof, settings, outbox);
    }

    /// A send ended; returns how many bytes it sent.
    pub(super) fn handle_sent(
        &mut self,
        now: Instant,
        mut batch: SendBatch,
        result: Result<usize, Errno>,
        outbox: &mut Outbox,
    ) -> usize {
        self.send = Send::Idle;
        self.parts_in_flight = 0;
        let sent = result.unwrap_or(0);
        let mut rest = sent;
        while rest > 0 {
            let first = batch.first_mut().expect("no more is sent than was given");
            if first.len() > rest {
                outbox.release_front(first, rest, &mut self.owned);
                break;
            }
            rest -= first.len();
            let part = batch.pop_first().expect("it was just looked at");
            outbox.release(part, &mut self.owned);
        }
        while let Some(part) = batch.pop_last() {
            self.outgoing.push_front(part);
        }
        self.spare_batch = batch;
        self.lifecycle.sent(now, sent);
        if let Err(error) = result {
            self.handle_failure(error);
        }
        sent
    }

    /// An operation failed. Some failures only say «again».
    pub(super) fn handle_failure(&mut self, error: Errno) {
        if let Some(cause) = failure::cause_of(error) {
            self.lifecycle.close(cause);
        }
    }

    /// The kernel says how the peer takes what is sent.
    pub(super) fn handle_probe(&mut self, now: Instant, probe: Probe, settings: &Settings) {
        self.lifecycle.probed(now, probe, &settings.limits);
    }

    /// The server shuts down, since `begun`.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        begun: Instant,
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        self.lifecycle.drain(now, begun, &settings.drain);
        self.feed(now, Input::Drain, settings, outbox);
    }

    /// There is no room for the connection, or none any more.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        cause: Cause,
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        self.lifecycle.refuse(cause);
        self.feed(now, Input::Busy, settings, outbox);
    }

    /// Ends the connection as it is.
    pub(super) fn close_for(&mut self, cause: Cause) {
        self.lifecycle.close(cause);
    }

    /// Ends the connection for want of memory.
    pub(super) fn evict(&mut self, now: Instant, settings: &Settings, outbox: &mut Outbox) {
        if self.lifecycle.unsent() > 0 {
            // A peer that does not read would not read an error either.
            self.close_for(Cause::Evicted);
        } else {
            self.refuse(now, Cause::Evicted, settings, outbox);
        }
        self.owned.go(&mut outbox.owned);
    }

    /// Acts on the deadlines that have passed.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        self.lifecycle.handle_timeout(now, &settings.limits);
        if !self.receiving.is_paused() {
            self.feed(now, Input::Timeout, settings, outbox);
        }
    }

    /// Submits what the state calls for.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        settings: &Settings,
        outbox: &mut Outbox,
    ) -> Progress {
        self.submit_send(outbox);
        self.lifecycle.throttle(self.backlog(), &settings.limits);
        loop {
            match self.lifecycle.step() {
                Step::Continue => break,
                Step::SendFin => {
                    outbox.push(Submission::ShutdownWrite { slot: self.key.slot });
                    self.lifecycle.fin_sent(now);
                }
                Step::Close => return self.close(outbox),
            }
        }
        if self.lifecycle.take_probe() {
            outbox.push(Submission::Probe { slot: self.key.slot });
        }
        let token = self.token(Operation::Receive);
        let wants_input = self.lifecycle.wants_input();
        self.receiving.advance(token, wants_input).into_iter().for_each(|it| outbox.push(it));
        if let Some(pause) = self.receiving.take_pause(now) {
            self.protocol.postpone_deadline(pause);
        }
        Progress::Alive
    }

    /// Tells the protocol, unless it has ended, and carries out what it answers.
    fn feed(
        &mut self,
        now: Instant,
        mut input: Input<'_>,
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        while self.lifecycle.is_open() {
            let outcome = self.protocol.handle_input(now, input);
            while let Some(output) = self.protocol.poll_output() {
                self.carry_out(now, output, settings, outbox);
            }
            match (outcome, input) {
                (Ok(consumed), Input::Data(bytes)) if consumed < bytes.len() => {
                    input = Input::Data(&bytes[consumed..]);
                }
                (Ok(_), _) => return,
                (Err(_), _) => {
                    self.release_undecided(outbox);
                    return;
                }
            }
        }
    }

    fn carry_out(
        &mut self,
        now: Instant,
        output: Output,
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        match output {
            Output::Forward(range) => {
                let length = (range.end - range.start) as usize;
                self.lifecycle.decided(length);
                self.lifecycle.queued(now, length);
                let mut saved = 0;
                self.undecided.take(range, |part| saved += append(&mut self.outgoing, part));
                self.owned.refund(saved, &mut outbox.owned);
            }
            Output::Discard(range) => {
                self.lifecycle.decided((range.end - range.start) as usize);
                self.undecided.take(range, |part| outbox.release(part, &mut self.owned));
            }
            Output::Emit(bytes) => {
                self.lifecycle.queued(now, bytes.len());
                let part = Owned::our_own_word(&bytes);
                self.owned.add(&part, &mut outbox.owned);
                let saved = append(&mut self.outgoing, Part::Owned(part));
                self.owned.refund(saved, &mut outbox.owned);
            }
            Output::Close(reason) => self.lifecycle.end(reason, &settings.limits),
        }
    }

    /// What waits to be sent, with what it costs to remember it.
    fn backlog(&self) -> usize {
        let parts = self.outgoing.len() + self.parts_in_flight;
        self.lifecycle.unsent() + parts * Owned::OVERHEAD
    }

    fn submit_send(&mut self, outbox: &mut Outbox) {
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
        if self.outgoing.is_empty() {
            self.outgoing.shrink_to(SendBatch::MAX_PARTS);
        }
        self.parts_in_flight = batch.parts().len();
        outbox.push(Submission::Send(self.token(Operation::Send), batch));
        self.send = Send::InFlight;
    }

    /// Cancels what is in flight; once nothing is, gives everything back.
    fn close(&mut self, outbox: &mut Outbox) -> Progress {
        let receive = self.token(Operation::Receive);
        self.receiving.cancel(receive).into_iter().for_each(|it| outbox.push(it));
        if self.send == Send::InFlight {
            outbox.push(Submission::Cancel(self.token(Operation::Send)));
            self.send = Send::Cancelling;
        }
        if self.receiving.is_in_flight() || self.send == Send::Cancelling {
            return Progress::Alive;
        }
        self.unsent_at_end = self.unsent_echo();
        self.release_undecided(outbox);
        self.outgoing.drain(..).for_each(|part| outbox.release(part, &mut self.owned));
        outbox.push(Submission::Close { slot: self.key.slot, manner: self.manner_of_close() });
        Progress::Gone
    }

    fn manner_of_close(&self) -> Manner {
        if self.lifecycle.answers_for_delivery() {
            return Manner::Accounting(Account {
                fin: usize::from(self.lifecycle.has_sent_fin()),
                is_abandoned: self.unsent_at_end > 0,
            });
        }
        Manner::of(self.lifecycle.cause())
    }

    fn release_undecided(&mut self, outbox: &mut Outbox) {
        self.undecided.drain().for_each(|part| outbox.release(part, &mut self.owned));
    }

    fn token(&self, operation: Operation) -> Token {
        Token::new(operation, self.key.slot, self.key.generation)
    }
}
