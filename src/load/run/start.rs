//! The start of a run: at once, or at a time that was agreed on with others.
//!
//! A generator that misses the time makes no load at all: what it would measure is another load
//! than that of the others, and so would be what they measure.

use std::thread;
use std::time::{Duration, SystemTime};

use crate::load::clock::Start;
use crate::load::config::Config;
use crate::load::error::RunError;

/// How long to wait before looking whether the run was interrupted, or the host's clock was set.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How late this thread may wake up: the scheduler of a busy host lets one wait for so long. The
/// run's clock counts from the agreed time all the same.
const MAX_WAKE_UP_DELAY: Duration = Duration::from_millis(100);

/// Fails if the time has passed already, before anything is sent.
pub(super) fn check(config: &Config) -> Result<(), RunError> {
    match late_by(config) {
        Some(late) => Err(missed(config, late, "the generator was started after it")),
        None => Ok(()),
    }
}

/// Waits for the time, with everything in place.
pub(super) fn wait(config: &Config) -> Result<Start, RunError> {
    let Some(time) = config.start_at else { return Ok(Start::now()) };
    if let Some(late) = late_by(config) {
        return Err(missed(config, late, "connecting took too long"));
    }
    while let Some(left) = left_until(time) {
        if config.interrupt.is_raised() {
            return Err(RunError::Interrupted { doing: "waiting for --start-at" });
        }
        thread::sleep(left.min(POLL_INTERVAL));
    }
    match late_by(config) {
        Some(late) if late > MAX_WAKE_UP_DELAY => {
            Err(missed(config, late, "this host did not let the generator run"))
        }
        _ => Ok(Start::at(time)),
    }
}

fn left_until(time: SystemTime) -> Option<Duration> {
    time.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero())
}

/// For how long the time has passed.
fn late_by(config: &Config) -> Option<Duration> {
    SystemTime::now().duration_since(config.start_at?).ok()
}

fn missed(config: &Config, late: Duration, why: &'static str) -> RunError {
    let start_at = config.start_at.expect("only a time that was given is missed");
    RunError::MissedStart { start_at, late, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::config::Target;

    fn starting(at: SystemTime) -> Config {
        let target = Target::at(([127, 0, 0, 1], 7).into());
        Config::new(target).with(|config| config.start_at = Some(at))
    }

    #[test]
    fn a_run_counts_from_the_time_that_was_agreed_on() {
        // A host that stands still for so long makes it late.
        let started = [30, 300, 3_000].into_iter().find_map(|delay_ms| {
            let time = SystemTime::now() + Duration::from_millis(delay_ms);
            match wait(&starting(time)) {
                Ok(start) => Some((time, start)),
                Err(RunError::MissedStart { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        });
        let (time, start) = started.expect("it is in time once");
        assert_eq!(start.time, time);
        assert!(SystemTime::now() >= time, "it did not begin before");
        // However late it was woken.
        let start = Start::at(SystemTime::now() - Duration::from_secs(10));
        assert!(start.clock.now_ns() >= 9_900_000_000);
    }

    #[test]
    fn a_time_that_has_passed_is_missed_before_and_after_connecting() {
        let config = starting(SystemTime::now() - Duration::from_secs(3));
        let early = check(&config).unwrap_err().to_string();
        assert!(early.contains(" was missed by ") && early.contains("started after it"), "{early}");
        let Err(late) = wait(&config) else { panic!("it is late") };
        assert!(late.to_string().contains("connecting took too long"), "{late}");
    }

    #[test]
    fn an_interrupt_ends_the_wait() {
        let config = starting(SystemTime::now() + Duration::from_secs(1 << 32));
        config.interrupt.raise();
        let Err(error) = wait(&config) else { panic!("it is far away") };
        let words = "interrupted while waiting for --start-at: nothing was measured";
        assert_eq!(error.to_string(), words);
    }
}
