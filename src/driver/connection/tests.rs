use std::time::Duration;

use super::*;
use crate::driver::shared_buffer::{SharedBuffer, Span};
use crate::driver::testing::{FRAME_TIMEOUT, framed, frames, raw};
use crate::protocol::{ErrorCode, FramedClient, Protocol, Reply};
use crate::testing::either::{Either, EitherConnection};

/// A connection with a driver that does what a test says.
struct World {
    connection: Connection<EitherConnection, Span, ()>,
    buffers: SharedBuffer,
    settings: Settings,
    start: Instant,
}

impl World {
    fn new((protocol, settings): (Either, Settings)) -> Self {
        let start = Instant::now();
        Self {
            connection: Connection::new((), Permit::Admitted(None), protocol.connection(), start),
            buffers: SharedBuffer::new(Vec::new()),
            settings,
            start,
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn receive(&mut self, seconds: u64, bytes: &[u8]) {
        *self.buffers.memory() = bytes.to_vec();
        let lease = self.buffers.lease(bytes.len());
        let now = self.at(seconds);
        self.connection.handle_received(now, lease, &self.settings, &mut self.buffers);
    }

    fn advance(&mut self) -> Action {
        self.connection.advance(self.start, &self.settings, &mut self.buffers)
    }

    /// As a driver ends a turn with this.
    fn settle(&mut self, seconds: u64, is_reading: bool) {
        self.connection.end_turn(self.at(seconds), is_reading, &mut self.buffers);
    }

    fn timeout(&mut self, seconds: u64) {
        let now = self.at(seconds);
        self.connection.handle_timeout(now, &self.settings, &mut self.buffers);
    }

    /// In seconds.
    fn deadline(&self) -> Option<u64> {
        let deadline = self.connection.deadline(&self.settings)?;
        Some((deadline - self.start).as_secs())
    }

    /// Sends what waits, but takes only so many bytes of it; returns them.
    fn send(&mut self, most: usize) -> Vec<u8> {
        let parts = self.connection.take_outgoing(usize::MAX);
        let mut bytes: Vec<u8> = Vec::new();
        for part in parts.iter() {
            bytes.extend_from_slice(crate::driver::buffers::bytes_of(part, &self.buffers));
        }
        bytes.truncate(most);
        let sent = self.sent(parts, Ok(bytes.len()));
        assert_eq!(sent, bytes.len());
        bytes
    }

    /// Receives bytes and sends them as if that were done.
    fn assume_sent(&mut self, seconds: u64, bytes: &[u8]) -> Parts<Span> {
        self.receive(seconds, bytes);
        assert_eq!(self.advance(), Action::Wait(READ_AND_WRITE));
        let parts = self.connection.take_outgoing(usize::MAX);
        assert!(self.connection.may_assume_sent());
        self.connection.assume_sent(self.at(seconds));
        self.settle(seconds, true);
        parts
    }

    fn sent(&mut self, parts: Parts<Span>, result: Result<usize, Errno>) -> usize {
        self.connection.handle_sent(self.start, parts, result, &mut self.buffers)
    }

    /// The kernel answers a probe.
    fn probed(&mut self, seconds: u64, acknowledged: u64, queued: usize) {
        let probe = Probe { acknowledged, queued, is_over: false };
        self.connection.handle_probe(self.at(seconds), probe, &self.settings);
    }

    fn evict(&mut self) {
        self.connection.evict(self.start, &self.settings, &mut self.buffers);
    }

    fn abandon(&mut self) {
        self.connection.abandon(self.start, &self.settings, &mut self.buffers);
    }

    fn drain(&mut self) {
        self.connection.drain(self.start, self.start, &self.settings, &mut self.buffers);
    }

    /// That nothing is kept, on lease or in memory of our own.
    fn assert_empty(&mut self) {
        assert_eq!(self.connection.charge(), 0);
        self.buffers.memory();
    }
}

const READ: Interest = Interest { read: true, write: false };
const READ_AND_WRITE: Interest = Interest { read: true, write: true };
const WRITE: Interest = Interest { read: false, write: true };

/// The code of the ERROR that a peer reads.
fn error_in(bytes: &[u8]) -> Option<ErrorCode> {
    let mut client = FramedClient::new(1);
    client.handle_input(bytes).expect("it is well-formed");
    match client.poll_reply() {
        Some(Reply::Error(error)) => error.code(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_go_back_in_order_and_a_short_send_goes_on_where_it_ended() {
    let mut world = World::new(raw());
    assert_eq!(world.advance(), Action::Wait(READ));
    world.receive(0, b"Hello, ");
    assert_eq!(world.advance(), Action::Wait(READ_AND_WRITE));
    assert_eq!(world.send(3), b"Hel");
    assert_eq!(world.connection.lifecycle().unsent(), 4);
    world.settle(0, true);
    world.receive(0, b"world");
    assert_eq!(world.advance(), Action::Wait(READ_AND_WRITE));
    assert_eq!(world.send(usize::MAX), b"lo, world");
    assert_eq!(world.advance(), Action::Wait(READ));
    world.assert_empty();
}

#[test]
fn a_turn_has_a_budget() {
    let mut world = World::new(framed());
    let a_turn = 8 * MAX_CALLS_PER_TURN;
    let all = frames(0..2 * a_turn as u64 + 10);
    world.receive(0, &all);
    for turn in 1..=2 {
        for _asked_again in 0..2 {
            assert_eq!(world.advance(), Action::Wait(WRITE), "no more is read meanwhile");
            assert_eq!(world.connection.lifecycle().unsent(), 20 * turn * a_turn);
        }
        assert!(world.connection.has_work_left());
        world.settle(0, false);
    }
    assert_eq!(world.advance(), Action::Wait(READ_AND_WRITE));
    assert!(!world.connection.has_work_left());
    assert_eq!(world.send(usize::MAX), all);
    world.assert_empty();
}

#[test]
fn the_core_learns_of_the_end_after_the_bytes_before_it() {
    let mut world = World::new(framed());
    let all = frames(0..8 * MAX_CALLS_PER_TURN as u64 + 10);
    world.receive(0, &all);
    world.connection.handle_eof();
    assert_eq!(world.advance(), Action::Wait(WRITE));
    assert!(world.connection.lifecycle().is_open());
    world.settle(0, false);
    assert_eq!(world.advance(), Action::Wait(WRITE));
    assert_eq!(world.connection.lifecycle().cause(), Some(Cause::Finished));
    assert_eq!(world.send(usize::MAX), all);
    assert_eq!(world.advance(), Action::Probe);
    world.probed(0, all.len() as u64, 0);
    assert_eq!(world.advance(), Action::Close(CloseMode::Plain));
    assert_eq!(world.connection.unsent_at_end(), 0);
    world.assert_empty();
}

#[test]
fn a_peer_that_does_not_read_is_stopped_at_high_water_and_its_frames_wait() {
    let (protocol, mut settings) = framed();
    (settings.limits.high_water, settings.limits.low_water) = (2_000, 500);
    let mut world = World::new((protocol, settings));
    world.receive(0, &frames(0..300));
    assert_eq!(world.advance(), Action::Wait(WRITE));
    // Each call forwards eight frames, which lie together: they are one part.
    let unsent = (2_000 - Owned::OVERHEAD).div_ceil(8 * 20) * 8 * 20;
    assert_eq!(world.connection.lifecycle().unsent(), unsent);
    assert!(!world.connection.has_work_left(), "its turn comes when it reads");
    world.settle(0, false);
    world.send(unsent - 1);
    assert_eq!(world.advance(), Action::Wait(WRITE));
    // Copies join, so that there is one part now.
    let unsent = world.connection.lifecycle().unsent();
    assert!((2_000..2_000 + 8 * 20).contains(&(unsent + Owned::OVERHEAD)), "{unsent}");
}

#[test]
fn what_waits_is_charged_with_what_it_costs_to_remember_it() {
    let (protocol, mut settings) = raw();
    (settings.limits.high_water, settings.limits.low_water) = (Owned::OVERHEAD + 1, 0);
    let mut world = World::new((protocol, settings));
    world.receive(0, b"x");
    assert_eq!(world.advance(), Action::Wait(WRITE), "one byte in one part");
    let parts = world.connection.take_outgoing(usize::MAX);
    assert_eq!(world.advance(), Action::Wait(Interest { read: false, write: false }));
    world.sent(parts, Ok(1));
    assert_eq!(world.advance(), Action::Wait(READ));
}

#[test]
fn what_has_to_wait_is_copied_out_of_its_buffer() {
    let mut world = World::new(framed());
    let first = frames(0..1);
    world.receive(0, &first[..19]);
    world.advance();
    assert_eq!(world.connection.charge(), 0);
    world.settle(0, true);
    assert_eq!(world.connection.charge(), 19 + Owned::OVERHEAD);
    world.receive(0, &first[19..]);
    world.advance();
    world.settle(0, true);
    assert!(world.connection.charge() >= 20 + Owned::OVERHEAD, "what is to be sent");
    let parts = world.connection.take_outgoing(usize::MAX);
    assert!(world.connection.charge() >= 20 + Owned::OVERHEAD, "what is being sent");
    world.sent(parts, Ok(20));
    world.assert_empty();
}

#[test]
fn a_pause_is_added_to_the_time_of_a_frame() {
    let mut world = World::new(framed());
    world.receive(0, b"RB");
    world.advance();
    world.settle(0, true);
    assert_eq!(world.deadline(), Some(FRAME_TIMEOUT));
    world.settle(1, false);
    world.settle(2, false);
    assert_eq!(world.deadline(), None, "it cannot go on");
    world.timeout(FRAME_TIMEOUT + 1);
    world.settle(6, true);
    assert_eq!(world.deadline(), Some(FRAME_TIMEOUT + 5));
    world.timeout(FRAME_TIMEOUT + 4);
    assert!(world.connection.lifecycle().is_open());
    world.timeout(FRAME_TIMEOUT + 5);
    assert_eq!(world.connection.lifecycle().cause(), Some(Cause::Refused));
    assert_eq!(error_in(&world.send(usize::MAX)), Some(ErrorCode::FrameTimeout));
}

#[test]
fn what_arrived_in_time_is_looked_at_before_the_time_is() {
    let mut world = World::new(framed());
    let all = frames(0..600);
    world.receive(0, &all[..1]);
    world.advance();
    world.settle(0, true);
    world.receive(FRAME_TIMEOUT - 1, &all[1..]);
    world.timeout(FRAME_TIMEOUT + 1);
    assert!(world.connection.lifecycle().is_open());
    assert_eq!(world.send(usize::MAX), all);
}

#[test]
fn a_frame_that_is_refused_is_freed_with_all_that_follows() {
    let mut world = World::new(framed());
    world.receive(0, b"no frame at all, and more of it");
    assert_eq!(world.advance(), Action::Wait(READ_AND_WRITE));
    assert_eq!(error_in(&world.send(usize::MAX)), Some(ErrorCode::BadMagic));
    world.assert_empty();
    assert_eq!(world.advance(), Action::SendFin);
    world.receive(0, b"late");
    world.assert_empty();
    assert_eq!(world.connection.lifecycle().late(), 4);
}

#[test]
fn who_is_evicted_is_told_once_and_then_reset() {
    let mut world = World::new(framed());
    world.receive(0, b"RB");
    world.advance();
    world.settle(0, true);
    world.evict();
    assert_eq!(world.connection.lifecycle().cause(), Some(Cause::Evicted));
    assert_eq!(error_in(&world.send(usize::MAX)), Some(ErrorCode::Busy));
    world.assert_empty();
    world.evict();
    world.evict();
    assert_eq!(world.advance(), Action::Close(CloseMode::Reset));
}

#[test]
fn who_does_not_read_is_evicted_without_a_word() {
    let mut world = World::new(raw());
    world.receive(0, b"echo");
    world.advance();
    world.settle(0, true);
    world.evict();
    assert_eq!(world.advance(), Action::Close(CloseMode::Reset));
    world.assert_empty();
    assert_eq!(world.connection.unsent_at_end(), 4);
}

#[test]
fn the_cause_decides_how_a_connection_is_closed() {
    let cases = [
        (Cause::Reset, CloseMode::Plain),
        (Cause::Failed, CloseMode::Plain),
        (Cause::Abandoned, CloseMode::Plain),
        (Cause::Stalled, CloseMode::Reset),
        (Cause::Evicted, CloseMode::Reset),
    ];
    for (cause, mode) in cases {
        let mut world = World::new(raw());
        world.connection.lifecycle.close(cause);
        assert_eq!(world.advance(), Action::Close(mode), "{cause:?}");
    }
    let mut world = World::new(raw());
    world.drain();
    world.connection.lifecycle.close(Cause::Stalled);
    assert_eq!(world.advance(), Action::Close(CloseMode::Accounting), "its bytes are counted");
}

#[test]
fn what_was_to_go_back_and_did_not_is_known_at_the_end() {
    let mut world = World::new(framed());
    world.receive(0, &frames(0..600));
    world.drain();
    world.advance();
    let parts = world.connection.take_outgoing(usize::MAX);
    world.abandon();
    assert_eq!(world.advance(), Action::Close(CloseMode::Accounting));
    let a_turn = 8 * MAX_CALLS_PER_TURN;
    assert_eq!(world.connection.unsent_at_end(), (600 - a_turn) * 20, "some are still being sent");
    world.sent(parts, Ok(10));
    assert_eq!(world.advance(), Action::Close(CloseMode::Accounting));
    assert_eq!(world.connection.unsent_at_end(), 600 * 20, "what is left of a GOAWAY is no echo");
    world.advance();
    assert_eq!(world.connection.unsent_at_end(), 600 * 20, "nothing counts twice");
    world.assert_empty();
}

#[test]
fn a_failure_that_says_again_ends_nothing() {
    for (error, cause) in [
        (Errno::AGAIN, None),
        (Errno::INTR, None),
        (Errno::CANCELED, None),
        (Errno::PIPE, Some(Cause::Reset)),
        (Errno::TIMEDOUT, Some(Cause::Unanswered)),
        (Errno::NOMEM, Some(Cause::Failed)),
    ] {
        let mut world = World::new(raw());
        world.receive(0, b"echo");
        world.advance();
        let parts = world.connection.take_outgoing(usize::MAX);
        assert_eq!(world.sent(parts, Err(error)), 0);
        assert_eq!(world.connection.lifecycle().cause(), cause, "{error}");
        if cause.is_none() {
            assert_eq!(world.advance(), Action::Wait(READ_AND_WRITE));
            assert_eq!(world.send(usize::MAX), b"echo");
        } else {
            assert_eq!(world.advance(), Action::Close(CloseMode::Plain));
        }
        world.assert_empty();
    }
}

#[test]
fn a_peer_for_whom_there_is_no_room_is_told() {
    let mut world = World::new(framed());
    world.connection.refuse(world.start, Cause::Busy, &world.settings, &mut world.buffers);
    assert_eq!(world.advance(), Action::Wait(READ_AND_WRITE));
    assert_eq!(error_in(&world.send(usize::MAX)), Some(ErrorCode::Busy));
    assert_eq!(world.advance(), Action::SendFin);
    assert_eq!(world.connection.lifecycle().cause(), Some(Cause::Busy));
}

#[test]
fn a_peer_that_takes_nothing_is_asked_about_and_reset() {
    let mut world = World::new(raw());
    world.receive(0, b"echo");
    world.advance();
    world.settle(0, true);
    let stalled = world.settings.limits.stall_timeout.as_secs();
    world.timeout(stalled);
    assert_eq!(world.advance(), Action::Probe);
    assert_eq!(world.advance(), Action::Wait(READ_AND_WRITE), "asked once");
    for seconds in [0, stalled] {
        world.probed(seconds, 0, 9);
    }
    assert_eq!(world.advance(), Action::Close(CloseMode::Reset));
    world.assert_empty();
}

#[test]
#[should_panic(expected = "one send at a time")]
fn parts_are_taken_once_the_last_ones_came_back() {
    let mut world = World::new(raw());
    world.receive(0, b"echo");
    world.advance();
    let _parts = world.connection.take_outgoing(usize::MAX);
    world.connection.take_outgoing(usize::MAX);
}

#[test]
fn a_send_that_is_assumed_whole_leaves_the_deadlines_of_one_that_was() {
    let (protocol, mut settings) = raw();
    settings.limits.idle_timeout = Some(Duration::from_secs(5));
    let mut world = World::new((protocol, settings));
    let parts = world.assume_sent(2, b"Hello");
    assert_eq!((world.connection.lifecycle().unsent(), world.deadline()), (0, Some(7)));
    assert_eq!(world.sent(parts, Ok(5)), 5);
    assert_eq!(world.deadline(), Some(7), "its end is seen at any time");
    world.assert_empty();
}

#[test]
fn what_was_assumed_sent_and_was_not_waits_again() {
    for (result, left) in [(Ok(3), "lo"), (Err(Errno::AGAIN), "Hello")] {
        let mut world = World::new(raw());
        let parts = world.assume_sent(0, b"Hello");
        world.sent(parts, result);
        assert_eq!(world.connection.lifecycle().unsent(), left.len());
        assert_eq!(world.advance(), Action::Wait(READ_AND_WRITE));
        assert_eq!(world.send(usize::MAX), left.as_bytes());
        world.assert_empty();
    }
}

#[test]
fn who_ends_waits_for_the_send_that_was_assumed() {
    let mut world = World::new(raw());
    let parts = world.assume_sent(0, b"Hello");
    world.connection.handle_eof();
    assert_eq!(world.advance(), Action::Wait(Interest { read: false, write: false }));
    assert!(!world.connection.may_assume_sent());
    world.sent(parts, Ok(5));
    assert_eq!(world.advance(), Action::Probe, "before its end it is asked what arrived");
}

#[test]
fn who_is_not_read_is_not_idle() {
    let (protocol, mut settings) = raw();
    settings.limits.idle_timeout = Some(Duration::from_secs(5));
    let mut world = World::new((protocol, settings));
    world.settle(0, false);
    world.timeout(5);
    assert_eq!(world.advance(), Action::Wait(READ), "nobody is asked about it");
    assert_eq!(world.deadline(), Some(10));
    world.settle(7, true);
    assert_eq!(world.deadline(), Some(12), "from now on it can be silent");
    world.timeout(12);
    assert_eq!(world.advance(), Action::Probe);
}
