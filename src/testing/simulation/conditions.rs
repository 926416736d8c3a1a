//! How hard a seed makes it for the driver: faults of the kernel, and limits that it reaches.

use std::num::NonZero;
use std::time::Duration;

use crate::driver::{Settings, SpliceLimits};
use crate::lifecycle::{DrainLimits, Limits};
use crate::protocol::Framed;
use crate::sys::RingSize;
use crate::testing::either::Either;
use crate::testing::rng::Rng;

/// Short enough for every deadline to pass in the hostile time of some seeds.
pub(super) const DRAIN: DrainLimits = DrainLimits {
    quiet: Duration::from_millis(200),
    timeout: Duration::from_secs(1),
    flush: Duration::from_millis(200),
    accept_grace: Duration::from_millis(20),
};

/// How often, in percent, things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hostility {
    /// An operation or completion does not happen in this step.
    pub(super) delay: usize,
    /// A receive or send takes less than it could.
    pub(super) short: usize,
    /// A request ends without cause.
    pub(super) fault: usize,
}

impl Hostility {
    pub(super) const CALM: Self = Self { delay: 0, short: 0, fault: 0 };

    pub(super) fn random(rng: &mut Rng) -> Self {
        Self {
            delay: rng.between(0, 90),
            short: rng.between(0, 90),
            fault: *rng.pick(&[0, 1, 5, 30]),
        }
    }
}

/// Limits that let the server end connections of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scarcity {
    pub(super) places: usize,
    pub(super) places_per_peer: Option<NonZero<usize>>,
    pub(super) memory: usize,
    pub(super) stall_timeout: Duration,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) frame_timeout: Duration,
}

impl Scarcity {
    /// Limits that are never reached.
    pub(super) const NONE: Self = Self {
        places: usize::MAX,
        places_per_peer: None,
        memory: usize::MAX >> 1,
        stall_timeout: Duration::from_secs(3600),
        idle_timeout: None,
        frame_timeout: Duration::from_secs(3600),
    };

    pub(super) fn random(rng: &mut Rng) -> Self {
        if rng.chance(70) {
            return Self::NONE;
        }
        Self {
            places: if rng.chance(50) { rng.between(1, 8) } else { usize::MAX },
            places_per_peer: NonZero::new(if rng.chance(30) { rng.between(1, 4) } else { 0 }),
            memory: if rng.chance(50) { rng.between(1, 20_000) } else { usize::MAX >> 1 },
            stall_timeout: Duration::from_millis(rng.between(1, 1_000) as u64),
            idle_timeout: rng.chance(50).then(|| Duration::from_millis(rng.between(1, 500) as u64)),
            frame_timeout: Duration::from_millis(*rng.pick(&[20, 1_000, 3_600_000])),
        }
    }
}

/// The protocol that peers speak.
pub(super) fn protocol(is_framed: bool, scarcity: Scarcity) -> Either {
    let framed = Framed { max_frame: 1_000, frame_timeout: scarcity.frame_timeout };
    if is_framed { Either::Framed(framed) } else { Either::Raw }
}

/// The driver's settings under these limits.
pub(super) fn settings(rng: &mut Rng, scarcity: Scarcity) -> Settings {
    let high_water = *rng.pick(&[1, 64, 1_000, 20_000]);
    Settings {
        spin: Duration::ZERO,
        splice: SpliceLimits {
            pipes: if rng.chance(50) { rng.between(1, 4) } else { 0 },
            bulk: *rng.pick(&[1, 10, 100]),
        },
        limits: Limits {
            high_water,
            low_water: high_water / 4,
            stall_timeout: scarcity.stall_timeout,
            idle_timeout: scarcity.idle_timeout,
            ..Limits::default()
        },
        drain: DRAIN,
        ring: RingSize::default(),
        spill_budget: scarcity.memory,
        inherits_listeners: false,
    }
}
