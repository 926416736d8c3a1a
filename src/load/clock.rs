//! The run's clock.

use std::time::{Duration, Instant};

/// Nanoseconds since the run began, the same for all its threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn starting_now() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn now_ns(&self) -> u64 {
        nanos(self.start.elapsed())
    }
}

/// A duration in whole nanoseconds; the longest that fits (584 years) if it is longer.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
