//! Watches a run from outside the generator threads: tells how it goes, and reads the CPU
//! accounting at both ends of the measured window.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crate::load::clock::{Clock, nanos};
use crate::load::config::Config;
use crate::load::engine::worker_pool::WorkerPool;
use crate::load::error::RunError;
use crate::load::record::cpu::{OwnThreads, ServerThreads};
use crate::load::record::host::stolen_ns;
use crate::load::record::intervals::Intervals;
use crate::load::record::measurement::Measurement;
use crate::load::record::measurement::Samples;
use crate::load::record::watch::{Phase, Progress, Watch};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// A thread's counter, on cache lines of its own: it is written every turn and read rarely.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counter(pub(crate) AtomicU64);

/// Watches the run from outside the generator threads.
pub(crate) struct Observer<'run> {
    pub(crate) clock: Clock,
    pub(crate) received: &'run [Counter],
    pub(crate) server: Option<ServerThreads>,
    pub(crate) generator: OwnThreads,
    /// CPUs that the process may use.
    pub(crate) cpus: &'run [usize],
    pub(crate) intervals: Intervals,
    /// The thread that measures the machine's stalls.
    pub(crate) host_stall: ScopedJoinHandle<'run, ()>,
    pub(crate) watch: &'run mut dyn Watch,
}

impl Observer<'_> {
    /// Stays with a pool from its start to its end.
    pub(crate) fn observe(
        mut self,
        config: &Config,
        pool: WorkerPool<'_>,
        mut measurement: Measurement,
    ) -> Result<Measurement, RunError> {
        let planned = config.warmup + config.duration;
        let ends_early = || pool.is_finished() || config.interrupt.is_raised();
        self.wait(&pool, Phase::Warmup, planned, measurement.window.start_ns, &ends_early);
        measurement.before = self.sample();
        self.wait(&pool, Phase::Measuring, planned, measurement.window.end_ns, &ends_early);
        let now_ns = self.clock.now_ns();
        if now_ns < measurement.window.end_ns && pool.is_finished() {
            measurement.gone_after_ns = Some(now_ns);
        } else if now_ns < measurement.window.end_ns {
            measurement.was_interrupted = true;
            measurement.window.end_ns = self.end_early(planned, &pool);
        }
        measurement.after = self.sample();
        pool.release();
        self.wait(&pool, Phase::Draining, planned, u64::MAX, &|| pool.is_finished());
        measurement.recorders = pool.join()?;
        self.host_stall.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.intervals.show(self.clock.now_ns(), self.watch);
        measurement.latencies = self.intervals.into_total();
        match measurement.window.length_ns() {
            0 => Err(RunError::Interrupted { doing: "warming up" }),
            _ => Ok(measurement),
        }
    }

    /// Ends the measured window; returns when.
    fn end_early(&mut self, planned: Duration, pool: &WorkerPool<'_>) -> u64 {
        /// Threads hear of it before it comes, so that none measures beyond it.
        const NOTICE_NS: u64 = 20_000_000;
        let end_ns = self.clock.now_ns() + NOTICE_NS;
        pool.end_at(end_ns);
        self.intervals.end_at(end_ns);
        self.wait(pool, Phase::Measuring, planned, end_ns, &|| pool.is_finished());
        end_ns
    }

    /// Waits for a time of the run or its end, whichever comes first, and tells how it goes.
    fn wait(
        &mut self,
        pool: &WorkerPool<'_>,
        phase: Phase,
        planned: Duration,
        until_ns: u64,
        is_over: &dyn Fn() -> bool,
    ) {
        /// Soon enough for nobody to notice that the run had ended.
        const POLL_INTERVAL: Duration = Duration::from_millis(10);
        let mut reported_ns = self.clock.now_ns();
        let mut reported_received = self.received();
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= until_ns || is_over() {
                return;
            }
            if self.intervals.is_due(now_ns) {
                // Threads that wait for replies have a second to give as well.
                pool.wake();
            }
            self.intervals.show(now_ns, self.watch);
            if now_ns - reported_ns >= nanos(PROGRESS_INTERVAL) {
                let received = self.received();
                self.watch.progress(Progress {
                    phase,
                    elapsed: Duration::from_nanos(now_ns),
                    planned,
                    messages_per_s: (received - reported_received) as f64 * 1e9
                        / (now_ns - reported_ns) as f64,
                    p99_ns: self.intervals.p99_ns(),
                });
                (reported_ns, reported_received) = (now_ns, received);
            }
            let nap = if phase == Phase::Draining { POLL_INTERVAL } else { POLL_INTERVAL * 5 };
            thread::sleep(nap.min(Duration::from_nanos(until_ns - now_ns)));
        }
    }

    fn sample(&self) -> Samples {
        Samples {
            at_ns: self.clock.now_ns(),
            received: self.received(),
            server_ns: self.server.as_ref().and_then(ServerThreads::used_ns),
            generator: self.generator.time(),
            stolen_ns: stolen_ns(self.cpus),
        }
    }

    fn received(&self) -> u64 {
        self.received.iter().map(|Counter(received)| received.load(Ordering::Relaxed)).sum()
    }
}
