//! Settings and messages of the drivers' unit tests.

use std::ops::Range;
use std::time::Duration;

use super::Settings;
use crate::lifecycle::{DrainLimits, Limits};
use crate::protocol::{Config, FramedConfig, Header, Kind};
use crate::sys::RingSize;

/// Seconds that a frame has in [`framed`] settings.
pub(super) const FRAME_TIMEOUT: u64 = 10;

pub(super) fn raw() -> Settings {
    Settings {
        protocol: Config::Raw,
        limits: Limits::default(),
        drain: DrainLimits::default(),
        ring: RingSize::default(),
        spin: Duration::ZERO,
        spill_budget: 1 << 20,
    }
}

pub(super) fn framed() -> Settings {
    let frame_timeout = Duration::from_secs(FRAME_TIMEOUT);
    let protocol = Config::Framed(FramedConfig { frame_timeout, ..FramedConfig::default() });
    Settings { protocol, ..raw() }
}

/// Empty ECHO frames with these sequence numbers: 20 bytes each.
pub(super) fn frames(sequences: Range<u64>) -> Vec<u8> {
    sequences.flat_map(|sequence| Header::new(Kind::Echo, sequence, b"").encode()).collect()
}
