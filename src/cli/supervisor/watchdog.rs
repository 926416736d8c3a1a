//! Workers that do not come back to their loop.

use std::time::{Duration, Instant};

use super::TICK;
use crate::metrics::Snapshot;

/// Finds the worker that stays away from its loop too long.
#[derive(Debug)]
pub(super) struct Watchdog {
    limit: Duration,
    last_look: Option<Instant>,
    workers: Vec<Worker>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Worker {
    beats: u64,
    away: Duration,
}

/// A worker that hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hang {
    pub(super) worker: usize,
    away: Duration,
}

impl Watchdog {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, last_look: None, workers: Vec::new() }
    }

    /// Looks at the workers; returns the first that hangs.
    ///
    /// Time in which the watchdog itself did not run does not count, so that a process that was
    /// stopped, or a machine that slept, is not taken for one that hangs. Nor does time in which the
    /// worker `is_starved`: to end it would not give it a CPU.
    pub(super) fn look(
        &mut self,
        now: Instant,
        snapshots: &[Snapshot],
        mut is_starved: impl FnMut(usize) -> bool,
    ) -> Option<Hang> {
        let since = self.last_look.replace(now).unwrap_or(now);
        let passed = now.saturating_duration_since(since).min(2 * TICK);
        self.workers.resize(snapshots.len(), Worker::default());
        for (number, (worker, snapshot)) in self.workers.iter_mut().zip(snapshots).enumerate() {
            let beats = snapshot.beats;
            let is_back = snapshot.has_ended || beats != worker.beats;
            let away = match is_back {
                true => Duration::ZERO,
                false if is_starved(number) => worker.away,
                false => worker.away + passed,
            };
            *worker = Worker { beats, away };
        }
        let worker = self.workers.iter().position(|worker| worker.away >= self.limit)?;
        Some(Hang { worker, away: self.workers[worker].away })
    }
}

impl Hang {
    pub(super) fn describe(&self, cpu: Option<usize>) -> String {
        let place = cpu.map_or_else(String::new, |cpu| format!(" on CPU {cpu}"));
        format!(
            "worker {}{place} did not come back to its loop for {:.1} s (--hang-timeout): aborting",
            self.worker,
            self.away.as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(beats: u64) -> Snapshot {
        Snapshot { beats, ..Snapshot::default() }
    }

    #[test]
    fn a_worker_that_stays_away_is_found_and_one_that_lives_or_has_ended_is_not() {
        let (start, limit) = (Instant::now(), Duration::from_secs(2));
        let mut watchdog = Watchdog::new(limit);
        let ended = Snapshot { has_ended: true, ..at(3) };
        let looks = 1 + 2 * limit.as_millis() as u32 / TICK.as_millis() as u32;
        let found: Vec<_> = (0..looks)
            .filter_map(|look| {
                let snapshots = [at(look.into()), at(7), ended];
                watchdog.look(start + look * TICK, &snapshots, |_| false)
            })
            .collect();
        assert_eq!(found.first(), Some(&Hang { worker: 1, away: limit }));
        let text = found[0].describe(Some(3));
        assert!(text.starts_with("worker 1 on CPU 3 did not come back to its loop for 2.0 s"));
    }

    #[test]
    fn time_in_which_nothing_ran_does_not_count() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Duration::from_secs(2));
        assert_eq!(watchdog.look(start, &[at(1)], |_| false), None);
        assert_eq!(watchdog.look(start + TICK, &[at(1)], |_| false), None);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(watchdog.look(much_later, &[at(1)], |_| false), None);
        assert_eq!(watchdog.look(much_later + TICK, &[at(2)], |_| false), None);
    }

    #[test]
    fn time_in_which_a_worker_has_no_cpu_does_not_count() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Duration::from_secs(1));
        let mut look = |number: u32, is_starved| {
            watchdog
                .look(start + number * TICK, &[at(1), at(2)], |worker| worker == 1 && is_starved)
        };
        // Both have just come.
        assert_eq!(look(0, true), None);
        assert_eq!((1..4).find_map(|number| look(number, true)), None);
        assert_eq!(look(4, true).map(|hang| hang.worker), Some(0));
        // The other is judged by its own time, of which it had none.
        let mut watchdog = Watchdog::new(Duration::from_secs(1));
        let mut look = |number: u32, is_starved| {
            watchdog.look(start + number * TICK, &[at(1)], |_| is_starved)
        };
        assert_eq!((0..100).find_map(|number| look(number, true)), None);
        assert_eq!((100..103).find_map(|number| look(number, false)), None);
        assert!(look(103, false).is_some());
    }
}
