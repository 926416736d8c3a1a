//! Who is idle, who has stalled, and what counts as progress.

use super::*;

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
fn who_is_not_read_is_neither_idle_nor_quiet() {
    for mut life in [Life::with_idle_timeout_ms(1_000), Life::drained()] {
        let now = life.at(400);
        life.not_read(now);
        assert_eq!(life.deadline(), Some(1_400));
    }
}
