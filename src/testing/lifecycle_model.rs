//! The life of a connection as a list of operations, against a naive model of what it must do.
//!
//! The model keeps every operation that counts and adds them up again each time. It does not know
//! when things end; of that it knows what must never be, and that a drain ends in time.

use std::time::{Duration, Instant};

use crate::lifecycle::{Action, Cause, DrainLimits, Lifecycle, Limits, OnReceive, Probe};
use crate::protocol::CloseReason;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Bytes arrive.
    Receive(usize),
    /// The protocol decides on so many of those, at most, and sends them back.
    Echo(usize),
    /// The protocol decides on so many, at most, and drops them.
    Discard(usize),
    /// The protocol sends control bytes.
    Control(usize),
    /// The socket takes this many bytes, at most.
    Send(usize),
    /// The peer acknowledges this many bytes, at most; our FIN is one.
    Acknowledge(usize),
    /// The peer's FIN arrives.
    Finish,
    /// The protocol ends the connection: the peer is finished, or wrong.
    End {
        /// True if the peer was wrong.
        is_refused: bool,
    },
    /// There is no room for the connection.
    Refuse,
    /// The peer resets it, and the driver hears of it.
    Reset,
    /// The peer resets it, and only the kernel knows.
    Vanish,
    /// It is not read for a while.
    NotRead,
    /// Bytes that wait cost so many.
    Throttle(usize),
    /// The server shuts down.
    Drain,
    /// Time passes.
    Elapse(Duration),
}

const LIMITS: Limits = Limits {
    high_water: 100,
    low_water: 40,
    stall_timeout: Duration::from_secs(8),
    idle_timeout: None,
    refusal_linger: Duration::from_secs(1),
    refusal_allowance: 50,
};

const DRAIN: DrainLimits = DrainLimits {
    quiet: Duration::from_secs(1),
    timeout: Duration::from_secs(10),
    flush: Duration::from_secs(2),
    accept_grace: Duration::ZERO,
};

/// More things to do at one time than a connection has: a timeout, a probe, FIN, and those once more.
const MAX_ROUNDS: usize = 10;

/// Leads a connection through the operations, then drains it.
///
/// # Panics
///
/// When it does what it must not, or does not end in time.
pub fn check(idle_timeout: Option<Duration>, ops: &[Op]) {
    let mut run = Run::new(Limits { idle_timeout, ..LIMITS });
    for op in ops {
        run.carry_out(*op);
        run.settle();
        run.compare(*op);
    }
    run.carry_out(Op::Drain);
    run.settle();
    run.check_the_end();
}

/// Something that was to be sent, in the order decided.
#[derive(Debug, Clone, Copy)]
enum Queued {
    Echo(usize),
    Control(usize),
}

impl Queued {
    fn length(self) -> usize {
        match self {
            Self::Echo(length) | Self::Control(length) => length,
        }
    }
}

struct Run {
    lifecycle: Lifecycle,
    limits: Limits,
    now: Instant,
    /// When the drain began first.
    drained: Option<Instant>,
    model: Model,
    cause: Option<Cause>,
}

/// Everything that happened, as it was reported.
#[derive(Debug, Default)]
struct Model {
    delivered: Vec<usize>,
    dropped: Vec<usize>,
    decided: Vec<usize>,
    queued: Vec<Queued>,
    sent: Vec<usize>,
    acknowledged: usize,
    backlogs: Vec<usize>,
    is_finished: bool,
    is_over: bool,
    has_ended: bool,
    has_sent_fin: bool,
    is_closed: bool,
}

impl Model {
    fn undecided(&self) -> usize {
        self.delivered.iter().sum::<usize>() - self.decided.iter().sum::<usize>()
    }

    fn unsent(&self) -> usize {
        self.queued.iter().map(|queued| queued.length()).sum::<usize>() - self.total_sent()
    }

    fn total_sent(&self) -> usize {
        self.sent.iter().sum()
    }

    /// Bytes in the kernel's send queue, with our FIN.
    fn unacknowledged(&self) -> usize {
        self.total_sent() + usize::from(self.has_sent_fin) - self.acknowledged
    }

    /// The control bytes that nothing of the peer's came after.
    fn control_tail(&self) -> usize {
        let tail = self.queued.iter().rev().map_while(|queued| match queued {
            Queued::Echo(_) => None,
            Queued::Control(length) => Some(length),
        });
        tail.sum()
    }

    /// The last backlog that was at one of the marks or beyond decides.
    fn is_throttled(&self, limits: &Limits) -> bool {
        let decisive =
            |backlog: &&usize| **backlog >= limits.high_water || **backlog <= limits.low_water;
        self.backlogs.iter().rev().find(decisive).is_some_and(|last| *last >= limits.high_water)
    }
}

impl Run {
    fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let (lifecycle, model) = (Lifecycle::new(now), Model::default());
        Self { lifecycle, limits, now, drained: None, model, cause: None }
    }

    /// Reports an operation as a driver would. One that cannot be now is left out.
    fn carry_out(&mut self, op: Op) {
        let Self { lifecycle, limits, now, model, .. } = self;
        if model.is_closed {
            return;
        }
        match op {
            Op::Receive(length) if lifecycle.wants_input() => {
                let expected = if model.has_ended { OnReceive::Drop } else { OnReceive::Deliver };
                assert_eq!(lifecycle.received(*now, length), expected, "{op:?}");
                let received =
                    if model.has_ended { &mut model.dropped } else { &mut model.delivered };
                received.push(length);
            }
            Op::Echo(length) | Op::Discard(length) if !model.has_ended => {
                let length = length.min(model.undecided());
                lifecycle.decided(length);
                model.decided.push(length);
                if matches!(op, Op::Echo(_)) && length > 0 {
                    lifecycle.queued(*now, length);
                    model.queued.push(Queued::Echo(length));
                }
            }
            Op::Control(length) if !model.has_ended => {
                lifecycle.queued_control(*now, length);
                model.queued.push(Queued::Control(length));
            }
            Op::Send(length) => {
                let length = length.min(model.unsent());
                lifecycle.sent(*now, length);
                model.sent.push(length);
            }
            Op::Acknowledge(length) => model.acknowledged += length.min(model.unacknowledged()),
            Op::Finish => {
                lifecycle.peer_finished();
                model.is_finished = true;
            }
            Op::End { is_refused } if !model.has_ended => {
                let finished = if model.is_finished { Some(CloseReason::Finished) } else { None };
                let refused = is_refused.then_some(CloseReason::Refused);
                if let Some(reason) = refused.or(finished) {
                    lifecycle.end(reason, limits);
                    model.has_ended = true;
                }
            }
            Op::Refuse if !model.has_ended => {
                lifecycle.refuse(Cause::Evicted);
                lifecycle.end(CloseReason::Busy, limits);
                model.has_ended = true;
            }
            Op::Reset => {
                model.is_over = true;
                lifecycle.close(Cause::Reset);
            }
            Op::Vanish => model.is_over = true,
            Op::NotRead => lifecycle.not_read(*now),
            Op::Throttle(backlog) => {
                lifecycle.throttle(backlog, limits);
                model.backlogs.push(backlog);
            }
            Op::Drain => {
                let started = *self.drained.get_or_insert(*now);
                lifecycle.drain(*now, started, &DRAIN);
            }
            Op::Elapse(time) => *now += time,
            // Not possible now.
            Op::Receive(_)
            | Op::Echo(_)
            | Op::Discard(_)
            | Op::Control(_)
            | Op::End { .. }
            | Op::Refuse => {}
        }
    }

    /// Does what a driver does for a connection until that is to wait.
    fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            match self.lifecycle.action() {
                Action::Continue => {}
                Action::SendFin => {
                    self.send_fin();
                    continue;
                }
                Action::Close => return self.close(),
            }
            if self.lifecycle.take_probe() {
                let probe = self.probe();
                self.lifecycle.probed(self.now, probe, &self.limits);
            } else if self.deadline().is_some_and(|deadline| deadline <= self.now) {
                self.lifecycle.handle_timeout(self.now, &self.limits);
            } else {
                return;
            }
        }
        panic!("the driver never sleeps: {:?}", self.lifecycle);
    }

    fn deadline(&self) -> Option<Instant> {
        self.lifecycle.deadline(&self.limits)
    }

    fn probe(&self) -> Probe {
        Probe {
            acknowledged: self.model.acknowledged as u64,
            queued: self.model.unacknowledged(),
            is_over: self.model.is_over,
        }
    }

    fn send_fin(&mut self) {
        assert!(!self.model.has_sent_fin, "there is one FIN");
        assert_eq!(self.model.unsent(), 0, "FIN comes last");
        self.lifecycle.fin_sent(self.now);
        self.model.has_sent_fin = true;
    }

    /// The driver closes the socket. A peer that was not cut off has everything then.
    fn close(&mut self) {
        let cause = self.lifecycle.cause().expect("what ends has a cause");
        let is_peaceful =
            matches!(cause, Cause::Finished | Cause::Refused | Cause::Busy | Cause::Idle);
        let is_cut = self.lifecycle.is_cut() || self.drained.is_some() || self.model.is_over;
        if is_peaceful && !is_cut {
            let fin = usize::from(self.model.has_sent_fin);
            assert!(self.model.unacknowledged() <= fin, "closed for {cause:?} before delivery");
            assert_eq!(self.model.unsent(), 0, "closed for {cause:?} with answers unsent");
        }
        self.model.is_closed = true;
    }

    fn compare(&mut self, op: Op) {
        let Self { lifecycle, model, .. } = self;
        assert_eq!(lifecycle.undecided(), model.undecided(), "undecided after {op:?}");
        assert_eq!(lifecycle.unsent(), model.unsent(), "unsent after {op:?}");
        assert_eq!(lifecycle.late(), model.dropped.iter().sum::<usize>(), "late after {op:?}");
        let tail = model.control_tail() + usize::from(model.has_sent_fin);
        let echo = model.unacknowledged().saturating_sub(tail);
        assert_eq!(lifecycle.echo_among(model.unacknowledged()), echo, "echo after {op:?}");
        let is_throttled = model.is_throttled(&self.limits);
        assert_eq!(lifecycle.is_throttled(), is_throttled, "throttled after {op:?}");
        assert_eq!(lifecycle.has_sent_fin(), model.has_sent_fin, "FIN after {op:?}");
        assert!(!(model.is_finished && lifecycle.wants_input()), "reads after the peer's FIN");
        assert!(!(model.has_ended && lifecycle.is_open()), "opened again by {op:?}");
        // The server itself ends connections too.
        model.has_ended |= !lifecycle.is_open();
        let cause = lifecycle.cause();
        let may_change = matches!(self.cause, None | Some(Cause::Finished));
        let is_reset = cause == Some(Cause::Reset);
        assert!(cause == self.cause || may_change || is_reset, "{cause:?} after {:?}", self.cause);
        self.cause = cause;
    }

    /// Whatever the peer does not do, a drain ends after its timeout and a flush.
    fn check_the_end(&mut self) {
        let started = self.drained.unwrap_or(self.now);
        let end = self.now.max(started + DRAIN.timeout) + DRAIN.flush;
        while !self.model.is_closed {
            let deadline = self.deadline().expect("a drain has an end");
            assert!(deadline <= end, "the drain goes on too long: {:?}", self.lifecycle);
            self.now = deadline;
            self.settle();
        }
    }
}
