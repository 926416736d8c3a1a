//! Deadlines of ten thousand connections.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::{Entry, HotPath};
use crate::lifecycle::{Alarm, Timers};

pub(super) const ALL: [Entry; 3] = [
    ("timers/postpone", postponed),
    ("timers/earlier-and-cancel", earlier),
    ("timers/expire", expired),
];

const CONNECTIONS: usize = 10_000;
/// Connections that something happens to in a repetition.
const ACTIVE: usize = 64;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// All have their idle deadlines, in the order of their numbers.
struct World {
    now: Instant,
    timers: Timers<usize>,
    alarms: Vec<Alarm>,
    /// Whose turn it is.
    next: usize,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut world = Self {
            now,
            timers: Timers::new(),
            alarms: vec![Alarm::default(); CONNECTIONS],
            next: 0,
        };
        for number in 0..CONNECTIONS {
            world.schedule(number, IDLE_TIMEOUT + Duration::from_micros(number as u64));
        }
        world
    }

    fn schedule(&mut self, number: usize, after: Duration) {
        self.timers.schedule(&mut self.alarms[number], number, Some(self.now + after));
    }

    /// The next of those whose turn it is.
    fn active(&mut self) -> usize {
        self.next = (self.next + 1) % CONNECTIONS;
        self.next
    }
}

/// Each message moves the idle deadline later.
fn postponed() -> HotPath {
    let mut world = World::new();
    HotPath::new(ACTIVE, 0, move || {
        world.now += Duration::from_micros(10);
        for _ in 0..ACTIVE {
            let number = world.active();
            world.schedule(black_box(number), 2 * IDLE_TIMEOUT);
        }
        black_box(world.timers.next());
    })
}

/// A stall deadline comes before the idle one, and goes with the last byte.
fn earlier() -> HotPath {
    let mut world = World::new();
    HotPath::new(ACTIVE, 0, move || {
        world.now += Duration::from_micros(10);
        for _ in 0..ACTIVE {
            let number = world.active();
            world.schedule(number, IDLE_TIMEOUT / 2);
            world.timers.cancel(&mut world.alarms[number], number);
            world.schedule(number, IDLE_TIMEOUT);
        }
    })
}

/// Entries come up, and are scheduled again.
fn expired() -> HotPath {
    let mut world = World::new();
    HotPath::new(ACTIVE, 0, move || {
        for _ in 0..ACTIVE {
            world.now = world.timers.next().expect("there are as many as connections");
            let number = world.timers.pop(world.now).expect("it is time");
            world.alarms[number].went_off();
            world.schedule(number, IDLE_TIMEOUT);
        }
    })
}
