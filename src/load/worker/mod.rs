//! One generator thread's event loop: sends what is due, receives, records.
//!
//! The life of a message: it becomes due (closed loop: a slot is free; open loop: its intended
//! time has come), it is sent or waits for a slot, its reply is read and checked, *the next one is
//! sent*, and only when all sockets had their turn is it recorded.
//!
//! This file waits, and sends on time; [`traffic`] is what goes on over a connection, [`renewal`]
//! how one replaces another.

mod renewal;
mod traffic;

use std::io;
use std::mem;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::clock::Clock;
use super::connection::Sent;
use super::content::Content;
use super::deadlines::Deadlines;
use super::dial::Dialer;
use super::lane::{Lane, State};
use super::observer::Counters;
use super::orders::Orders;
use super::poller::{Events, Poller, Readiness};
use super::recorder::Recorder;
use super::schedule::Schedule;
use super::seconds::Giver;
use super::wire::RECEIVE_CHUNK;

/// Messages sent on time's demand before replies are looked at again.
const DUE_PER_TURN: usize = 64;
/// Messages of a thread that may wait for a slot (32 MiB of times); what is due beyond that is
/// counted as unsent at once.
const BACKLOG_LIMIT: usize = 4 << 20;

/// What decides when a message is due.
pub(super) enum Pace {
    /// A free slot.
    Closed,
    /// The clock.
    Open {
        schedule: Schedule,
        /// How long the thread polls instead of sleeping: before a message is due, so that it is
        /// sent on time, and after one was sent, so that its reply is seen when it comes.
        spin_ns: u64,
    },
}

/// What a worker is made of.
pub(super) struct Parts<'run> {
    pub(super) poller: Poller,
    pub(super) lanes: Vec<Lane>,
    /// How connections are replaced, if they are.
    pub(super) renewal: Option<Renewal<'run>>,
    pub(super) content: &'run Content,
    pub(super) pace: Pace,
    /// What the worker is told while it runs.
    pub(super) orders: &'run Orders,
    pub(super) recorder: Recorder,
    /// Takes the histograms of each second.
    pub(super) giver: Giver,
    /// How long replies are awaited after the measured window, and a server's FIN after ours.
    pub(super) timeout_ns: u64,
    /// Where others read how far it is.
    pub(super) counters: &'run Counters,
}

/// What makes the connections that replace others.
pub(super) struct Renewal<'run> {
    pub(super) dialer: &'run Dialer,
    /// How many the run began with.
    pub(super) all_connections: usize,
}

pub(super) struct Worker<'run> {
    poller: Poller,
    events: Events,
    lanes: Vec<Lane>,
    renewal: Option<Renewal<'run>>,
    deadlines: Deadlines,
    /// Lanes that are not gone.
    alive: usize,
    /// Connections that wait for the server's FIN, having carried their share.
    closing: usize,
    /// The lane that the next due message goes to, if it is not gone.
    turn: usize,
    content: &'run Content,
    pace: Pace,
    orders: &'run Orders,
    /// When the measured window ends: nothing is intended from then on.
    end_ns: u64,
    clock: Clock,
    timeout_ns: u64,
    /// The clock as last read.
    now_ns: u64,
    /// Open loop: until when replies are polled for.
    poll_until_ns: u64,
    /// Whether anything was done since the last wait, so that the clock has to be read.
    has_worked: bool,
    /// Whether whoever watches has seen the measured window end.
    is_released: bool,
    /// Whether nothing is to be awaited any more.
    is_aborted: bool,
    /// Sums over the lanes.
    in_flight: usize,
    backlog: usize,
    buffer: Box<[u8]>,
    /// Messages whose replies are complete and not yet recorded, and when they were.
    answered: Vec<(Sent, u64)>,
    recorder: Recorder,
    giver: Giver,
    counters: &'run Counters,
}

impl<'run> Worker<'run> {
    /// A worker whose lanes are registered with its poller in their order.
    pub(super) fn new(parts: Parts<'run>, clock: Clock) -> Self {
        Self {
            poller: parts.poller,
            events: Events::default(),
            alive: parts.lanes.len(),
            deadlines: Deadlines::new(parts.lanes.len()),
            lanes: parts.lanes,
            renewal: parts.renewal,
            closing: 0,
            timeout_ns: parts.timeout_ns,
            turn: 0,
            content: parts.content,
            pace: parts.pace,
            orders: parts.orders,
            end_ns: parts.orders.end_ns(),
            clock,
            now_ns: clock.now_ns(),
            poll_until_ns: 0,
            has_worked: false,
            is_released: false,
            is_aborted: false,
            in_flight: 0,
            backlog: 0,
            buffer: vec![0; RECEIVE_CHUNK].into_boxed_slice(),
            answered: Vec::new(),
            recorder: parts.recorder,
            giver: parts.giver,
            counters: parts.counters,
        }
    }

    /// Runs until everything intended was answered, or cannot be any more.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to wait; connections that fail are counted, not errors.
    pub(super) fn run(mut self) -> io::Result<Recorder> {
        if matches!(self.pace, Pace::Closed) {
            for index in 0..self.lanes.len() {
                self.now_ns = self.clock.now_ns();
                self.fill_slots(index);
            }
        }
        while !self.is_done() {
            let events = self.wait()?;
            self.has_worked = events > 0;
            for place in 0..events {
                match self.poller.event(&self.events, place) {
                    Readiness::Bell => self.take_orders(),
                    Readiness::Socket { index, readable, ended, writable } => {
                        self.serve(index, readable, ended, writable);
                    }
                }
            }
            self.expire();
            self.send_due();
            self.record();
            let totals = &self.recorder.totals;
            self.counters.intended.store(totals.intended, Ordering::Relaxed);
            self.counters.received.store(totals.received, Ordering::Relaxed);
        }
        self.give_up();
        let Self { mut recorder, giver, .. } = self;
        giver.finish(mem::take(&mut recorder.latencies));
        Ok(recorder)
    }

    fn take_orders(&mut self) {
        self.end_ns = self.orders.end_ns();
        self.is_released = self.orders.are_to_release();
        self.is_aborted = self.orders.are_to_abort();
        self.recorder.end_window_at(self.end_ns);
        self.now_ns = self.clock.now_ns();
        self.give_second(self.now_ns);
    }

    /// A thread takes its CPU accounting with it, so it stays until it is released.
    fn is_done(&self) -> bool {
        let is_all_answered = self.in_flight == 0 && self.backlog == 0 && self.closing == 0;
        (self.is_released && self.is_all_sent() && is_all_answered)
            || self.now_ns >= self.drain_end_ns()
            || self.alive == 0
            || self.is_aborted
    }

    /// Until when replies are awaited.
    fn drain_end_ns(&self) -> u64 {
        self.end_ns.saturating_add(self.timeout_ns)
    }

    /// Whether no message will become due any more.
    fn is_all_sent(&self) -> bool {
        match &self.pace {
            Pace::Closed => self.now_ns >= self.end_ns,
            Pace::Open { schedule, .. } => schedule.next_ns() >= self.end_ns,
        }
    }

    /// Waits for events until something is due. In closed loop, as long as nothing is, the clock
    /// is read only when a reply came: a timer on every wait would cost more than the message is
    /// worth.
    fn wait(&mut self) -> io::Result<usize> {
        if self.has_worked && matches!(self.pace, Pace::Open { .. }) {
            self.now_ns = self.clock.now_ns();
        }
        let Some(due_ns) = self.due_ns() else {
            return self.poller.wait(&mut self.events, None);
        };
        let before_ns = self.now_ns;
        let sleep_ns = due_ns.saturating_sub(before_ns);
        let events = self.poller.wait(&mut self.events, Some(Duration::from_nanos(sleep_ns)))?;
        self.now_ns = self.clock.now_ns();
        if events == 0 || sleep_ns > 0 {
            self.recorder.idle(before_ns, self.now_ns);
        }
        Ok(events)
    }

    /// When the next message or a lane is to be looked after, or the drain is over.
    fn due_ns(&self) -> Option<u64> {
        let message_ns = match &self.pace {
            _ if self.in_flight > 0 && self.now_ns < self.poll_until_ns => Some(self.now_ns),
            Pace::Closed if self.now_ns < self.end_ns => None,
            Pace::Open { schedule, spin_ns } if schedule.next_ns() < self.end_ns => {
                Some(schedule.next_ns().saturating_sub(*spin_ns))
            }
            Pace::Closed | Pace::Open { .. } => Some(self.drain_end_ns()),
        };
        message_ns.into_iter().chain(self.deadlines.next_ns()).min()
    }

    /// A lane's socket is ready.
    fn serve(&mut self, index: usize, readable: bool, ended: bool, writable: bool) {
        if matches!(self.lanes[index].state, State::Connecting { .. }) {
            return self.establish(index);
        }
        if writable {
            self.flush(index);
            self.now_ns = self.clock.now_ns();
            self.fill_slots(index);
        }
        if readable {
            self.receive(index, ended);
        }
    }

    /// Open loop: sends the messages whose time has come, or lets them wait for a slot.
    fn send_due(&mut self) {
        for _ in 0..DUE_PER_TURN {
            let Pace::Open { schedule, spin_ns } = &mut self.pace else { return };
            let intended_ns = schedule.next_ns();
            if intended_ns > self.now_ns || intended_ns >= self.end_ns {
                return;
            }
            schedule.advance();
            self.recorder.intend(intended_ns);
            self.now_ns = self.clock.now_ns();
            self.poll_until_ns = self.now_ns.saturating_add(*spin_ns);
            self.has_worked = true;
            self.send_one(intended_ns);
        }
    }

    fn send_one(&mut self, intended_ns: u64) {
        let Some(index) = self.next_turn() else {
            self.recorder.totals.unsent += 1;
            return;
        };
        let lane = &mut self.lanes[index];
        let is_next = lane.backlog.is_empty();
        if let Some(connection) = lane.connection()
            && is_next
            && connection.free_slots() > 0
        {
            connection.fill_slot(intended_ns, self.now_ns, self.content);
            self.in_flight += 1;
            self.recorder.totals.sent += 1;
            self.flush(index);
        } else if self.backlog < BACKLOG_LIMIT {
            lane.backlog.push_back(intended_ns);
            self.backlog += 1;
        } else {
            self.recorder.totals.unsent += 1;
        }
    }

    /// The lane whose turn it is, of those that still take messages.
    fn next_turn(&mut self) -> Option<usize> {
        for _ in 0..self.lanes.len() {
            let index = self.turn;
            self.turn = if index + 1 == self.lanes.len() { 0 } else { index + 1 };
            if self.lanes[index].takes_messages(self.renewal.is_some()) {
                return Some(index);
            }
        }
        None
    }

    /// Records the messages whose replies are complete.
    fn record(&mut self) {
        let mut answered = mem::take(&mut self.answered);
        for (sent, received_ns) in answered.drain(..) {
            self.give_second(received_ns);
            self.recorder.receive(sent, received_ns);
        }
        self.answered = answered; // its memory is used again
    }

    /// Gives what was recorded away if its second is over.
    fn give_second(&mut self, now_ns: u64) {
        if now_ns >= self.giver.next_ns() {
            self.giver.give(&mut self.recorder.latencies, now_ns);
        }
    }

    /// The drain is over: accounts for what did not happen.
    fn give_up(&mut self) {
        for lane in &mut self.lanes {
            if let Some((intended_ns, last_answer_ns)) =
                lane.connection().and_then(|connection| connection.silence())
            {
                self.recorder.break_silence(intended_ns, last_answer_ns, self.now_ns);
            }
        }
        self.recorder.totals.lost += self.in_flight as u64;
        self.recorder.totals.unsent += self.backlog as u64;
        if let Pace::Open { schedule, .. } = &mut self.pace {
            self.recorder.never_send(|until_ns| schedule.skip_until(until_ns));
        }
    }
}
