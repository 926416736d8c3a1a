//! One connection of a driver that receives into a buffer of its own and copies what has to wait.
//!
//! # The life of a received byte
//!
//! 1. The driver receives into a buffer and shows us the bytes.
//! 2. The protocol core sees them and forwards or discards ranges of the stream.
//! 3. What is forwarded while nothing waits before it is sent at once, from where it lies.
//! 4. What the socket does not take joins `outgoing`, and what the core has not decided on, part
//!    of a frame, joins `undecided`: both are copies.
//! 5. When the socket can take more, `outgoing` is sent from the front.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{Act, Interest};
use crate::driver::segments::{Segments, append};
use crate::driver::spill::{OwnedMemory, OwnedTotal};
use crate::driver::{Account, Manner, Settings, failure};
use crate::lifecycle::{Alarm, Cause, Fate, Lifecycle, Permit, Probe, Step};
use crate::protocol::{self, Input, Output};
use crate::sys::Owned;

/// Gives the socket bytes; says how many it took.
pub(in crate::driver) type Send<'a> = &'a mut dyn FnMut(&[u8]) -> Result<usize, Errno>;

#[derive(Debug)]
pub(super) struct Connection {
    permit: Permit,
    protocol: protocol::Connection,
    lifecycle: Lifecycle,
    undecided: Segments<Owned>,
    outgoing: VecDeque<Owned>,
    memory: OwnedMemory,
    /// Operations that hold the socket or memory of ours; drivers that wait for readiness have
    /// none.
    operations: Operations,
    /// Since when the peer has not been read.
    paused_since: Option<Instant>,
    unsent_at_end: usize,
    pub(super) is_dirty: bool,
    pub(super) alarm: Alarm,
}

/// Operations that the driver has begun and whose ends it will tell.
#[derive(Debug, Default)]
struct Operations {
    is_receiving: bool,
    is_sending: bool,
    is_interrupted: bool,
    /// A send was interrupted, which takes a FIN.
    is_shut_down: bool,
}

impl Operations {
    fn are_in_flight(&self) -> bool {
        self.is_receiving || self.is_sending
    }
}

impl Connection {
    pub(super) fn new(permit: Permit, now: Instant, settings: &Settings) -> Self {
        Self {
            permit,
            protocol: settings.protocol.connection(),
            lifecycle: Lifecycle::new(now),
            undecided: Segments::default(),
            outgoing: VecDeque::new(),
            memory: OwnedMemory::default(),
            operations: Operations::default(),
            paused_since: None,
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
        self.memory.spell()
    }

    /// See [`OwnedMemory::take_new_spell`].
    pub(super) fn take_new_spell(&mut self) -> Option<u32> {
        self.memory.take_new_spell()
    }

    /// Received bytes that were to be sent back and were not, once the connection is over.
    pub(super) fn unsent_at_end(&self) -> usize {
        self.unsent_at_end
    }

    /// When [`Self::handle_timeout`] is due. A frame's time does not run while we do not read.
    pub(super) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        let is_reading = self.lifecycle.is_open() && self.paused_since.is_none();
        let of_protocol = self.protocol.deadline().filter(|_| is_reading);
        self.lifecycle.deadline(&settings.limits).into_iter().chain(of_protocol).min()
    }

    /// These bytes were received; returns how many were sent on at once.
    pub(super) fn handle_received(
        &mut self,
        now: Instant,
        bytes: &[u8],
        settings: &Settings,
        total: &mut OwnedTotal,
        send: Send<'_>,
    ) -> usize {
        self.operations.is_receiving = false;
        match self.lifecycle.received(now, bytes.len()) {
            Fate::Deliver => {
                let mut fresh = Fresh { bytes, sent: 0, send };
                self.feed(now, Input::Data(bytes), &mut fresh, settings, total);
                let Fresh { bytes: rest, sent, .. } = fresh;
                if !rest.is_empty() && self.lifecycle.is_open() {
                    self.keep_undecided(rest, total);
                }
                sent
            }
            Fate::Ignore => 0,
        }
    }

    /// The peer's FIN arrived.
    pub(super) fn handle_eof(&mut self, now: Instant, settings: &Settings, total: &mut OwnedTotal) {
        self.operations.is_receiving = false;
        self.lifecycle.peer_finished();
        self.tell(now, Input::Eof, settings, total);
    }

    /// An operation failed. Some failures only say «again».
    pub(super) fn handle_failure(&mut self, error: Errno) {
        if let Some(cause) = failure::cause_of(error) {
            self.lifecycle.close(cause);
        }
    }

    /// A receive that the driver had begun ended without bytes.
    pub(super) fn receive_ended(&mut self) {
        self.operations.is_receiving = false;
    }

    /// The driver begins a receive and will tell its end.
    pub(super) fn begin_receive(&mut self) {
        self.operations.is_receiving = true;
    }

    /// Takes the front of what waits, for a send whose end the driver will tell.
    pub(super) fn begin_send(&mut self) -> Option<Owned> {
        if self.operations.is_sending {
            return None;
        }
        let part = self.outgoing.pop_front()?;
        self.operations.is_sending = true;
        Some(part)
    }

    /// The send of this part ended.
    pub(super) fn send_ended(
        &mut self,
        now: Instant,
        mut part: Owned,
        result: Result<usize, Errno>,
        total: &mut OwnedTotal,
    ) -> usize {
        self.operations.is_sending = false;
        let sent = result.unwrap_or(0);
        if sent == part.bytes().len() {
            self.memory.remove(&part, total);
        } else {
            if sent > 0 {
                self.memory.refund(part.drop_front(sent), total);
            }
            self.outgoing.push_front(part);
        }
        self.lifecycle.sent(now, sent);
        if let Err(error) = result {
            self.handle_failure(error);
        }
        sent
    }

    /// What waits to be sent, from the front.
    pub(super) fn outgoing(&self) -> impl Iterator<Item = &[u8]> {
        self.outgoing.iter().map(Owned::bytes)
    }

    /// The front of what waited was sent.
    pub(super) fn handle_sent(&mut self, now: Instant, sent: usize, total: &mut OwnedTotal) {
        self.lifecycle.sent(now, sent);
        let mut rest = sent;
        while rest > 0 {
            let first = self.outgoing.front_mut().expect("no more is sent than waited");
            if first.bytes().len() > rest {
                self.memory.refund(first.drop_front(rest), total);
                break;
            }
            rest -= first.bytes().len();
            let part = self.outgoing.pop_front().expect("it was just looked at");
            self.memory.remove(&part, total);
        }
        if self.outgoing.is_empty() {
            self.outgoing = VecDeque::new();
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
        total: &mut OwnedTotal,
    ) {
        self.lifecycle.drain(now, begun, &settings.drain);
        self.tell(now, Input::Drain, settings, total);
    }

    /// There is no room for the connection, or none any more.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        cause: Cause,
        settings: &Settings,
        total: &mut OwnedTotal,
    ) {
        self.lifecycle.refuse(cause);
        self.tell(now, Input::Busy, settings, total);
    }

    /// Ends the connection as it is.
    pub(super) fn close_for(&mut self, cause: Cause, total: &mut OwnedTotal) {
        self.lifecycle.close(cause);
        self.give_up(total);
    }

    /// Ends the connection for want of memory.
    pub(super) fn evict(&mut self, now: Instant, settings: &Settings, total: &mut OwnedTotal) {
        if self.lifecycle.unsent() > 0 {
            // A peer that does not read would not read an error either.
            self.close_for(Cause::Evicted, total);
        } else {
            self.refuse(now, Cause::Evicted, settings, total);
        }
        self.memory.go(total);
    }

    /// Acts on the deadlines that have passed.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        settings: &Settings,
        total: &mut OwnedTotal,
    ) {
        self.lifecycle.handle_timeout(now, &settings.limits);
        if self.paused_since.is_none() {
            self.tell(now, Input::Timeout, settings, total);
        }
    }

    /// What the driver has to do next.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        settings: &Settings,
        total: &mut OwnedTotal,
    ) -> Act {
        self.lifecycle.throttle(self.backlog(), &settings.limits);
        match self.lifecycle.step() {
            Step::Continue => {}
            Step::SendFin => {
                self.lifecycle.fin_sent(now);
                return Act::SendFin;
            }
            Step::Close => return self.close(total),
        }
        if self.lifecycle.take_probe() {
            return Act::Probe;
        }
        let interest = Interest {
            read: self.lifecycle.wants_input(),
            write: !self.outgoing.is_empty() && !self.operations.is_sending,
        };
        if let Some(pause) = self.end_pause(now, interest.read) {
            self.protocol.postpone_deadline(pause);
        }
        Act::Wait(interest)
    }

    /// Tells the protocol something that is not data.
    fn tell(
        &mut self,
        now: Instant,
        input: Input<'_>,
        settings: &Settings,
        total: &mut OwnedTotal,
    ) {
        let mut nothing = Fresh { bytes: &[], sent: 0, send: &mut |_| Ok(0) };
        self.feed(now, input, &mut nothing, settings, total);
    }

    /// Tells the protocol, unless it has ended, and carries out what it answers.
    fn feed(
        &mut self,
        now: Instant,
        mut input: Input<'_>,
        fresh: &mut Fresh<'_>,
        settings: &Settings,
        total: &mut OwnedTotal,
    ) {
        while self.lifecycle.is_open() {
            let outcome = self.protocol.handle_input(now, input);
            while let Some(output) = self.protocol.poll_output() {
                self.carry_out(now, output, fresh, settings, total);
            }
            match (outcome, input) {
                (Ok(consumed), Input::Data(bytes)) if consumed < bytes.len() => {
                    input = Input::Data(&bytes[consumed..]);
                }
                (Ok(_), _) => return,
                (Err(_), _) => {
                    self.release_undecided(total);
                    return;
                }
            }
        }
    }

    fn carry_out(
        &mut self,
        now: Instant,
        output: Output,
        fresh: &mut Fresh<'_>,
        settings: &Settings,
        total: &mut OwnedTotal,
    ) {
        match output {
            Output::Forward(range) => {
                let length = (range.end - range.start) as usize;
                self.lifecycle.decided(length);
                self.lifecycle.queued(now, length);
                let (mut saved, outgoing) = (0, &mut self.outgoing);
                let of_fresh =
                    self.undecided.take_kept(range, |part| saved += append(outgoing, part));
                self.memory.refund(saved, total);
                self.forward(now, fresh, of_fresh, total);
            }
            Output::Discard(range) => {
                self.lifecycle.decided((range.end - range.start) as usize);
                let memory = &mut self.memory;
                let of_fresh = self.undecided.take_kept(range, |part| memory.remove(&part, total));
                fresh.take(of_fresh);
            }
            Output::Emit(bytes) => {
                self.lifecycle.queued(now, bytes.len());
                self.queue(Owned::our_own_word(&bytes), total);
            }
            Output::Close(reason) => self.lifecycle.end(reason, &settings.limits),
        }
    }

    /// Sends fresh bytes on if nothing waits before them, and keeps what is not taken.
    fn forward(
        &mut self,
        now: Instant,
        fresh: &mut Fresh<'_>,
        length: usize,
        total: &mut OwnedTotal,
    ) {
        let bytes = fresh.take(length);
        let may_overtake = self.outgoing.is_empty() && !self.operations.is_sending;
        let mut sent = 0;
        if may_overtake && !bytes.is_empty() {
            match (fresh.send)(bytes) {
                Ok(length) => sent = length,
                Err(error) => self.handle_failure(error),
            }
            fresh.sent += sent;
            self.lifecycle.sent(now, sent);
        }
        if sent < bytes.len() {
            self.queue(Owned::copy_of(&bytes[sent..]), total);
        }
    }

    fn queue(&mut self, part: Owned, total: &mut OwnedTotal) {
        self.memory.add(&part, total);
        let saved = append(&mut self.outgoing, part);
        self.memory.refund(saved, total);
    }

    fn keep_undecided(&mut self, bytes: &[u8], total: &mut OwnedTotal) {
        let part = Owned::copy_of(bytes);
        self.memory.add(&part, total);
        let saved = self.undecided.push(part);
        self.memory.refund(saved, total);
    }

    /// What waits to be sent, with what it costs to remember it.
    fn backlog(&self) -> usize {
        let parts = self.outgoing.len() + usize::from(self.operations.is_sending);
        self.lifecycle.unsent() + parts * Owned::OVERHEAD
    }

    /// Keeps account of the time in which the peer is not read; returns a pause that just ended.
    fn end_pause(&mut self, now: Instant, is_read: bool) -> Option<Duration> {
        if is_read {
            return self.paused_since.take().map(|since| now.saturating_duration_since(since));
        }
        self.paused_since.get_or_insert(now);
        None
    }

    /// Ends what is in flight; once nothing is, gives everything back.
    fn close(&mut self, total: &mut OwnedTotal) -> Act {
        if self.operations.are_in_flight() {
            let is_interrupted = std::mem::replace(&mut self.operations.is_interrupted, true);
            let is_sending = self.operations.is_sending;
            self.operations.is_shut_down |= is_sending && !is_interrupted;
            return if is_interrupted {
                Act::Wait(Interest::NONE)
            } else {
                Act::Interrupt { is_sending }
            };
        }
        self.give_up(total);
        Act::Close(self.manner_of_close())
    }

    fn manner_of_close(&self) -> Manner {
        if self.lifecycle.answers_for_delivery() {
            return Manner::Accounting(Account {
                fin: usize::from(self.lifecycle.has_sent_fin() || self.operations.is_shut_down),
                is_abandoned: self.unsent_at_end > 0,
            });
        }
        Manner::of(self.lifecycle.cause())
    }

    /// Frees what waits; what of it was to be sent counts as not sent.
    fn give_up(&mut self, total: &mut OwnedTotal) {
        self.unsent_at_end += self.outgoing.iter().map(echo_bytes).sum::<usize>();
        self.outgoing.drain(..).for_each(|part| self.memory.remove(&part, total));
        self.release_undecided(total);
    }

    fn release_undecided(&mut self, total: &mut OwnedTotal) {
        self.undecided.drain().for_each(|part| self.memory.remove(&part, total));
    }
}

/// Bytes of a part that the peer sent.
fn echo_bytes(part: &Owned) -> usize {
    if part.is_our_own_word() { 0 } else { part.bytes().len() }
}

/// Bytes just received that the core has not decided on, still in the driver's buffer.
struct Fresh<'a> {
    bytes: &'a [u8],
    /// How many were sent on.
    sent: usize,
    send: Send<'a>,
}

impl<'a> Fresh<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        taken
    }
}
