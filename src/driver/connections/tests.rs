use super::*;
use crate::driver::connection::{CloseMode, Interest};
use crate::driver::shared_buffer::{SharedBuffer, Span};
use crate::driver::testing::{FRAME_TIMEOUT, framed, frames, raw};
use crate::lifecycle::{AcceptMode, AdmissionLimits};
use crate::protocol::{Header, Kind};
use crate::sys::Owned;
use crate::testing::either::Either;

/// The connections of a driver that receives what a test gives it and sends nothing.
struct World {
    connections: Connections<Either, Span, &'static str>,
    admission: Arc<Admission>,
    buffers: SharedBuffer,
    start: Instant,
}

/// Room for two, and for one that is told that there is none.
const LIMITS: AdmissionLimits =
    AdmissionLimits { max_connections: 2, max_per_peer: None, max_overflow: 1 };

impl World {
    fn new((protocol, settings): (Either, Settings)) -> Self {
        let admission = Arc::new(Admission::new(LIMITS));
        Self {
            connections: Connections::new(protocol, settings, Arc::clone(&admission)),
            admission,
            buffers: SharedBuffer::new(Vec::new()),
            start: Instant::now(),
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn admit(&mut self, transport: &'static str) -> Option<Key> {
        self.connections.admit(self.start, None, transport, &mut self.buffers)
    }

    /// Admits a connection and gives it its first turn.
    fn connect(&mut self, transport: &'static str) -> Key {
        let key = self.admit(transport).expect("there is room");
        self.turn(0);
        key
    }

    fn receive(&mut self, seconds: u64, key: Key, bytes: &[u8]) {
        *self.buffers.memory() = bytes.to_vec();
        let (now, lease) = (self.at(seconds), self.buffers.lease(bytes.len()));
        self.connections.handle_received(now, key, lease, &mut self.buffers);
    }

    fn advance(&mut self, seconds: u64, key: Key) -> Option<Action> {
        self.connections.advance(self.at(seconds), key, &mut self.buffers)
    }

    fn settle(&mut self, seconds: u64, key: Key, is_reading: bool) {
        self.connections.settle(self.at(seconds), key, is_reading, &mut self.buffers);
    }

    /// Gives every dirty connection its turn; returns those that had one, with what they wanted
    /// last. Who is to be closed is removed.
    fn turn(&mut self, seconds: u64) -> Vec<(Key, Action)> {
        let mut turns = Vec::new();
        self.connections.begin_turn();
        while let Some(key) = self.connections.next_dirty() {
            let action = loop {
                let action = self.advance(seconds, key).expect("who is dirty is there");
                if matches!(action, Action::Wait(_) | Action::Close(_)) {
                    break action;
                }
            };
            match action {
                Action::Wait(Interest { read, .. }) => self.settle(seconds, key, read),
                _ => drop(self.remove(key, 0)),
            }
            turns.push((key, action));
        }
        turns
    }

    /// The keys of [`turn`](Self::turn).
    fn turn_of(&mut self) -> Vec<Key> {
        self.turn(0).into_iter().map(|(key, _)| key).collect()
    }

    /// Sends all that waits.
    fn send(&mut self, key: Key) -> usize {
        let connection = self.connections.get_mut(key).expect("it is there");
        let parts = connection.take_outgoing(usize::MAX);
        let length = parts.len();
        self.connections.handle_sent(self.start, key, parts, Ok(length), &mut self.buffers);
        length
    }

    fn timeout(&mut self, seconds: u64) {
        let now = self.at(seconds);
        self.connections.handle_timeout(now, &mut self.buffers);
    }

    fn shut_down(&mut self, urgency: Urgency) {
        self.connections.shut_down(self.start, urgency, &mut self.buffers);
    }

    /// A connection is over: because its peer went, unless it had another end.
    fn remove(&mut self, key: Key, unacknowledged: usize) -> &'static str {
        if self.cause(key).is_none() {
            self.connections.handle_failure(key, Errno::PIPE);
        }
        self.connections.remove(self.start, key, unacknowledged)
    }

    fn settings(&self) -> Settings {
        self.connections.settings
    }

    fn deadline(&self) -> Option<u64> {
        Some((self.connections.deadline()? - self.start).as_secs())
    }

    fn cause(&self, key: Key) -> Option<Cause> {
        self.connections.get(key)?.lifecycle().cause()
    }
}

fn with_budget(
    spill_budget: usize,
    (protocol, settings): (Either, Settings),
) -> (Either, Settings) {
    (protocol, Settings { spill_budget, ..settings })
}

const READ: Action = Action::Wait(Interest { read: true, write: false });
const READ_AND_WRITE: Action = Action::Wait(Interest { read: true, write: true });

#[test]
fn every_permit_comes_back() {
    let mut world = World::new(raw());
    let keys = [world.admit("first"), world.admit("second"), world.admit("overflow")];
    assert_eq!(world.admit("beyond"), None);
    let keys = keys.map(|key| key.expect("there is room"));
    assert_eq!((world.connections.len(), world.admission.permits()), (3, 3));
    assert_eq!(keys.map(|key| world.cause(key)), [None, None, Some(Cause::Busy)]);
    for (key, transport) in keys.into_iter().zip(["first", "second", "overflow"]) {
        assert_eq!(world.remove(key, 0), transport);
        assert!(world.connections.get(key).is_none());
    }
    assert_eq!((world.connections.len(), world.admission.permits()), (0, 0));
    let counters = world.connections.counters();
    let Counters { accepted, refused, refused_in_all, .. } = counters;
    assert_eq!((accepted, refused, refused_in_all, counters.closed()), (4, 2, 2, 4));
}

#[test]
fn a_connection_has_one_turn_for_all_that_happened_to_it() {
    let mut world = World::new(raw());
    let (first, second) = (world.connect("first"), world.connect("second"));
    assert!(!world.connections.has_work());
    world.connections.mark(second);
    world.receive(0, first, b"echo");
    world.connections.mark(second);
    world.connections.handle_eof(first);
    assert!(world.connections.has_work());
    assert_eq!(world.turn_of(), [second, first]);
    assert_eq!(world.connections.next_dirty(), None);
    assert!(!world.connections.has_work());
}

#[test]
fn whatever_happens_to_a_connection_gives_it_a_turn() {
    type Event = fn(&mut World, Key);
    let events: [Event; 6] = [
        |world, key| world.receive(0, key, b"echo"),
        |world, key| world.connections.handle_eof(key),
        |world, key| world.connections.handle_failure(key, Errno::CONNRESET),
        |world, key| {
            let probe = Probe { acknowledged: 0, queued: 9, is_over: true };
            world.connections.handle_probe(world.start, key, probe);
        },
        |world, _| world.shut_down(Urgency::Drain),
        |world, _| world.shut_down(Urgency::Stop),
    ];
    for event in events {
        let mut world = World::new(raw());
        let (key, _) = (world.connect("first"), world.connect("second"));
        event(&mut world, key);
        assert_eq!(world.connections.next_dirty(), Some(key));
    }
}

#[test]
fn a_connection_that_is_gone_has_no_turn() {
    let mut world = World::new(raw());
    let first = world.admit("first").expect("there is room");
    world.connections.leave_to_next_turn(first);
    world.remove(first, 0);
    let second = world.admit("second").expect("there is room");
    assert_eq!(second.slot, first.slot);
    world.connections.mark(first);
    world.connections.begin_turn();
    assert_eq!(world.connections.next_dirty(), Some(second));
    assert_eq!(world.connections.next_dirty(), None);
    assert_eq!(world.advance(0, first), None);
    world.settle(0, first, true);
    world.connections.handle_eof(first);
    world.connections.handle_failure(first, Errno::PIPE);
    assert!(!world.connections.has_work());
}

#[test]
fn who_used_up_its_turn_goes_on_in_the_next_one_in_order() {
    let mut world = World::new(framed());
    let (first, second) = (world.connect("first"), world.connect("second"));
    // Three turns of sixteen calls of eight frames.
    let count = 2 * 16 * 8 + 10;
    for key in [second, first] {
        world.receive(0, key, &frames(0..count));
        let Some(Action::Wait(Interest { read: false, .. })) = world.advance(0, key) else {
            panic!("a turn has a budget");
        };
        world.settle(0, key, false);
    }
    assert_eq!(world.connections.next_dirty(), None, "both have had their turn");
    assert!(world.connections.has_work(), "nobody is to wait");
    assert_eq!(world.turn_of(), [second, first]);
    assert!(world.connections.has_work());
    assert_eq!(world.turn_of(), [second, first]);
    assert!(!world.connections.has_work(), "all are answered");
    assert_eq!(world.send(first) + world.send(second), 2 * count as usize * 20);
    assert_eq!(world.connections.counters().bytes_sent, 2 * count * 20);
}

#[test]
fn where_memory_is_short_a_turn_goes_on_until_nothing_is_left_over() {
    let mut world = World::new(with_budget(40_000, framed()));
    let (first, second) = (world.connect("first"), world.connect("second"));
    let is_answered = |world: &mut World, key| {
        world.receive(0, key, &frames(0..1_200));
        (0..10).any(|_| world.advance(0, key) == Some(READ_AND_WRITE))
    };
    assert!(!is_answered(&mut world, first), "a turn has a budget");
    world.settle(0, first, false);
    assert!(world.connections.spilled_bytes() > 20_000);
    assert!(is_answered(&mut world, second), "what is left over would not fit");
}

#[test]
fn who_keeps_most_is_evicted_and_has_its_error_in_the_same_turn() {
    let mut world = World::new(with_budget(400, framed()));
    let (large, small) = (world.connect("large"), world.connect("small"));
    world.receive(0, large, &incomplete_frame(200));
    assert_eq!(world.turn(0), [(large, READ)]);
    world.receive(0, small, &incomplete_frame(2));
    assert_eq!(world.turn(0), [(small, READ), (large, READ_AND_WRITE)]);
    assert_eq!((world.cause(small), world.cause(large)), (None, Some(Cause::Evicted)));
    assert!(world.send(large) > 20, "an ERROR");
    world.receive(0, large, b"more");
    world.turn(0);
    assert_eq!(world.connections.spilled_bytes(), 2 + Owned::OVERHEAD);
    world.remove(large, 0);
    assert_eq!(world.connections.counters().evicted, 1);
}

#[test]
fn among_equals_who_waited_longest_is_evicted() {
    let mut world = World::new(with_budget(450, framed()));
    let (first, second) = (world.connect("first"), world.connect("second"));
    for (seconds, key) in [(0, first), (1, second)] {
        world.receive(seconds, key, &incomplete_frame(100));
        world.turn(seconds);
    }
    assert_eq!((world.cause(first), world.cause(second)), (Some(Cause::Evicted), None));
}

#[test]
fn an_eviction_counts_once_and_resets_a_peer_whose_error_does_not_fit_either() {
    let mut world = World::new(with_budget(100, framed()));
    let key = world.connect("only");
    world.receive(0, key, b"RB");
    assert_eq!(world.turn(0), [(key, READ), (key, Action::Close(CloseMode::Reset))]);
    assert_eq!((world.connections.counters().evicted, world.connections.spilled_bytes()), (1, 0));
}

#[test]
fn what_an_evicted_peer_is_being_sent_counts_until_it_comes_back() {
    let mut world = World::new(with_budget(200, raw()));
    let key = world.connect("only");
    world.receive(0, key, &[b'x'; 50]);
    world.turn(0);
    let connection = world.connections.get_mut(key).expect("it is there");
    let parts = connection.take_outgoing(usize::MAX);
    world.receive(0, key, &[b'x'; 50]);
    world.advance(0, key);
    world.settle(0, key, true);
    assert_eq!(world.cause(key), Some(Cause::Evicted));
    assert_eq!(world.connections.spilled_bytes(), 50 + Owned::OVERHEAD);
    world.connections.handle_sent(world.start, key, parts, Ok(50), &mut world.buffers);
    assert_eq!(world.turn(0), [(key, Action::Close(CloseMode::Reset))]);
    assert_eq!(world.connections.spilled_bytes(), 0);
}

#[test]
fn memory_is_free_when_what_waited_is_gone() {
    let mut world = World::new(framed());
    let (reader, other) = (world.connect("reader"), world.connect("other"));
    for key in [reader, other] {
        world.receive(0, key, &frames(0..10)[..199]);
        world.turn(0);
    }
    let kept = world.connections.spilled_bytes();
    assert!(kept >= 2 * (199 + Owned::OVERHEAD), "{kept}");
    for key in [reader, other] {
        world.receive(0, key, &frames(0..10)[199..]);
        world.turn(0);
        world.send(key);
        world.turn(0);
    }
    assert_eq!(world.connections.spilled_bytes(), 0);
    world.receive(0, other, b"RB");
    world.turn(0);
    world.connections.handle_failure(other, Errno::CONNRESET);
    assert_eq!(world.turn(0), [(other, Action::Close(CloseMode::Plain))]);
    assert_eq!(world.connections.spilled_bytes(), 0);
}

#[test]
fn a_deadline_gives_its_connection_a_turn() {
    let mut world = World::new(framed());
    let (late, other) = (world.connect("late"), world.connect("other"));
    world.receive(0, late, b"RB");
    world.turn(0);
    assert_eq!(world.deadline(), Some(FRAME_TIMEOUT));
    world.timeout(FRAME_TIMEOUT - 1);
    assert!(!world.connections.has_work());
    world.timeout(FRAME_TIMEOUT);
    assert_eq!(world.turn(FRAME_TIMEOUT), [(late, READ_AND_WRITE)]);
    assert_eq!((world.cause(late), world.cause(other)), (Some(Cause::Refused), None));
}

#[test]
fn a_deadline_that_moved_is_kept_when_its_first_time_has_come() {
    let mut world = World::new(framed());
    let key = world.connect("only");
    world.receive(0, key, &frames(0..1)[..19]);
    world.turn(0);
    world.receive(5, key, &frames(0..2)[19..39]);
    world.turn(5);
    world.send(key);
    world.turn(5);
    world.timeout(FRAME_TIMEOUT);
    world.turn(FRAME_TIMEOUT);
    assert_eq!((world.cause(key), world.deadline()), (None, Some(FRAME_TIMEOUT + 5)));
    world.connections.handle_failure(key, Errno::CONNRESET);
    world.turn(FRAME_TIMEOUT);
    assert_eq!(world.deadline(), None, "who is gone has no deadline");
}

#[test]
fn a_pause_is_settled_with_its_length() {
    let mut world = World::new(framed());
    let key = world.connect("only");
    world.receive(0, key, b"RB");
    world.turn(0);
    world.settle(1, key, false);
    world.settle(8, key, true);
    world.timeout(FRAME_TIMEOUT);
    world.turn(FRAME_TIMEOUT);
    assert_eq!((world.cause(key), world.deadline()), (None, Some(FRAME_TIMEOUT + 7)));
}

#[test]
fn a_worker_is_finished_when_its_listeners_and_connections_are_gone() {
    let mut world = World::new(framed());
    let key = world.connect("only");
    assert!(!world.connections.is_finished());
    world.shut_down(Urgency::Drain);
    assert_eq!(world.turn(0), [(key, READ_AND_WRITE)], "a GOAWAY");
    world.connections.accepting_mut().finish();
    assert!(!world.connections.is_finished());
    world.send(key);
    world.connections.handle_eof(key);
    world.turn(0);
    world.remove(key, 20 + 1);
    assert!(world.connections.is_finished());
    let Counters { lost_bytes, abandoned, finished, .. } = world.connections.counters();
    assert_eq!((lost_bytes, abandoned, finished), (0, 0, 0), "a GOAWAY and our FIN are no echo");
    assert_eq!(world.connections.counters().probes, 1, "it sent nothing");
}

#[test]
fn who_comes_during_a_drain_ends_with_it() {
    let mut world = World::new(framed());
    world.shut_down(Urgency::Drain);
    let late = world.at(5);
    let key = world.connections.admit(late, None, "late", &mut world.buffers).expect("room");
    world.receive(5, key, b"RB");
    world.turn(5);
    assert!(world.send(key) >= 20, "a GOAWAY");
    world.turn(5);
    let accept_grace = world.settings().drain.accept_grace;
    world.connections.handle_timeout(world.start + accept_grace, &mut world.buffers);
    world.connections.accepting_mut().finish();
    world.connections.shut_down(late, Urgency::Drain, &mut world.buffers);
    assert_eq!(world.deadline(), Some(world.settings().drain.timeout.as_secs()));
}

#[test]
fn a_stop_ends_everybody_and_whoever_comes_later() {
    let mut world = World::new(raw());
    let key = world.connect("early");
    world.receive(0, key, b"echo");
    world.shut_down(Urgency::Drain);
    world.shut_down(Urgency::Stop);
    let late = world.admit("late").expect("there is room");
    for (key, unacknowledged) in [(key, 6), (late, 0)] {
        assert_eq!(world.advance(0, key), Some(Action::Close(CloseMode::Accounting)));
        world.remove(key, unacknowledged);
    }
    let Counters { lost_bytes, abandoned, ended_by_shutdown, .. } = world.connections.counters();
    assert_eq!((lost_bytes, abandoned, ended_by_shutdown), (4 + 6, 1, 2));
}

#[test]
fn what_the_kernel_could_not_deliver_is_lost_but_for_our_fin() {
    let mut world = World::new(raw());
    let key = world.connect("only");
    world.shut_down(Urgency::Drain);
    world.receive(0, key, b"echo");
    world.turn(0);
    world.send(key);
    world.connections.handle_eof(key);
    world.turn(0);
    world.remove(key, 3);
    let Counters { lost_bytes, abandoned, bytes_received, bytes_sent, .. } =
        world.connections.counters();
    assert_eq!((lost_bytes, abandoned, bytes_received, bytes_sent), (2, 1, 4, 4));
}

#[test]
fn accepting_pauses_for_want_of_descriptors_until_a_connection_closes() {
    let mut world = World::new(raw());
    let key = world.connect("only");
    world.connections.handle_accept_failure(world.start, Errno::CONNABORTED);
    assert_eq!(world.connections.accepting().accept_mode(), AcceptMode::Open);
    world.connections.handle_accept_failure(world.start, Errno::MFILE);
    assert_eq!(world.connections.accepting().accept_mode(), AcceptMode::Paused);
    assert!(world.connections.deadline().is_some(), "it ends by itself as well");
    world.remove(key, 0);
    assert_eq!(world.connections.accepting().accept_mode(), AcceptMode::Open);
    world.connections.handle_queue_dropped(3);
    let Counters { accept_pauses, unaccepted, .. } = world.connections.counters();
    assert_eq!((accept_pauses, unaccepted), (1, 3));
}

/// The first bytes of an ECHO frame with a long payload.
fn incomplete_frame(length: usize) -> Vec<u8> {
    let payload = [0; 1_000];
    let header = Header::new(Kind::Echo, 0, &payload).encode();
    [&header[..], &payload].concat()[..length].to_vec()
}
