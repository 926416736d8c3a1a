use std::ops::{Deref, DerefMut};

use super::*;
use crate::protocol::ErrorCode;

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

const REFUSED: CloseReason = CloseReason::Failed(ErrorCode::Truncated);

const CAUSES: [Cause; 10] = [
    Cause::Finished,
    Cause::Refused,
    Cause::Busy,
    Cause::Reset,
    Cause::Failed,
    Cause::Idle,
    Cause::Stalled,
    Cause::Quiet,
    Cause::Abandoned,
    Cause::Evicted,
];

/// A connection with its limits; times are milliseconds since it began.
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

    fn drain(&mut self, ms: u64, begun_ms: u64) {
        let (now, begun) = (self.at(ms), self.at(begun_ms));
        self.lifecycle.drain(now, begun, &DRAIN);
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

#[test]
fn an_idle_peer_ends_after_the_kernel_was_asked() {
    let mut life = Life::with_idle_timeout_ms(5_000);
    assert_eq!(life.deadline(), Some(5_000));
    assert_eq!(life.received(1_000, 1), OnReceive::Deliver);
    assert_eq!(life.deadline(), Some(6_000));
    assert!(!life.timeout(5_999));
    assert!(life.timeout(6_000) && !life.take_probe(), "asked once");
    assert!(life.is_open());
    life.probed(6_000, 0, 0);
    life.assert_ended(Cause::Idle, Action::SendFin);
    assert!(!life.is_cut());
}

/// The probe that a stall calls for is not one that decides about idleness.
#[test]
fn only_a_probe_that_was_asked_for_it_ends_an_idle_peer() {
    let mut life = Life::with_idle_timeout_ms(5_000);
    life.probed(6_000, 0, 0);
    assert!(life.is_open());
    assert!(life.timeout(6_000));
    life.probed(6_000, 1, 0);
    assert_eq!((life.is_open(), life.deadline()), (true, Some(11_000)), "it took something");
    life.probed(20_000, 1, 0);
    assert!(life.is_open(), "the question was answered before");
}

#[test]
fn who_has_something_to_be_sent_is_not_idle() {
    let mut life = Life::with_idle_timeout_ms(500);
    life.queued(0, 10);
    assert_eq!(life.deadline(), Some(2_000), "when it is asked for a stall");
    life.sent(300, 10);
    assert_eq!(life.deadline(), Some(800), "what was sent counts as activity");
    life.queued(400, 10);
    life.sent(450, 0);
    life.lifecycle.unsent = 0;
    assert_eq!(life.deadline(), Some(800), "a send that sent nothing does not");
    life.drain(400, 400);
    assert_eq!(life.deadline(), Some(1_400), "a drain has its own deadlines");
}

#[test]
fn what_the_peer_acknowledges_counts_as_activity_for_idle_peers_and_drains() {
    // Acknowledged before and now, bytes left in the kernel, and what that means.
    let cases = [
        (None, 0, 0, false),
        (None, 7, 0, false),
        (None, 7, 9, true),
        (Some(7), 7, 9, false),
        (Some(7), 8, 9, true),
        (Some(7), 8, 0, true),
    ];
    for (before, acknowledged, queued, is_activity) in cases {
        for mut life in [Life::with_idle_timeout_ms(1_000), Life::drained()] {
            let cause = if life.drain.is_some() { Cause::Quiet } else { Cause::Idle };
            if let Some(before) = before {
                life.probed(0, before, 0);
            }
            assert!(life.timeout(1_000));
            life.probed(1_000, acknowledged, queued);
            assert_eq!(life.is_open(), is_activity, "{before:?} {acknowledged} {queued}");
            if is_activity {
                assert_eq!(life.deadline(), Some(2_000));
            } else {
                assert_eq!(life.cause(), Some(cause));
            }
        }
    }
}

#[test]
fn a_stall_is_a_stall_timeout_without_progress_after_a_first_probe() {
    let mut life = Life::new();
    life.queued(1_000, 10);
    assert_eq!(life.deadline(), Some(3_000), "a quarter of the timeout");
    assert!(!life.timeout(2_999) && life.timeout(3_000));
    assert_eq!(life.deadline(), Some(5_000));
    // The process stood still: nobody knows what the peer took meanwhile.
    life.probed(60_000, 5, 10);
    assert_eq!((life.is_open(), life.deadline()), (true, Some(62_000)));
    life.probed(67_999, 5, 10);
    assert!(life.is_open());
    life.probed(68_000, 5, 10);
    life.assert_ended(Cause::Stalled, Action::Close);
    assert!(life.is_cut() && life.deadline().is_none() && !life.wants_input());
}

#[test]
fn a_kernel_that_takes_nothing_at_all_is_a_stall_too() {
    let mut life = Life::new();
    life.queued(1_000, 10);
    life.probed(8_999, 0, 0);
    assert!(life.is_open());
    life.probed(9_000, 0, 0);
    life.assert_ended(Cause::Stalled, Action::Close);
}

#[test]
fn any_progress_starts_the_stall_timeout_anew() {
    let progress: [fn(&mut Life); 3] = [
        |life| life.probed(5_000, 6, 10),
        |life| life.sent(5_000, 1),
        |life| {
            life.sent(4_000, 10);
            life.queued(5_000, 10);
        },
    ];
    for make in progress {
        let mut life = Life::new();
        life.queued(0, 10);
        life.probed(1_000, 5, 10);
        make(&mut life);
        let acknowledged = life.progress.acknowledged.expect("it was probed");
        life.probed(12_999, acknowledged, 10);
        assert!(life.is_open());
        life.probed(13_000, acknowledged, 10);
        life.assert_ended(Cause::Stalled, Action::Close);
    }
}

#[test]
fn more_to_be_sent_is_no_progress() {
    let mut life = Life::new();
    life.queued(0, 10);
    life.probed(0, 5, 10);
    life.queued(5_000, 10);
    life.sent(5_000, 0);
    assert_eq!(life.deadline(), Some(2_000));
    life.probed(8_000, 5, 10);
    life.assert_ended(Cause::Stalled, Action::Close);
}

#[test]
fn who_waits_for_nothing_does_not_stall() {
    let mut life = Life::new();
    life.queued(0, 10);
    life.probed(0, 5, 10);
    life.sent(0, 10);
    life.probed(100_000, 5, 10);
    assert!(life.is_open() && life.deadline().is_none());
}

#[test]
fn a_connection_that_is_over_with_bytes_left_was_reset() {
    let mut life = Life::new();
    life.found_over(0, 0);
    assert!(life.is_open(), "everything was delivered: a receive will say how it ended");
    life.found_over(0, 1);
    life.assert_ended(Cause::Reset, Action::Close);
    assert!(!life.is_cut());

    let mut life = Life::refused_at(0);
    life.found_over(0, 1);
    assert!(!life.is_closed(), "our FIN counts as one");
    life.found_over(0, 2);
    life.assert_ended(Cause::Reset, Action::Close);
}

#[test]
fn a_peer_that_finished_gets_everything_and_our_fin_with_the_close() {
    let mut life = Life::new();
    life.queued(0, 10);
    life.peer_finished();
    life.end(CloseReason::Finished);
    life.assert_ended(Cause::Finished, Action::Continue);
    life.sent(1, 9);
    life.assert_ended(Cause::Finished, Action::Continue);
    life.sent(1, 1);
    life.assert_ended(Cause::Finished, Action::Close);
}

#[test]
fn a_peer_that_does_not_read_the_rest_stalls() {
    let mut life = Life::new();
    life.queued(0, 10);
    life.peer_finished();
    life.end(CloseReason::Finished);
    assert_eq!(life.deadline(), Some(2_000));
    life.probed(0, 0, 10);
    life.probed(8_000, 0, 10);
    life.assert_ended(Cause::Stalled, Action::Close);
    assert!(life.is_cut());
}

#[test]
fn a_refused_peer_is_read_within_its_allowance_and_told_before_it_is_closed() {
    let mut life = Life::new();
    life.queued(0, 10);
    life.end(REFUSED);
    life.assert_ended(Cause::Refused, Action::Continue);
    assert!(life.wants_input());
    assert_eq!(life.received(1, 6), OnReceive::Drop);
    life.sent(2, 10);
    life.assert_ended(Cause::Refused, Action::SendFin);
    life.fin_sent(100);
    assert!(life.has_sent_fin);
    assert_eq!((life.action(), life.deadline()), (Action::Continue, Some(1_100)));
    assert_eq!(life.received(200, 3), OnReceive::Drop);
    assert!(life.wants_input(), "a byte is left");
    assert_eq!(life.received(300, 4), OnReceive::Drop);
    assert_eq!((life.late(), life.undecided()), (13, 0));
    // The window closes; what was sent has to be delivered.
    assert!(!life.wants_input());
    assert_eq!(life.action(), Action::Continue);
    life.probed(300, 9, 2);
    assert_eq!(life.action(), Action::Continue, "a byte and our FIN are left");
    life.probed(400, 10, 1);
    life.assert_ended(Cause::Refused, Action::Close);
}

#[test]
fn an_allowance_may_end_before_our_fin() {
    let mut life = Life::new();
    life.queued(0, 1);
    life.end(REFUSED);
    assert_eq!(life.received(0, 11), OnReceive::Drop);
    assert!(!life.wants_input());
    assert_eq!(life.action(), Action::Continue);
    life.sent(0, 1);
    assert_eq!(life.action(), Action::SendFin);
    life.fin_sent(0);
    assert_eq!((life.action(), life.wants_input()), (Action::Continue, false));
}

#[test]
fn when_the_linger_ends_a_refused_peer_is_no_longer_read_but_not_closed_either() {
    let mut life = Life::refused_at(0);
    assert!(!life.timeout(999) && life.wants_input());
    life.timeout(1_000);
    assert!(!life.wants_input());
    assert_eq!(life.action(), Action::Continue);
    life.probed(1_000, 5, 1);
    life.assert_ended(Cause::Refused, Action::Close);
    assert!(!life.is_cut());
}

#[test]
fn a_refused_peer_that_takes_nothing_is_cut_after_the_stall_timeout() {
    let mut life = Life::refused_at(100);
    life.timeout(1_100);
    life.probed(1_100, 5, 9);
    life.probed(9_099, 5, 9);
    assert_eq!(life.action(), Action::Continue);
    life.probed(9_100, 5, 9);
    life.assert_ended(Cause::Refused, Action::Close);
    assert!(life.is_cut());
}

#[test]
fn who_is_lingered_for_is_not_yet_asked_about_delivery() {
    let mut life = Life::refused_at(100);
    life.probed(50_000, 5, 9);
    life.probed(90_000, 5, 9);
    assert!(!life.is_closed(), "while input is dropped nothing can stall");
}

#[test]
fn a_refused_peer_that_finishes_is_closed() {
    let mut life = Life::refused_at(0);
    life.peer_finished();
    assert!(!life.wants_input());
    life.assert_ended(Cause::Refused, Action::Close);
}

#[test]
fn delivery_is_asked_for_soon_and_then_ever_more_rarely() {
    let mut life = Life::refused_at(1_000);
    life.received(1_000, 10);
    life.end_of_linger();
    let mut waits = Vec::new();
    let mut last = 1_000;
    for _ in 0..60 {
        let deadline = life.deadline().expect("delivery is awaited");
        assert!(life.timeout(deadline));
        waits.push(deadline - last);
        last = deadline;
    }
    assert_eq!(waits[..7], [10, 10, 10, 10, 10, 13, 16], "then a quarter of the wait so far");
    assert!(waits.is_sorted(), "{waits:?}");
    assert_eq!(waits.last(), Some(&2_000), "a stall is not seen later than others");

    life.limits.stall_timeout = Duration::from_millis(20);
    assert_eq!(life.deadline(), Some(last + 10), "the least beats a short timeout");
}

#[test]
fn the_first_cause_counts() {
    for first in CAUSES.into_iter().filter(|cause| *cause != Cause::Finished) {
        let mut life = Life::new();
        life.refuse(first);
        assert!(life.is_open() && !life.is_cut(), "the protocol has a word to say");
        life.refuse(Cause::Busy);
        life.end(CloseReason::Finished);
        life.end(REFUSED);
        assert_eq!(life.action(), Action::SendFin);
        life.close(Cause::Failed);
        life.assert_ended(first, Action::Close);
        life.end(REFUSED);
        life.assert_ended(first, Action::Close);
    }
}

#[test]
fn who_stalled_or_was_evicted_is_cut_whatever_came_before() {
    for cause in CAUSES {
        let is_cut = matches!(cause, Cause::Stalled | Cause::Evicted);
        let (mut open, mut refused) = (Life::new(), Life::refused_at(0));
        open.close(cause);
        open.assert_ended(cause, Action::Close);
        refused.close(cause);
        refused.assert_ended(Cause::Refused, Action::Close);
        assert_eq!((open.is_cut(), refused.is_cut()), (is_cut, is_cut), "{cause:?}");
        refused.close(Cause::Failed);
        assert_eq!(refused.is_cut(), is_cut, "{cause:?}");
    }
}

#[test]
fn what_comes_after_the_close_is_late() {
    let mut life = Life::new();
    life.close(Cause::Failed);
    assert_eq!(life.received(0, 3), OnReceive::Drop);
    assert_eq!((life.late(), life.undecided(), life.wants_input()), (3, 0, false));
}

#[test]
fn a_fin_belongs_to_the_end() {
    let mut life = Life::new();
    life.fin_sent(0);
    assert!(life.is_open() && !life.has_sent_fin);
    life.close(Cause::Failed);
    life.fin_sent(0);
    assert!(life.is_closed() && !life.has_sent_fin);
}

#[test]
fn who_drains_answers_for_what_is_on_its_way() {
    for cause in CAUSES {
        let (mut serving, mut drained) = (Life::new(), Life::drained());
        assert!(!serving.answers_for_delivery() && drained.answers_for_delivery());
        serving.close(cause);
        drained.close(cause);
        let answers = !matches!(cause, Cause::Reset | Cause::Refused | Cause::Busy);
        assert!(!serving.answers_for_delivery());
        assert_eq!(drained.answers_for_delivery(), answers, "{cause:?}");
    }
}

#[test]
fn a_drain_ends_a_quiet_peer_once_it_has_everything() {
    let mut life = Life::new();
    life.received(100, 10);
    life.drain(3_000, 2_500);
    assert_eq!(life.deadline(), Some(12_500), "an incomplete frame may go on");
    life.decided(10);
    life.queued(3_500, 10);
    assert_eq!(life.drain_deadline(), Some(life.at(12_500)), "something is pending");
    life.sent(4_000, 10);
    assert_eq!(life.deadline(), Some(5_000));
    life.received(4_500, 1);
    life.decided(1);
    assert_eq!(life.deadline(), Some(5_500));
    assert!(!life.timeout(5_499) && life.timeout(5_500));
    life.probed(5_500, 10, 0);
    life.assert_ended(Cause::Quiet, Action::SendFin);
}

#[test]
fn a_drain_reads_on_after_its_fin_until_its_deadline() {
    let mut life = Life::drained();
    life.timeout(1_000);
    life.probed(1_000, 0, 0);
    life.fin_sent(1_000);
    assert!(life.wants_input());
    assert_eq!((life.action(), life.deadline()), (Action::Continue, Some(10_000)));
    assert_eq!(life.received(2_000, usize::MAX >> 1), OnReceive::Drop);
    assert!(life.wants_input(), "late bytes are not counted against anything");
    life.timeout(9_999);
    assert!(!life.is_closed());
    life.timeout(10_000);
    life.assert_ended(Cause::Quiet, Action::Close);
    assert!(!life.is_cut());
}

#[test]
fn who_drains_sees_everything_delivered_before_it_closes() {
    let mut life = Life::drained();
    life.queued(0, 10);
    life.peer_finished();
    life.end(CloseReason::Finished);
    life.sent(0, 10);
    life.assert_ended(Cause::Finished, Action::SendFin);
    life.fin_sent(0);
    assert_eq!((life.action(), life.deadline()), (Action::Continue, Some(10)));
    life.probed(10, 3, 8);
    assert_eq!((life.action(), life.deadline()), (Action::Continue, Some(20)));
    life.probed(20, 10, 1);
    life.assert_ended(Cause::Finished, Action::Close);
}

#[test]
fn after_the_drain_deadline_there_is_time_to_flush_and_no_more() {
    let mut life = Life::drained();
    life.queued(9_000, 10);
    life.timeout(9_999);
    life.probed(9_999, 0, 5);
    assert!(life.is_open());
    assert!(life.timeout(10_000));
    life.probed(10_000, 0, 5);
    life.assert_ended(Cause::Abandoned, Action::Continue);
    assert_eq!(life.deadline(), Some(12_000));
    life.timeout(11_999);
    assert!(!life.is_closed());
    life.timeout(12_000);
    life.assert_ended(Cause::Abandoned, Action::Close);
}

/// As where the process stood still.
#[test]
fn a_drain_deadline_that_is_seen_late_leaves_a_whole_flush() {
    let mut life = Life::drained();
    life.timeout(11_500);
    life.probed(11_500, 0, 0);
    life.assert_ended(Cause::Abandoned, Action::SendFin);
    assert_eq!(life.deadline(), Some(13_500));
    life.fin_sent(11_600);
    assert_eq!(life.deadline(), Some(13_500));
    life.timeout(13_499);
    assert!(!life.is_closed());
    life.timeout(13_500);
    life.assert_ended(Cause::Abandoned, Action::Close);
}

#[test]
fn a_peer_that_went_quiet_has_until_the_drain_deadline_to_take_our_fin() {
    let mut life = Life::drained();
    life.timeout(1_000);
    life.probed(1_000, 0, 0);
    assert_eq!((life.action(), life.deadline()), (Action::SendFin, Some(10_000)));
    life.timeout(10_000);
    life.assert_ended(Cause::Quiet, Action::Close);
}

#[test]
fn who_was_refused_outlives_no_drain() {
    let mut life = Life::refused_at(0);
    life.drain(0, 0);
    life.received(0, 10);
    life.probed(0, 0, 9);
    assert_eq!(life.deadline(), Some(10));
    life.probed(11_999, 1, 9);
    life.timeout(11_999);
    assert!(!life.is_closed());
    life.timeout(12_000);
    life.assert_ended(Cause::Refused, Action::Close);
}

#[test]
fn without_a_drain_a_flush_has_no_end_but_a_stall() {
    let mut life = Life::new();
    life.queued(0, 10);
    life.end(REFUSED);
    life.probed(0, 0, 10);
    for seconds in 1..1_000 {
        life.timeout(seconds * 1_000);
        life.probed(seconds * 1_000, seconds, 10);
    }
    life.assert_ended(Cause::Refused, Action::Continue);
}

#[test]
fn who_is_not_read_is_neither_idle_nor_quiet() {
    for mut life in [Life::with_idle_timeout_ms(1_000), Life::drained()] {
        let now = life.at(400);
        life.not_read(now);
        assert_eq!(life.deadline(), Some(1_400));
    }
}
