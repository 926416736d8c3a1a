//! Watches a run from outside the generator threads: tells how it goes, and reads the CPU
//! accounting at both ends of the measured window.

use std::sync::atomic::Ordering;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use rustix::process::getpid;

use crate::load::clock::{Clock, nanos};
use crate::load::config::Config;
use crate::load::engine::worker_pool::WorkerPool;
use crate::load::error::RunError;
use crate::load::record::counters::Counters;
use crate::load::record::cpu::{OwnThreads, ServerThreads};
use crate::load::record::evidence::Evidence;
use crate::load::record::host::CpuStat;
use crate::load::record::intervals::Intervals;
use crate::load::record::quotas::Quotas;
use crate::load::record::recorder::Recorder;
use crate::load::record::server_view::{Hidden, ServerView};
use crate::load::record::usage::{Sample, Usage};
use crate::load::record::waits::{Incomplete, Waits};
use crate::load::record::watch::{Phase, Progress, Watch};

const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Parts of the window after each of which the backlog is read.
const BACKLOG_STEPS: u64 = 6;

pub(crate) struct Observer<'run> {
    pub(crate) config: &'run Config,
    pub(crate) clock: Clock,
    pub(crate) counters: &'run [Counters],
    pub(crate) server: &'run ServerView,
    /// In the measured window: how long they wait.
    pub(crate) waits: Option<Waits<'run>>,
    pub(crate) generator: OwnThreads,
    pub(crate) cpus: &'run [usize],
    pub(crate) intervals: Intervals,
    pub(crate) host_stalls: Vec<ScopedJoinHandle<'run, ()>>,
    pub(crate) watch: &'run mut dyn Watch,
    /// When progress was reported last, and how many replies had come.
    pub(crate) reported: (u64, u64),
}

impl<'run> Observer<'run> {
    /// Stays with a pool from its start to its end. Returns what its threads recorded, added up,
    /// and adds to the evidence.
    pub(crate) fn observe(
        mut self,
        pool: WorkerPool<'_>,
        evidence: &mut Evidence,
    ) -> Result<Recorder, RunError> {
        let is_interrupted = || self.config.interrupt.is_raised();
        let ends_early = || pool.is_finished() || is_interrupted();
        self.wait(&pool, Phase::Warmup, evidence.window.start_ns, &ends_early);
        let before = self.sample(evidence);
        let now_ns = self.clock.now_ns();
        self.waits = Some(Waits::start(self.server_threads(), &self.generator, now_ns));
        let quotas = Quotas::start(&[getpid()]);
        evidence.backlogs.push(self.backlog());
        for part_end_ns in evidence.window.parts(BACKLOG_STEPS) {
            self.wait(&pool, Phase::Measuring, part_end_ns, &ends_early);
            evidence.backlogs.push(self.backlog());
        }
        let now_ns = self.clock.now_ns();
        if now_ns < evidence.window.end_ns && pool.is_finished() {
            evidence.gone_after_ns = Some(now_ns);
        } else if now_ns < evidence.window.end_ns {
            evidence.was_interrupted = true;
            evidence.window.end_ns = self.end_early(&pool);
        }
        let waits = self.waits.take();
        let waited = waits.map(|waits| waits.finish(self.clock.now_ns()));
        // On each CPU in use one of its threads measures the host's stalls.
        let cpus = self.generator.0.len().max(self.host_stalls.len()) as u64;
        evidence.used_up = quotas.finish(evidence.measured_ns(), cpus);
        let after = self.sample(evidence);
        evidence.usage = Usage::between(before, after, self.generator.0.len());
        let waits = waited.expect("they were started with the window");
        evidence.generator_foreign_share = waits.generator_foreign_share;
        match waits.server {
            Err(Incomplete) => evidence.hide_server(),
            // Replies came, and those who are taken for the server did nothing.
            Ok(_) if evidence.usage.server_ns_per_message == Some(0.0) => evidence.hide_server(),
            Ok(_) if is_much_unseen(evidence.usage.server_ns, waits.server_ran_ns) => {
                evidence.hide_waits(Hidden::Transient);
            }
            Ok(None) if self.has_server_threads() => evidence.hide_waits(Hidden::NoAccount),
            Ok(waited) => evidence.see_server(waited),
        }
        pool.release();
        evidence.was_interrupted |= self.drain(&pool, evidence.was_interrupted);
        let recorders = pool.join()?;
        for host_stall in self.host_stalls {
            host_stall.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        self.intervals.show(self.clock, self.watch);
        if evidence.measured_ns() == 0 {
            return Err(RunError::Interrupted { doing: "warming up" });
        }
        let idle_ns = recorders.iter().map(|recorder| recorder.idle_ns);
        let idle_and_waited_ns =
            idle_ns.zip(waits.generator_waited_ns).map(|(idle_ns, waited_ns)| idle_ns + waited_ns);
        evidence.busiest = busiest(evidence.measured_ns(), idle_and_waited_ns);
        let all = recorders.into_iter().reduce(|mut all, recorder| {
            all.merge(&recorder);
            all
        });
        let mut all = all.expect("a run has at least one thread");
        *all.latencies = self.intervals.into_total();
        Ok(all)
    }

    /// Waits for the last replies: not for long where the window was cut short, and no longer once
    /// the user does not want to. Returns whether that was so.
    fn drain(&mut self, pool: &WorkerPool<'_>, was_interrupted: bool) -> bool {
        /// Of a run that was interrupted, for what is on the way.
        const SHORT_DRAIN_NS: u64 = 1_000_000_000;
        let config = self.config;
        let until_ns =
            if was_interrupted { self.clock.now_ns() + SHORT_DRAIN_NS } else { u64::MAX };
        let is_unwanted = || !was_interrupted && config.interrupt.is_raised();
        self.wait(pool, Phase::Draining, until_ns, &|| pool.is_finished() || is_unwanted());
        if pool.is_finished() {
            return false;
        }
        pool.abort();
        self.wait(pool, Phase::Draining, u64::MAX, &|| pool.is_finished());
        true
    }

    /// Ends the measured window; returns when.
    fn end_early(&mut self, pool: &WorkerPool<'_>) -> u64 {
        /// Threads hear of it before it comes, so that none measures beyond it.
        const NOTICE_NS: u64 = 20_000_000;
        let end_ns = self.clock.now_ns() + NOTICE_NS;
        pool.end_at(end_ns);
        self.intervals.end_at(end_ns);
        self.wait(pool, Phase::Measuring, end_ns, &|| pool.is_finished());
        end_ns
    }

    /// Waits for a time of the run or its end, whichever comes first, and tells how it goes.
    fn wait(
        &mut self,
        pool: &WorkerPool<'_>,
        phase: Phase,
        until_ns: u64,
        is_over: &dyn Fn() -> bool,
    ) {
        /// Soon enough for nobody to notice that the run had ended.
        const POLL_INTERVAL: Duration = Duration::from_millis(10);
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= until_ns || is_over() {
                return;
            }
            if self.intervals.is_due(now_ns) {
                // Threads that wait for replies have a second to give as well.
                pool.wake();
            }
            self.intervals.show(self.clock, self.watch);
            if let Some(waits) = &mut self.waits {
                waits.look(now_ns);
            }
            let (reported_ns, reported_received) = self.reported;
            if now_ns - reported_ns >= nanos(PROGRESS_INTERVAL) {
                let received = self.received();
                self.watch.progress(Progress {
                    phase,
                    elapsed: Duration::from_nanos(now_ns),
                    planned: self.config.warmup + self.config.duration,
                    messages_per_s: (received - reported_received) as f64 * 1e9
                        / (now_ns - reported_ns) as f64,
                    p99_ns: self.intervals.p99_ns(),
                });
                self.reported = (now_ns, received);
            }
            let nap = if phase == Phase::Draining { POLL_INTERVAL } else { POLL_INTERVAL * 5 };
            thread::sleep(nap.min(Duration::from_nanos(until_ns - now_ns)));
        }
    }

    fn sample(&self, evidence: &Evidence) -> Sample {
        let stat = CpuStat::read();
        let stolen_of_each_ns =
            |cpus: &Vec<usize>| stat.stolen_ns(cpus)?.checked_div(cpus.len() as u64);
        Sample {
            at_ns: self.clock.now_ns(),
            received: self.received(),
            server_ns: self.server_threads().and_then(ServerThreads::used_ns),
            generator: self.generator.time(),
            stolen_ns: stat.stolen_ns(self.cpus),
            stolen_of_sides_ns: [&evidence.generator_cpus, &evidence.server.cpus]
                .map(stolen_of_each_ns),
        }
    }

    fn has_server_threads(&self) -> bool {
        self.server_threads().is_some_and(|server| !server.directories().is_empty())
    }

    fn server_threads(&self) -> Option<&'run ServerThreads> {
        self.server.threads.as_ref().ok()
    }

    fn received(&self) -> u64 {
        self.counters.iter().map(|thread| thread.received.load(Ordering::Relaxed)).sum()
    }

    /// Messages that were due and are not answered.
    fn backlog(&self) -> u64 {
        let intended: u64 =
            self.counters.iter().map(|thread| thread.intended.load(Ordering::Relaxed)).sum();
        // A thread that works meanwhile may have more replies than were asked for a moment ago.
        intended.saturating_sub(self.received())
    }
}

/// The share of the window in which the busiest thread neither was idle nor waited for its CPU.
fn busiest(window_ns: u64, idle_and_waited_ns: impl Iterator<Item = u64>) -> f64 {
    let least_ns = idle_and_waited_ns.min().unwrap_or(window_ns);
    window_ns.saturating_sub(least_ns) as f64 / window_ns as f64
}

/// Returns whether threads that nobody saw did more than a tenth of the server's work: they came and
/// went between two looks.
fn is_much_unseen(used_ns: Option<u64>, seen_ns: u64) -> bool {
    /// Of children that ended the kernel counts ticks of 10 ms.
    const MIN_USED_NS: u64 = 50_000_000;
    used_ns.is_some_and(|used_ns| used_ns >= MIN_USED_NS && seen_ns / 9 < used_ns / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_busy_that_is_neither_idle_nor_waits() {
        assert_eq!(busiest(1000, [30, 950].into_iter()), 0.97, "its own waits, not the other's");
        assert_eq!(busiest(1000, [1000, 1200].into_iter()), 0.0);
    }

    #[test]
    fn work_of_threads_that_come_and_go_is_missed() {
        const MS: u64 = 1_000_000;
        for (used_ms, seen_ms, is_missed) in [
            (1000, 1000, false),
            (1000, 905, false),
            (1000, 890, true),
            (1000, 0, true),
            (40, 0, false),
        ] {
            assert_eq!(is_much_unseen(Some(used_ms * MS), seen_ms * MS), is_missed, "{seen_ms}");
        }
        assert!(!is_much_unseen(None, 0));
    }
}
