mod drain;
mod ending;
mod progress;

use std::ops::{Deref, DerefMut};

use super::*;

const LIMITS: Limits = Limits {
    high_water: 100,
    low_water: 40,
    stall_timeout: Duration::from_secs(8),
    idle_timeout: None,
    refusal_linger: Duration::from_secs(1),
    refusal_allowance: 10,
};

const DRAIN: DrainLimits = DrainLimits {
    quiet: Duration::from_secs(1),
    timeout: Duration::from_secs(10),
    flush: Duration::from_secs(2),
    accept_grace: Duration::ZERO,
};

const REFUSED: CloseReason = CloseReason::Refused;

const CAUSES: [Cause; 11] = [
    Cause::Finished,
    Cause::Refused,
    Cause::Busy,
    Cause::Reset,
    Cause::Unanswered,
    Cause::Failed,
    Cause::Idle,
    Cause::Stalled,
    Cause::Quiet,
    Cause::Abandoned,
    Cause::Evicted,
];

/// A connection with its limits; times are milliseconds since it started.
struct Life {
    lifecycle: Lifecycle,
    start: Instant,
    limits: Limits,
}

impl Deref for Life {
    type Target = Lifecycle;

    fn deref(&self) -> &Lifecycle {
        &self.lifecycle
    }
}

impl DerefMut for Life {
    fn deref_mut(&mut self) -> &mut Lifecycle {
        &mut self.lifecycle
    }
}

impl Life {
    fn new() -> Self {
        let start = Instant::now();
        Self { lifecycle: Lifecycle::new(start), start, limits: LIMITS }
    }

    fn with_idle_timeout_ms(idle_timeout_ms: u64) -> Self {
        let mut life = Self::new();
        life.limits.idle_timeout = Some(Duration::from_millis(idle_timeout_ms));
        life
    }

    /// Drained from its first moment on.
    fn drained() -> Self {
        let mut life = Self::new();
        life.drain(0, 0);
        life
    }

    /// Its FIN was sent at `ms`, after the protocol refused the peer.
    fn refused_at(ms: u64) -> Self {
        let mut life = Self::new();
        life.end(REFUSED);
        life.fin_sent(ms);
        life
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// Rounded up: then it has passed.
    fn deadline(&self) -> Option<u64> {
        let deadline = self.lifecycle.deadline(&self.limits)?;
        Some((deadline - self.start).as_micros().div_ceil(1_000) as u64)
    }

    fn received(&mut self, ms: u64, length: usize) -> OnReceive {
        let now = self.at(ms);
        self.lifecycle.received(now, length)
    }

    fn queued(&mut self, ms: u64, length: usize) {
        let now = self.at(ms);
        self.lifecycle.queued(now, length);
    }

    fn sent(&mut self, ms: u64, length: usize) {
        let now = self.at(ms);
        self.lifecycle.sent(now, length);
    }

    /// Says whether the kernel is to be asked.
    fn timeout(&mut self, ms: u64) -> bool {
        let now = self.at(ms);
        self.lifecycle.handle_timeout(now, &self.limits);
        self.take_probe()
    }

    fn probed(&mut self, ms: u64, acknowledged: u64, queued: usize) {
        let probe = Probe { acknowledged, queued, is_over: false };
        let now = self.at(ms);
        self.lifecycle.probed(now, probe, &self.limits);
    }

    fn found_over(&mut self, ms: u64, queued: usize) {
        let probe = Probe { acknowledged: 0, queued, is_over: true };
        let now = self.at(ms);
        self.lifecycle.probed(now, probe, &self.limits);
    }

    fn end(&mut self, reason: CloseReason) {
        self.lifecycle.end(reason, &self.limits);
    }

    fn fin_sent(&mut self, ms: u64) {
        let now = self.at(ms);
        self.lifecycle.fin_sent(now);
    }

    fn drain(&mut self, ms: u64, started_ms: u64) {
        let (now, started) = (self.at(ms), self.at(started_ms));
        self.lifecycle.drain(now, started, &DRAIN);
    }

    fn assert_ended(&self, cause: Cause, action: Action) {
        assert_eq!((self.cause(), self.action()), (Some(cause), action));
        assert!(!self.is_open() && self.is_closed() == (self.phase == Phase::Closed));
    }
}

#[test]
fn a_new_connection_receives_and_has_no_deadline() {
    let mut life = Life::new();
    assert!(life.is_open() && !life.is_closed() && life.wants_input() && !life.is_throttled());
    assert!(!life.has_sent_fin && !life.is_cut() && !life.take_probe());
    assert_eq!((life.action(), life.cause(), life.deadline()), (Action::Continue, None, None));
}

#[test]
fn bytes_are_counted_on_their_way() {
    let mut life = Life::new();
    assert_eq!(life.received(1, 30), OnReceive::Deliver);
    assert_eq!((life.undecided(), life.unsent(), life.late()), (30, 0, 0));
    life.decided(20);
    life.queued(1, 20);
    life.queued(1, 5);
    assert_eq!((life.undecided(), life.unsent()), (10, 25));
    life.sent(1, 24);
    assert_eq!(life.unsent(), 1);
    assert_eq!(life.action(), Action::Continue);
}

#[test]
fn reading_stops_at_high_water_and_resumes_at_low_water() {
    let mut life = Life::new();
    for (backlog, is_throttled) in
        [(99, false), (100, true), (41, true), (40, false), (41, false), (101, true), (0, false)]
    {
        life.throttle(backlog, &LIMITS);
        assert_eq!(life.is_throttled(), is_throttled, "{backlog}");
        assert_eq!(life.wants_input(), !is_throttled, "{backlog}");
    }
    life.peer_finished();
    assert!(!life.wants_input() && life.is_open());
}
