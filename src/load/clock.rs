//! The run's clock.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the run started, the same for all its threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start_ns: u64,
}

impl Clock {
    pub(super) fn starting_now() -> Self {
        Self { start_ns: monotonic_ns() }
    }

    pub(super) fn now_ns(&self) -> u64 {
        monotonic_ns() - self.start_ns
    }
}

/// The start of a run, by its own clock and by the host's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) clock: Clock,
    pub(super) time: SystemTime,
}

impl Start {
    pub(super) fn now() -> Self {
        Self { clock: Clock::starting_now(), time: SystemTime::now() }
    }

    /// A start at a time that has just come. However late the caller was woken, the run's clock
    /// counts from that time.
    pub(super) fn at(time: SystemTime) -> Self {
        let passed_ns = SystemTime::now().duration_since(time).map_or(0, nanos);
        Self { clock: Clock { start_ns: monotonic_ns().saturating_sub(passed_ns) }, time }
    }
}

/// The value of `CLOCK_MONOTONIC`, which starts with the machine and never goes back
/// (clock_gettime(2)). As one number from the start: a difference of `Instant`s costs half as much
/// again as asking for the time.
fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A duration in whole nanoseconds; the longest that fits (584 years) if it is longer.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
