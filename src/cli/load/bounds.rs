//! Bounds of options, and the errors that name them.

use std::time::Duration;

use super::error::LoadError;
use crate::units::{format_count, format_duration};

/// Schedules are exact to the nanosecond for this long.
const MAX_DURATION: Duration = Duration::from_secs(100 * 24 * 3600);

/// A run whose threads are only just awake tells nothing.
const MIN_DURATION: Duration = Duration::from_millis(10);

/// Loopback answers in tens of microseconds, a busy host in milliseconds.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

pub(super) fn within(option: &str, value: u64, least: u64, most: u64) -> Result<usize, LoadError> {
    if (least..=most).contains(&value) {
        return Ok(usize::try_from(value).expect("bounds are far below any address space"));
    }
    let (value, least, most) = (format_count(value), format_count(least), format_count(most));
    Err(LoadError::usage(format!("{option} {value} is not possible: use {least} to {most}")))
}

pub(super) fn check_times(
    duration: Duration,
    warmup: Duration,
    ramp_up: Duration,
    timeout: Duration,
) -> Result<(), LoadError> {
    if duration < MIN_DURATION {
        return Err(LoadError::usage(format!(
            "--duration of less than {} measures nothing: use 1s or more",
            format_duration(MIN_DURATION),
        )));
    }
    if !(MIN_TIMEOUT..=MAX_DURATION).contains(&timeout) {
        return Err(LoadError::usage(format!(
            "--timeout {} is not possible: use 1ms to 2400h",
            format_duration(timeout)
        )));
    }
    let total = duration.checked_add(warmup).and_then(|total| total.checked_add(ramp_up));
    if total.is_none_or(|total| total > MAX_DURATION) {
        return Err(LoadError::usage(
            "--duration, --warmup and --ramp-up are too long: together at most 2400h",
        ));
    }
    Ok(())
}
