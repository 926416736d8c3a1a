//! Watches a run from outside the generator threads: tells how it goes, and reads the CPU
//! accounting at both ends of the measured window.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use super::clock::{Clock, nanos};
use super::config::Config;
use super::cpu::{CpuTime, OwnThreads, ServerThreads};
use super::crew::Crew;
use super::host::{idle_ns, stolen_ns};
use super::intervals::Intervals;
use super::run::{Measurement, RunError};
use super::waits::Waits;
use super::watch::{Phase, Progress, Watch};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// Parts of the window after each of which the backlog is read.
const BACKLOG_STEPS: u64 = 6;

/// What was read from outside the generator at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Samples {
    pub(super) at_ns: u64,
    pub(super) received: u64,
    pub(super) server_ns: Option<u64>,
    pub(super) generator: Option<CpuTime>,
    pub(super) stolen_ns: Option<u64>,
    /// The same of the CPUs in use alone.
    pub(super) stolen_in_use_ns: Option<u64>,
    /// Time that the server's CPUs had nothing to run, added up.
    pub(super) server_idle_ns: Option<u64>,
}

/// A thread's counters, on cache lines of their own: they are written every turn and read rarely.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Counters {
    /// Messages that were to be sent until now.
    pub(super) intended: AtomicU64,
    /// Complete replies.
    pub(super) received: AtomicU64,
}

/// Watches the run from outside the generator threads.
pub(super) struct Observer<'run> {
    pub(super) clock: Clock,
    pub(super) counters: &'run [Counters],
    pub(super) server: Option<&'run ServerThreads>,
    /// In the measured window: how long they wait.
    pub(super) waits: Option<Waits<'run>>,
    pub(super) generator: OwnThreads,
    /// CPUs that the process may use.
    pub(super) cpus: &'run [usize],
    /// CPUs that the server uses.
    pub(super) server_cpus: &'run [usize],
    /// CPUs that server and generator use.
    pub(super) cpus_in_use: &'run [usize],
    pub(super) intervals: Intervals,
    /// The threads that measure the machine's stalls.
    pub(super) hiccups: Vec<ScopedJoinHandle<'run, ()>>,
    pub(super) watch: &'run mut dyn Watch,
    /// When progress was told last, and how many replies had come.
    pub(super) told: (u64, u64),
}

impl Observer<'_> {
    /// Stays with a crew from its start to its end.
    pub(super) fn observe(
        mut self,
        config: &Config,
        crew: Crew<'_>,
        mut measurement: Measurement,
    ) -> Result<Measurement, RunError> {
        let planned = config.warmup + config.duration;
        let ends_early = || crew.is_finished() || config.interrupt.is_raised();
        self.wait(&crew, Phase::Warmup, planned, measurement.window.start_ns, &ends_early);
        measurement.before = self.sample();
        self.waits = self.server.map(|server| Waits::start(server, self.clock.now_ns()));
        measurement.backlogs.push(self.backlog());
        for part_end_ns in measurement.window.parts(BACKLOG_STEPS) {
            self.wait(&crew, Phase::Measuring, planned, part_end_ns, &ends_early);
            measurement.backlogs.push(self.backlog());
        }
        let now_ns = self.clock.now_ns();
        if now_ns < measurement.window.end_ns && crew.is_finished() {
            measurement.gone_after_ns = Some(now_ns);
        } else if now_ns < measurement.window.end_ns {
            measurement.was_interrupted = true;
            measurement.window.end_ns = self.end_early(planned, &crew);
        }
        let waits = self.waits.take();
        measurement.server_waited = waits.and_then(|waits| waits.finish(self.clock.now_ns()));
        measurement.after = self.sample();
        crew.release();
        measurement.was_interrupted |= self.drain(config, planned, &crew, &measurement);
        measurement.recorders = crew.join()?;
        for hiccup in self.hiccups {
            hiccup.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        self.intervals.show(self.clock.now_ns(), self.watch);
        (measurement.latencies, measurement.drifts) = self.intervals.into_total();
        match measurement.window.length_ns() {
            0 => Err(RunError::Interrupted { doing: "warming up" }),
            _ => Ok(measurement),
        }
    }

    /// Waits for the last replies: not for long where the window was cut short, and no longer once the
    /// user does not want to. Says whether that was so.
    fn drain(
        &mut self,
        config: &Config,
        planned: Duration,
        crew: &Crew<'_>,
        measurement: &Measurement,
    ) -> bool {
        /// Of a run that was interrupted, for what is on the way.
        const SHORT_DRAIN_NS: u64 = 1_000_000_000;
        let (was_interrupted, until_ns) = match measurement.was_interrupted {
            true => (true, self.clock.now_ns() + SHORT_DRAIN_NS),
            false => (false, u64::MAX),
        };
        let is_unwanted = || !was_interrupted && config.interrupt.is_raised();
        let is_over = || crew.is_finished() || is_unwanted();
        self.wait(crew, Phase::Draining, planned, until_ns, &is_over);
        if crew.is_finished() {
            return false;
        }
        crew.abort();
        self.wait(crew, Phase::Draining, planned, u64::MAX, &|| crew.is_finished());
        true
    }

    /// Ends the measured window; says when.
    fn end_early(&mut self, planned: Duration, crew: &Crew<'_>) -> u64 {
        /// Threads hear of it before it comes, so that none measures beyond it.
        const NOTICE_NS: u64 = 20_000_000;
        let end_ns = self.clock.now_ns() + NOTICE_NS;
        crew.end_at(end_ns);
        self.intervals.end_at(end_ns);
        self.wait(crew, Phase::Measuring, planned, end_ns, &|| crew.is_finished());
        end_ns
    }

    /// Waits for a time of the run or its end, whichever comes first, and tells how it goes.
    fn wait(
        &mut self,
        crew: &Crew<'_>,
        phase: Phase,
        planned: Duration,
        until_ns: u64,
        is_over: &dyn Fn() -> bool,
    ) {
        /// Soon enough for nobody to notice that the run had ended.
        const LOOK: Duration = Duration::from_millis(10);
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= until_ns || is_over() {
                return;
            }
            if self.intervals.is_due(now_ns) {
                // Threads that wait for replies have a second to give as well.
                crew.ring();
            }
            self.intervals.show(now_ns, self.watch);
            if let Some(waits) = &mut self.waits {
                waits.look(now_ns);
            }
            let (told_ns, told_received) = self.told;
            if now_ns - told_ns >= nanos(PROGRESS_INTERVAL) {
                let received = self.received();
                self.watch.progress(Progress {
                    phase,
                    elapsed: Duration::from_nanos(now_ns),
                    planned,
                    messages_per_s: (received - told_received) as f64 * 1e9
                        / (now_ns - told_ns) as f64,
                    p99_ns: self.intervals.p99_ns(),
                });
                self.told = (now_ns, received);
            }
            let nap = if phase == Phase::Draining { LOOK } else { LOOK * 5 };
            thread::sleep(nap.min(Duration::from_nanos(until_ns - now_ns)));
        }
    }

    fn sample(&self) -> Samples {
        Samples {
            at_ns: self.clock.now_ns(),
            received: self.received(),
            server_ns: self.server.and_then(ServerThreads::used_ns),
            generator: self.generator.time(),
            stolen_ns: stolen_ns(self.cpus),
            server_idle_ns: idle_ns(self.server_cpus),
            stolen_in_use_ns: stolen_ns(self.cpus_in_use),
        }
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
