//! Settings and messages of the drivers' unit tests.

use std::ops::Range;
use std::time::Duration;

use super::{Settings, SpliceLimits};
use crate::lifecycle::{DrainLimits, Limits};
use crate::protocol::{Framed, Header, Kind};
use crate::sys::RingSize;
use crate::testing::either::Either;

/// Seconds that a frame has in [`framed`].
pub(super) const FRAME_TIMEOUT: u64 = 10;

pub(super) fn raw() -> (Either, Settings) {
    (Either::Raw, settings())
}

pub(super) fn framed() -> (Either, Settings) {
    let frame_timeout = Duration::from_secs(FRAME_TIMEOUT);
    (Either::Framed(Framed { frame_timeout, ..Framed::default() }), settings())
}

fn settings() -> Settings {
    Settings {
        limits: Limits::default(),
        drain: DrainLimits::default(),
        ring: RingSize::default(),
        spin: Duration::ZERO,
        splice: SpliceLimits::NONE,
        spill_budget: 1 << 20,
        inherits_listeners: false,
    }
}

/// Empty ECHO frames with these sequence numbers: 20 bytes each.
pub(super) fn frames(sequences: Range<u64>) -> Vec<u8> {
    sequences.flat_map(|sequence| Header::new(Kind::Echo, sequence, b"").encode()).collect()
}
