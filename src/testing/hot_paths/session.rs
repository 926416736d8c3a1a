//! The native driver's loop over a kernel that costs next to nothing: all that a worker does in
//! user space.

use std::sync::Arc;
use std::time::Duration;

use super::core::frame;
use super::world::{Habits, World};
use super::{Entry, HotPath};
use crate::driver::uring::Driver;
use crate::driver::{Settings, SpliceLimits};
use crate::lifecycle::{Admission, AdmissionLimits, DrainLimits, Limits};
use crate::protocol::{Framed, Kind, Protocol, Raw};
use crate::sys::RingSize;

pub(super) const ALL: [Entry; 7] = [
    ("session/raw-64B", || echoes(Raw, small(64))),
    ("session/raw-64B-alone", || echoes(Raw, small(1))),
    ("session/raw-64B-of-10000", || echoes(Raw, Habits { connections: 10_000, ..small(8) })),
    ("session/raw-64KiB", || echoes(Raw, Habits::talk(8, vec![0xA5; 64 << 10]))),
    ("session/framed-64B", || echoes(Framed::default(), Habits::talk(64, frame(Kind::Echo, 64)))),
    ("session/framed-64KiB", || {
        echoes(Framed::default(), Habits::talk(8, frame(Kind::Echo, 64 << 10)))
    }),
    ("session/churn-64B", || echoes(Raw, Habits { ends_after_one: true, ..small(64) })),
];

fn small(talkers: usize) -> Habits {
    Habits::talk(talkers, vec![0xA5; 64])
}

/// Echoes of a worker, as many as there are talkers; every connection has had one before.
fn echoes<P: Protocol>(protocol: P, habits: Habits) -> HotPath {
    let (echoes, bytes) = (habits.talkers, habits.message.len());
    let everybody = habits.connections as u64;
    let admission = Arc::new(Admission::new(LIMITS));
    let mut driver = Driver::new(World::new(habits), 1, protocol, settings(), admission);
    let mut due = everybody + 8 * echoes as u64;
    let mut go_on = move || {
        while driver.kernel().echoes() < due {
            driver.turn().expect("this kernel refuses nothing");
        }
        due += echoes as u64;
    };
    go_on();
    HotPath::new(echoes, bytes, go_on)
}

const LIMITS: AdmissionLimits =
    AdmissionLimits { max_connections: usize::MAX, max_per_peer: None, max_overflow: 0 };

/// Every kind of deadline is set.
fn settings() -> Settings {
    Settings {
        limits: Limits { idle_timeout: Some(Duration::from_secs(60)), ..Limits::default() },
        drain: DrainLimits::default(),
        ring: RingSize::default(),
        spin: Duration::ZERO,
        splice: SpliceLimits::NONE,
        spill_budget: 64 << 20,
        inherits_listeners: false,
    }
}
