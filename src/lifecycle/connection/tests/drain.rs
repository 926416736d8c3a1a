//! A server that shuts down.

use super::*;

#[test]
fn who_drains_answers_for_what_is_on_its_way() {
    for cause in CAUSES {
        let (mut serving, mut drained) = (Life::new(), Life::drained());
        assert!(!serving.answers_for_delivery() && drained.answers_for_delivery());
        serving.close(cause);
        drained.close(cause);
        let is_unreachable = matches!(cause, Cause::Reset | Cause::Unanswered);
        let answers = !is_unreachable && !matches!(cause, Cause::Refused | Cause::Busy);
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
fn our_last_words_and_fin_are_no_echo() {
    let mut life = Life::drained();
    let now = life.at(0);
    life.queued(0, 30);
    life.queued_control(now, 15);
    life.queued_control(now, 5);
    assert_eq!((life.echo_among(20), life.echo_among(25)), (0, 5));
    life.queued(0, 10);
    assert_eq!(life.echo_among(25), 25, "what was said before an echo counts with it");
    life.peer_finished();
    life.end(CloseReason::Finished);
    life.sent(0, 60);
    life.fin_sent(0);
    assert_eq!(life.echo_among(26), 25);
}
