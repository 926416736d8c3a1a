//! How a connection ends: farewell, delivery, cause.

use super::*;

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
    life.assert_ended(Cause::Finished, Action::Continue);
    assert!(life.take_probe(), "whether the peer has it decides how to close");
    life.probed(1, 10, 0);
    life.assert_ended(Cause::Finished, Action::Close);
    assert!(!life.take_probe());
}

#[test]
fn what_a_peer_that_finished_does_not_acknowledge_is_not_left_to_the_kernel() {
    let mut life = Life::new();
    life.queued(0, 10);
    life.peer_finished();
    life.end(CloseReason::Finished);
    life.sent(0, 10);
    assert!(life.take_probe());
    life.probed(0, 4, 6);
    life.assert_ended(Cause::Finished, Action::SendFin);
    life.fin_sent(0);
    assert_eq!((life.action(), life.deadline()), (Action::Continue, Some(10)));
    let mut taking = Life { lifecycle: life.lifecycle.clone(), ..life };
    assert!(taking.timeout(10));
    taking.probed(10, 10, 1);
    taking.assert_ended(Cause::Finished, Action::Close);
    assert!(!taking.is_cut());
    assert!(life.timeout(8_000));
    life.probed(8_000, 4, 7);
    life.assert_ended(Cause::Stalled, Action::Close);
    assert!(life.is_cut(), "it is reset");
}

#[test]
fn a_peer_that_finished_and_was_sent_nothing_is_closed_at_once() {
    let mut life = Life::new();
    life.peer_finished();
    life.end(CloseReason::Finished);
    assert!(!life.take_probe());
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
    assert!(!life.wants_input() && life.take_probe());
    life.probed(5, 20, 1);
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
