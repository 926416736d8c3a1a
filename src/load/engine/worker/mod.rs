//! One generator thread's event loop: sends what is due, receives, records.
//!
//! The life of a message: it becomes due (closed loop: there is room; open loop: its intended
//! time has come), it is sent or waits for room, its reply is read and checked, *the next one is
//! sent*, and only when all sockets had their turn is it recorded.
//!
//! This file waits, and sends on time; [`traffic`] is what goes on over a connection, [`reconnect`]
//! how one replaces another.

mod reconnect;
mod traffic;

use std::io;
use std::mem;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::load::clock::{Clock, nanos};
use crate::load::config::{Config, Load};
use crate::load::control::RunControl;
use crate::load::engine::connection_slot::{ConnectionSlot, State};
use crate::load::engine::deadlines::Deadlines;
use crate::load::engine::dial::Dialer;
use crate::load::engine::poller::{Events, Poller, Readiness, Waker};
use crate::load::engine::schedule::Schedule;
use crate::load::engine::wire::RECEIVE_CHUNK;
use crate::load::engine::workload::Workload;
use crate::load::record::counters::Counters;
use crate::load::record::recorder::{Recorder, Sent, Window};
use crate::load::record::seconds::IntervalSender;

/// Messages sent on time's demand before replies are looked at again.
const DUE_PER_TURN: usize = 64;
/// Messages of a thread that may wait for room (32 MiB of times); what is due beyond that is
/// counted as unsent at once.
const BACKLOG_LIMIT: usize = 4 << 20;

/// The pace at which messages become due.
enum Pace {
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

/// The setting of a run, one for all its workers.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'run> {
    pub(crate) config: &'run Config,
    pub(crate) window: Window,
    pub(crate) workload: &'run Workload,
    pub(crate) control: &'run RunControl,
    pub(crate) dialer: &'run Dialer,
    /// How many connections the generator starts with, dealt to the workers in turn.
    pub(crate) all_connections: usize,
    pub(crate) workers: usize,
}

pub(crate) struct Worker<'run> {
    shared: Shared<'run>,
    poller: Poller,
    slots: Vec<ConnectionSlot>,
    /// True if connections that end are replaced.
    is_reconnecting: bool,
    deadlines: Deadlines,
    /// Slots that are not abandoned.
    alive: usize,
    /// Connections that wait for the server's FIN, having carried their share.
    closing: usize,
    /// The slot that the next due message goes to, if it is not abandoned.
    turn: usize,
    workload: &'run Workload,
    pace: Pace,
    /// When the measured window ends: nothing is intended from then on.
    end_ns: u64,
    clock: Clock,
    /// How long replies are awaited after the measured window, and a server's FIN after ours.
    timeout_ns: u64,
    now_ns: u64,
    /// Open loop: until when replies are polled for.
    poll_until_ns: u64,
    /// True if anything was done since the last wait, so that the clock has to be read.
    has_worked: bool,
    /// True if whoever watches has seen the measured window end.
    is_released: bool,
    /// True if nothing is to be awaited any more.
    is_aborted: bool,
    /// Sums over the slots.
    in_flight: usize,
    backlog: usize,
    buffer: Box<[u8]>,
    /// Messages whose replies are complete and not yet recorded, and when they were.
    answered: Vec<(Sent, u64)>,
    recorder: Recorder,
    sender: IntervalSender,
    counters: &'run Counters,
}

impl<'run> Worker<'run> {
    /// Worker number `number` of this generator, without connections yet.
    pub(crate) fn new(
        shared: Shared<'run>,
        number: usize,
        counters: &'run Counters,
        sender: IntervalSender,
    ) -> io::Result<Self> {
        let Shared { config, window, workload, workers, .. } = shared;
        let pace = match config.load {
            Load::Closed => Pace::Closed,
            Load::Open { rate, arrival } => {
                let schedule = Schedule::of(config, (rate, arrival), number, workers);
                Pace::Open { schedule, spin_ns: nanos(config.spin) }
            }
        };
        Ok(Self {
            shared,
            poller: Poller::new()?,
            slots: Vec::new(),
            is_reconnecting: config.reconnect.is_some(),
            deadlines: Deadlines::default(),
            alive: 0,
            closing: 0,
            turn: 0,
            workload,
            recorder: Recorder::new(window, matches!(pace, Pace::Open { .. })),
            pace,
            end_ns: window.end_ns,
            clock: Clock::starting_now(),
            timeout_ns: nanos(config.timeout),
            now_ns: 0,
            poll_until_ns: 0,
            has_worked: false,
            is_released: false,
            is_aborted: false,
            in_flight: 0,
            backlog: 0,
            buffer: vec![0; RECEIVE_CHUNK].into_boxed_slice(),
            answered: Vec::new(),
            sender,
            counters,
        })
    }

    /// Takes over connection number `number` of this generator, connected and non-blocking.
    pub(crate) fn add(&mut self, number: usize, socket: TcpStream) -> io::Result<()> {
        self.poller.add(socket.as_fd(), self.slots.len())?;
        self.slots.push(ConnectionSlot::new(number, self.workload.connection(number, socket)));
        self.deadlines.add_slot();
        self.alive += 1;
        Ok(())
    }

    pub(crate) fn waker(&self) -> io::Result<Waker> {
        self.poller.waker()
    }

    /// Runs until everything intended was answered, or cannot be any more.
    pub(crate) fn run(mut self, clock: Clock) -> io::Result<Recorder> {
        (self.clock, self.now_ns) = (clock, clock.now_ns());
        let mut ready = Events::default();
        if matches!(self.pace, Pace::Closed) {
            for index in 0..self.slots.len() {
                self.now_ns = self.clock.now_ns();
                self.fill(index);
            }
        }
        while !self.is_done() {
            let events = self.wait(&mut ready)?;
            self.has_worked = events > 0;
            for place in 0..events {
                match self.poller.event(&ready, place) {
                    Readiness::Woken => self.obey_control(),
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
        let Self { mut recorder, sender, .. } = self;
        sender.finish(mem::take(&mut recorder.latencies));
        Ok(recorder)
    }

    fn obey_control(&mut self) {
        let control = self.shared.control;
        self.end_ns = control.end_ns();
        self.is_released = control.is_released();
        self.is_aborted = control.is_aborted();
        self.recorder.end_window_at(self.end_ns);
        self.now_ns = self.clock.now_ns();
        // What came before belongs to the second that ends.
        self.record();
        self.send_second(self.now_ns);
    }

    /// A thread takes its CPU accounting with it, so it stays until it is released.
    fn is_done(&self) -> bool {
        let is_all_answered = self.in_flight == 0 && self.backlog == 0 && self.closing == 0;
        (self.is_released && self.is_all_sent() && is_all_answered && !self.is_connecting())
            || self.now_ns >= self.drain_end_ns()
            || self.alive == 0
            || self.is_aborted
    }

    /// Asked when all else is over, so it need not be quick.
    fn is_connecting(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.state, State::Connecting { .. }))
    }

    fn drain_end_ns(&self) -> u64 {
        self.end_ns.saturating_add(self.timeout_ns)
    }

    /// Returns whether no message will become due any more.
    fn is_all_sent(&self) -> bool {
        match &self.pace {
            Pace::Closed => self.now_ns >= self.end_ns,
            Pace::Open { schedule, .. } => schedule.next_ns() >= self.end_ns,
        }
    }

    /// Waits for events until something is due. In closed loop, as long as nothing is, the clock
    /// is read only when a reply came: a timer on every wait would cost more than the message is
    /// worth.
    fn wait(&mut self, ready: &mut Events) -> io::Result<usize> {
        if self.has_worked && matches!(self.pace, Pace::Open { .. }) {
            self.now_ns = self.clock.now_ns();
        }
        let Some(due_ns) = self.due_ns() else {
            return self.poller.wait(ready, None);
        };
        let before_ns = self.now_ns;
        let sleep_ns = due_ns.saturating_sub(before_ns);
        let events = self.poller.wait(ready, Some(Duration::from_nanos(sleep_ns)))?;
        self.now_ns = self.clock.now_ns();
        if events == 0 || sleep_ns > 0 {
            self.recorder.idle(before_ns, self.now_ns);
        }
        Ok(events)
    }

    /// When the next message or a slot is to be looked after, or the drain is over.
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

    fn serve(&mut self, index: usize, readable: bool, ended: bool, writable: bool) {
        if matches!(self.slots[index].state, State::Connecting { .. }) {
            return self.establish(index);
        }
        if writable {
            self.flush(index);
            self.now_ns = self.clock.now_ns();
            self.fill(index);
        }
        if readable {
            self.receive(index, ended);
        }
    }

    /// Open loop: sends the messages whose time has come, or lets them wait for room.
    fn send_due(&mut self) {
        for _ in 0..DUE_PER_TURN {
            let Pace::Open { schedule, spin_ns } = &mut self.pace else { return };
            let intended_ns = schedule.next_ns();
            if intended_ns > self.now_ns || intended_ns >= self.end_ns {
                return;
            }
            schedule.advance();
            self.recorder.intend(intended_ns, 1);
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
        let slot = &mut self.slots[index];
        let is_next = slot.backlog.is_empty();
        if let Some(connection) = slot.connection()
            && is_next
            && connection.room() > 0
        {
            connection.push_due(intended_ns, self.now_ns, self.workload);
            self.in_flight += 1;
            self.recorder.totals.sent += 1;
            self.flush(index);
        } else if self.backlog < BACKLOG_LIMIT {
            slot.backlog.push_back(intended_ns);
            self.backlog += 1;
        } else {
            self.recorder.totals.unsent += 1;
        }
    }

    /// The slot whose turn it is, of those that still take messages.
    fn next_turn(&mut self) -> Option<usize> {
        for _ in 0..self.slots.len() {
            let index = self.turn;
            self.turn = if index + 1 == self.slots.len() { 0 } else { index + 1 };
            if self.slots[index].takes_messages(self.is_reconnecting) {
                return Some(index);
            }
        }
        None
    }

    /// The slot is answered now, or will not be any more. In closed loop it has waited ever since
    /// it was answered before; what is abandoned waits for nothing.
    fn break_silence(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let since_ns = match &self.pace {
            _ if matches!(slot.state, State::Abandoned) => None,
            Pace::Closed => Some(slot.last_answer_ns.unwrap_or(0)),
            Pace::Open { .. } => slot.waits_since_ns(),
        };
        if let Some(since_ns) = since_ns {
            self.recorder.break_silence(since_ns, slot.last_answer_ns, self.now_ns);
        }
        slot.last_answer_ns = Some(self.now_ns);
    }

    fn record(&mut self) {
        let mut answered = mem::take(&mut self.answered);
        for (sent, received_ns) in answered.drain(..) {
            self.send_second(received_ns);
            self.recorder.receive(sent, received_ns);
        }
        self.answered = answered; // its memory is used again
    }

    /// Gives what was recorded away if its second is over.
    fn send_second(&mut self, now_ns: u64) {
        if now_ns >= self.sender.next_ns() {
            self.sender.send_second(&mut self.recorder.latencies, now_ns);
        }
    }

    /// The drain is over: accounts for what did not happen.
    fn give_up(&mut self) {
        // A thread without connections has nothing to do for the rest of the window.
        self.recorder.idle(self.now_ns, self.end_ns);
        for index in 0..self.slots.len() {
            self.break_silence(index);
            self.give_up_connecting(index);
            let Some(connection) = self.slots[index].connection() else { continue };
            self.recorder.transport.retransmitted_segments += connection.retransmitted_segments();
        }
        self.recorder.totals.lost += self.in_flight as u64;
        self.recorder.totals.unsent += self.backlog as u64;
        if let Pace::Open { schedule, .. } = &mut self.pace {
            self.recorder.never_send(|until_ns| schedule.skip_until(until_ns));
        }
    }
}
