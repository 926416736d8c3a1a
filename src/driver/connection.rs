//! One connection, whatever its driver: which bytes wait for what, and what to do next.
//!
//! # The life of a received byte
//!
//! 1. The driver receives it into a buffer; it arrives as a lease and joins `received`.
//! 2. When the connection has its turn the protocol core sees it, and forwards or discards ranges
//!    of the stream. A turn has a budget, so that one peer's many small frames do not make others
//!    wait.
//! 3. Discarded parts are released. Forwarded ones move to `outgoing`.
//! 4. The driver takes parts from `outgoing` and sends what the socket takes at once.
//! 5. What was sent is released, what was not goes back to the front of `outgoing`. What then waits
//!    for the peer is copied out of its buffer, unless it fills a good part of that.
//!
//! Bulk that the core need not see takes another way, past memory: `splicing`.
//!
//! # States
//!
//! A connection is the product of four things: the core, its [`Lifecycle`], what was received and
//! what is to be sent. The phase of the lifecycle determines which of the others are possible when
//! it is the connection's turn; [`Connection::assert_possible`] fails on all else.
//!
//! | phase | core | `received` | `outgoing`, `sending` | leads to |
//! | --- | --- | --- | --- | --- |
//! | open | open | anything: unseen bytes, part of a frame; nothing while a pipe takes in | anything, nothing of it before what a pipe holds | flushing when the core closes, or the peer is idle or silent; closed by a failure, a stall, an eviction |
//! | flushing | closed, or not asked any more | nothing | what is left of the answers | lingering when all is sent and our FIN is out; closed when the peer has finished and has everything |
//! | lingering | as before | nothing: input is dropped | nothing: FIN comes last | closed when the peer has finished or its time is up, and it has everything |
//! | closed | as before | nothing | `outgoing` nothing, `sending` what is in flight | the end, when nothing is in flight |

mod bulk;

use std::time::Instant;

use rustix::io::Errno;

use super::buffers::Buffers;
use super::received::Received;
use super::slab::Key;
use super::spill::{Holding, Spill};
use super::splicing::Splicing;
use super::{Settings, failure};
use crate::lifecycle::{self, Alarm, Cause, Lifecycle, OnReceive, Permit, Probe, earliest};
use crate::protocol::{self, Input, Output, Tally};
use crate::sys::{Owned, Part, Parts, Stretch};

/// A connection. `C` is its protocol core, `L` a lease of the driver's buffers, `T` what the driver
/// knows of its socket.
#[derive(Debug)]
pub(super) struct Connection<C, L, T> {
    pub(super) transport: T,
    permit: Permit,
    core: C,
    lifecycle: Lifecycle,
    received: Received<L>,
    /// The peer's FIN arrived, and the core learns of it after what came before.
    is_eof_due: bool,
    outgoing: Parts<L>,
    sending: Sending,
    splicing: Splicing,
    /// Calls of the core in this turn.
    calls: usize,
    /// Since when the peer has not been read.
    paused_since: Option<Instant>,
    unsent_at_end: usize,
    holding: Holding,
    /// True if the worker already knows that [`Self::advance`] has something to do.
    pub(super) is_dirty: bool,
    pub(super) alarm: Alarm,
}

/// Bytes that the driver took to send and has not reported on.
#[derive(Debug, Default)]
struct Sending {
    parts: usize,
    charge: usize,
    /// Bytes of it that the lifecycle takes for sent.
    assumed: usize,
}

/// Next operation that a connection needs of its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing but this, until something happens.
    Wait(Interest),
    /// Ask the kernel how the peer takes what is sent.
    Probe,
    /// Send FIN.
    SendFin,
    /// Close the socket, once nothing is in flight for it.
    Close(CloseMode),
}

/// Events that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// How to close a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseMode {
    /// The kernel goes on delivering what it has.
    Plain,
    /// As [`Plain`](Self::Plain), and unacknowledged bytes count as lost: the server will not be
    /// there to see them delivered.
    Accounting,
    /// Reset, so that a peer that takes nothing costs the kernel nothing.
    Reset,
}

/// Calls of the core in one turn. With eight frames a call, the smallest ones of a turn take some
/// 10 µs.
const MAX_CALLS_PER_TURN: usize = 16;

/// How much of what was received the core is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// As much as the turn's budget and the high-water mark allow.
    OneTurn,
    Everything,
}

impl<C: protocol::Connection, L: Stretch, T> Connection<C, L, T> {
    pub(super) fn new(transport: T, permit: Permit, core: C, now: Instant) -> Self {
        Self {
            transport,
            permit,
            core,
            lifecycle: Lifecycle::new(now),
            received: Received::default(),
            is_eof_due: false,
            outgoing: Parts::default(),
            sending: Sending::default(),
            splicing: Splicing::default(),
            calls: 0,
            paused_since: None,
            unsent_at_end: 0,
            holding: Holding::default(),
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

    /// Frames and errors that the core has seen since it was last asked.
    pub(super) fn take_tally(&mut self) -> Tally {
        self.core.take_tally()
    }

    /// Received bytes that were to be sent back and were not, once the connection is over.
    pub(super) fn unsent_at_end(&self) -> usize {
        self.unsent_at_end
    }

    /// Bytes of our own memory that the connection keeps.
    pub(super) fn charge(&self) -> usize {
        self.received.parts().charge() + self.outgoing.charge() + self.sending.charge
    }

    /// Brings what `spill` knows of this connection up to date.
    pub(super) fn account(&mut self, spill: &mut Spill, now: Instant, key: Key) {
        let (charge, has_ended) = (self.charge(), self.lifecycle.is_closed());
        spill.update(now, key, &mut self.holding, charge, has_ended);
    }

    /// When [`Self::handle_timeout`] is due. A frame's time does not run while we do not read.
    pub(super) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        let of_protocol = self.core.deadline().filter(|_| self.is_reading());
        earliest(self.lifecycle.deadline(&settings.limits), of_protocol)
    }

    /// Returns whether the budget of the last turn left something to do.
    pub(super) fn has_work_left(&self) -> bool {
        self.may_work() && !self.lifecycle.is_throttled()
    }

    /// Bytes were received.
    pub(super) fn handle_received(
        &mut self,
        now: Instant,
        lease: L,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        if self.core.is_transparent() {
            self.splicing.received(lease.len(), settings.splice);
        }
        match self.lifecycle.received(now, lease.len()) {
            OnReceive::Deliver => self.received.push(Part::Leased(lease)),
            OnReceive::Drop => buffers.release(lease),
        }
    }

    /// The peer's FIN arrived.
    pub(super) fn handle_eof(&mut self) {
        self.lifecycle.peer_finished();
        self.is_eof_due = true;
    }

    /// Takes the front of what waits to be sent, at most `max_parts` parts of it.
    pub(super) fn take_outgoing(&mut self, max_parts: usize) -> Parts<L> {
        assert!(self.sending.parts == 0, "one send at a time");
        let parts = self.outgoing.take(max_parts);
        self.sending = Sending { parts: parts.count(), charge: parts.charge(), assumed: 0 };
        parts
    }

    /// Returns whether nothing that the connection does next waits for the end of its send.
    pub(super) fn may_assume_sent(&self) -> bool {
        self.lifecycle.is_open()
            && !self.is_eof_due
            && self.outgoing.is_empty()
            && !self.lifecycle.is_throttled()
            && !self.splicing.is_due()
    }

    /// The send in flight counts as whole until it is reported otherwise: its end ends no wait, and
    /// deadlines are those of a connection that has sent everything.
    pub(super) fn assume_sent(&mut self, now: Instant) {
        self.sending.assumed = self.lifecycle.unsent();
        self.lifecycle.sent(now, self.sending.assumed);
    }

    fn take_back_assumption(&mut self, now: Instant) {
        self.lifecycle.not_sent(now, std::mem::take(&mut self.sending.assumed));
    }

    /// The send of these parts ended; returns how many of their bytes were sent.
    pub(super) fn handle_sent(
        &mut self,
        now: Instant,
        mut parts: Parts<L>,
        result: Result<usize, Errno>,
        buffers: &mut impl Buffers<Lease = L>,
    ) -> usize {
        let Sending { assumed, .. } = std::mem::take(&mut self.sending);
        let sent = result.unwrap_or(0);
        parts.discard_front(sent, |lease| buffers.release(lease));
        self.outgoing.prepend(parts);
        if assumed > 0 {
            self.lifecycle.not_sent(now, assumed - sent);
        } else {
            self.lifecycle.sent(now, sent);
        }
        if let Err(error) = result {
            self.handle_failure(error);
        }
        sent
    }

    /// An operation failed. Some failures only mean «again».
    pub(super) fn handle_failure(&mut self, error: Errno) {
        if let Some(cause) = failure::cause_of(error) {
            self.lifecycle.close(cause);
        }
    }

    /// The kernel reports how the peer takes what is sent.
    pub(super) fn handle_probe(&mut self, now: Instant, probe: Probe, settings: &Settings) {
        self.lifecycle.probed(now, probe, &settings.limits);
    }

    /// The turn is over: what waits is kept, and the next turn has a budget of its own.
    pub(super) fn end_turn(
        &mut self,
        now: Instant,
        is_reading: bool,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        self.is_dirty = false;
        self.calls = 0;
        self.set_reading(now, is_reading);
        self.copy_out(buffers);
    }

    /// Grants another turn at once, since what is left over would take memory that is short.
    pub(super) fn extend_turn(&mut self) {
        self.calls = 0;
    }

    /// Starts or pauses reading the peer: a pause is added to its frame's time.
    fn set_reading(&mut self, now: Instant, is_reading: bool) {
        if !is_reading {
            self.paused_since.get_or_insert(now);
        } else if let Some(since) = self.paused_since.take() {
            self.lifecycle.not_read(now);
            self.core.postpone_deadline(now.saturating_duration_since(since));
        }
    }

    /// The server shuts down, since `started`.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        started: Instant,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        self.lifecycle.drain(now, started, &settings.drain);
        self.notify(now, Input::Drain, settings, buffers);
    }

    /// There is no room for the connection, or none any more.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        cause: Cause,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        self.lifecycle.refuse(cause);
        self.notify(now, Input::Busy, settings, buffers);
    }

    /// Ends the connection as it is.
    pub(super) fn abandon(
        &mut self,
        now: Instant,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        // What the core would have sent back counts as lost.
        self.work(now, Work::Everything, settings, buffers);
        self.lifecycle.close(Cause::Abandoned);
        self.give_up(buffers);
    }

    /// Ends the connection for want of memory: with a word, unless its peer would not read that
    /// either, or had it.
    pub(super) fn evict(
        &mut self,
        now: Instant,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        if self.lifecycle.is_open() && self.lifecycle.unsent() == 0 {
            self.refuse(now, Cause::Evicted, settings, buffers);
        } else {
            self.lifecycle.close(Cause::Evicted);
            self.give_up(buffers);
        }
    }

    /// Acts on the deadlines that have passed.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        // What arrived in time is looked at before the time is.
        self.work(now, Work::Everything, settings, buffers);
        if self.paused_since.is_some() {
            self.lifecycle.not_read(now);
        }
        self.lifecycle.handle_timeout(now, &settings.limits);
        if self.is_reading() {
            self.notify(now, Input::Timeout, settings, buffers);
        }
    }

    /// Returns what the driver has to do next. To be asked again until it is to wait or to close.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) -> Action {
        self.work(now, Work::OneTurn, settings, buffers);
        if !self.lifecycle.is_open() {
            self.take_back_assumption(now);
            self.splicing.leave();
            self.received.clear(|lease| buffers.release(lease));
        }
        if self.lifecycle.is_closed() {
            self.give_up(buffers);
        }
        self.assert_possible();
        match self.lifecycle.action() {
            lifecycle::Action::Continue => {}
            lifecycle::Action::SendFin => {
                self.lifecycle.fin_sent(now);
                return Action::SendFin;
            }
            lifecycle::Action::Close => return Action::Close(self.close_mode()),
        }
        if self.lifecycle.take_probe() {
            return Action::Probe;
        }
        Action::Wait(Interest {
            read: self.lifecycle.wants_input() && !self.may_work(),
            // What was received since is behind what the pipe holds.
            write: !self.outgoing.is_empty() && self.splicing.held() == 0,
        })
    }

    /// Copies what waits out of the buffers that it may not stay in.
    fn copy_out(&mut self, buffers: &mut impl Buffers<Lease = L>) {
        for parts in [self.received.parts_mut(), &mut self.outgoing] {
            let must_go = |part: &Part<L>| match part {
                Part::Leased(lease) => !buffers.may_stay(lease.len()),
                Part::Owned(_) => false,
            };
            if !parts.iter().any(must_go) {
                continue;
            }
            parts.replace(|part| match part {
                Part::Leased(lease) if !buffers.may_stay(lease.len()) => {
                    let copy = Owned::copy_of(buffers.bytes(&lease));
                    buffers.release(lease);
                    Part::Owned(copy)
                }
                part => part,
            });
        }
    }

    fn is_reading(&self) -> bool {
        self.lifecycle.is_open() && self.paused_since.is_none()
    }

    /// Returns whether the core may have something left to see.
    fn may_work(&self) -> bool {
        self.lifecycle.is_open() && self.received.has_unseen()
    }

    /// Shows the core what it has not seen and carries out what it answers.
    fn work(
        &mut self,
        now: Instant,
        work: Work,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        self.lifecycle.throttle(self.backlog(), &settings.limits);
        while self.may_work() {
            let must_wait = self.calls >= MAX_CALLS_PER_TURN || self.lifecycle.is_throttled();
            if work == Work::OneTurn && must_wait {
                return;
            }
            self.calls += 1;
            let bytes = self.received.unseen(buffers);
            // Of an error the core tells the peer with the outputs that it ends with.
            let consumed = self.core.handle_input(now, Input::Data(bytes)).unwrap_or(0);
            self.received.advance(consumed);
            self.carry_out(now, settings, buffers);
            self.lifecycle.throttle(self.backlog(), &settings.limits);
        }
        if std::mem::take(&mut self.is_eof_due) {
            self.notify(now, Input::Eof, settings, buffers);
        }
    }

    /// Tells the core, unless it has ended, something that is not data.
    fn notify(
        &mut self,
        now: Instant,
        input: Input<'_>,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        if self.lifecycle.is_open() {
            let _ = self.core.handle_input(now, input);
            self.carry_out(now, settings, buffers);
        }
    }

    fn carry_out(
        &mut self,
        now: Instant,
        settings: &Settings,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Forward(range) => {
                    let length = (range.end - range.start) as usize;
                    self.lifecycle.decided(length);
                    self.lifecycle.queued(now, length);
                    self.received.take(range, |part| self.outgoing.push(part));
                }
                Output::Discard(range) => {
                    self.lifecycle.decided((range.end - range.start) as usize);
                    self.received.discard(range, |lease| buffers.release(lease));
                }
                Output::Emit(bytes) => {
                    self.lifecycle.queued_control(now, bytes.len());
                    self.outgoing.push(Part::Owned(Owned::control(&bytes)));
                }
                Output::Close(reason) => self.lifecycle.end(reason, &settings.limits),
            }
        }
    }

    /// Bytes that wait to be sent, with what it costs to remember them.
    fn backlog(&self) -> usize {
        let parts = self.outgoing.count() + self.sending.parts;
        self.lifecycle.unsent() + parts * Owned::OVERHEAD
    }

    /// See the table of states at the top of this file.
    fn assert_possible(&self) {
        if self.lifecycle.is_open() {
            return;
        }
        assert!(self.received.parts().is_empty(), "what is not answered is not kept");
        if self.lifecycle.has_sent_fin() || self.lifecycle.is_closed() {
            let is_kept = !self.outgoing.is_empty() || self.splicing.held() > 0;
            assert!(!is_kept, "nothing is sent after FIN, or kept by who is over");
        }
        if self.lifecycle.has_sent_fin() {
            assert!(self.sending.parts == 0, "FIN comes last");
        }
    }

    fn close_mode(&self) -> CloseMode {
        if self.lifecycle.answers_for_delivery() {
            CloseMode::Accounting
        } else if self.lifecycle.is_cut() {
            CloseMode::Reset
        } else {
            CloseMode::Plain
        }
    }

    /// Frees what waits; what of it was to be sent back counts as not sent.
    fn give_up(&mut self, buffers: &mut impl Buffers<Lease = L>) {
        let is_echo = |part: &&Part<L>| !matches!(part, Part::Owned(owned) if owned.is_control());
        self.unsent_at_end += self.outgoing.iter().filter(is_echo).map(Part::len).sum::<usize>();
        self.unsent_at_end += self.splicing.give_up();
        let length = self.outgoing.len();
        self.outgoing.discard_front(length, |lease| buffers.release(lease));
        self.received.clear(|lease| buffers.release(lease));
    }
}

#[cfg(test)]
mod tests;
