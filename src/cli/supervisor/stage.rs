//! How far a server has come in its life, and what it serves with.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::info;

use super::process::{Thread, cpu_time_of, open_all, seconds_run};
use crate::metrics::{Counters, Metrics, Snapshot};
use crate::server::{DriverKind, Server, Shutdown};

/// A stage in the life of a server; each follows the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Not every worker listens yet.
    Starting,
    /// It serves.
    Serving,
    /// It serves on, but is not to be sent anybody any more: the drain is about to begin.
    Leaving,
    /// It finishes what it received.
    Draining,
}

impl Stage {
    /// All of them.
    pub(super) const ALL: [Self; 4] =
        [Self::Starting, Self::Serving, Self::Leaving, Self::Draining];

    /// The name as metrics and probes have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
        }
    }
}

/// The life of the server, shared by the main thread, the one of signals and the supervisor.
#[derive(Debug, Clone, Default)]
pub struct Stages(Arc<Mutex<Life>>);

#[derive(Debug, Default)]
struct Life {
    /// How long the server serves on after SIGTERM; none while its settings are not known.
    drain_delay: Option<Duration>,
    /// Requests to end that have come.
    requests: usize,
    /// When the drain begins, while the server leaves.
    drain_at: Option<Instant>,
    is_draining: bool,
    serving: Option<Serving>,
}

/// A server that serves.
#[derive(Debug)]
struct Serving {
    shutdown: Shutdown,
    metrics: Metrics,
    driver: DriverKind,
    cpus: Vec<usize>,
    /// `schedstat` of each worker, opened before a sandbox could forbid it; none where `/proc` is not
    /// mounted, or descriptors are scarce.
    schedules: Vec<Option<File>>,
    /// Likewise, as the scheduler sees it.
    threads: Vec<Option<Thread>>,
    /// Signs of life of each worker when it gave the last one, and when that was.
    beats: Vec<(u64, Instant)>,
}

/// How soon a request to end takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After the time that balancers need to look elsewhere.
    After(Duration),
    /// At once.
    Now,
}

/// A worker that rested for longer is not ready: it wakes once a second.
const MAX_REST: Duration = Duration::from_secs(2);

impl Stages {
    /// The settings are known: from now on a request to end is one to a server.
    pub fn configure(&self, drain_delay: Duration) {
        self.lock().drain_delay = Some(drain_delay);
    }

    /// How long the server serves on after SIGTERM, once its settings are known.
    pub fn drain_delay(&self) -> Option<Duration> {
        self.lock().drain_delay
    }

    /// Returns whether somebody asked the server to end.
    pub fn is_ending(&self) -> bool {
        self.lock().requests > 0
    }

    /// The server serves; whatever was asked of it before is done now.
    pub(super) fn serve(&self, server: &Server) {
        let ids = server.thread_ids();
        let serving = Serving {
            shutdown: server.shutdown(),
            metrics: server.metrics(),
            driver: server.driver(),
            cpus: server.cpus().to_vec(),
            schedules: open_all(&ids, cpu_time_of),
            threads: open_all(&ids, Thread::open),
            beats: server.metrics().snapshots().iter().map(|_| (0, Instant::now())).collect(),
        };
        let mut life = self.lock();
        life.serving = Some(serving);
        if life.requests > 0 {
            life.drain();
        }
        if life.requests > 1 {
            life.stop();
        }
    }

    /// Somebody asks the server to end: the first time it drains, soon or at once, then it stops.
    pub fn end(&self, now: Instant, ending: Ending) {
        let mut life = self.lock();
        life.requests += 1;
        // Logged first: what workers have to say of it follows.
        match (life.requests, ending) {
            (1, Ending::After(delay)) if !delay.is_zero() => {
                info!(
                    "leaving: serving on for {delay:?}, then draining; signal again to stop at once"
                );
                life.drain_at = Some(now + delay);
            }
            (1, _) => {
                info!("shutting down: finishing what was received; signal again to stop at once");
                life.drain();
            }
            _ => life.stop(),
        }
    }

    /// Begins the drain when it is time.
    pub(super) fn act(&self, now: Instant) {
        let mut life = self.lock();
        if life.drain_at.is_some_and(|time| time <= now) && !life.is_draining {
            info!("the drain delay is over: draining");
            life.drain();
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.lock().stage()
    }

    /// Snapshots of the workers, once there are any.
    pub(super) fn snapshots(&self) -> Option<Vec<Snapshot>> {
        self.lock().serving.as_ref().map(|serving| serving.metrics.snapshots())
    }

    /// Counters of all workers, once there are any.
    pub fn counters(&self) -> Option<Counters> {
        let snapshots = self.snapshots()?;
        let mut total = Counters::default();
        snapshots.iter().for_each(|snapshot| total += snapshot.counters);
        Some(total)
    }

    /// Remembers which workers have shown that they live.
    pub(super) fn observe(&self, now: Instant, snapshots: &[Snapshot]) {
        let mut life = self.lock();
        let Some(serving) = &mut life.serving else { return };
        for (seen, snapshot) in serving.beats.iter_mut().zip(snapshots) {
            if seen.0 != snapshot.beats || snapshot.has_ended {
                *seen = (snapshot.beats, now);
            }
        }
    }

    /// Returns whether somebody may be sent to the server, or why not.
    pub(super) fn readiness(&self, now: Instant) -> Result<(), String> {
        let life = self.lock();
        match (life.stage(), &life.serving) {
            (Stage::Serving, Some(serving)) => match serving.resting_worker(now) {
                Some(worker) => Err(format!("worker {worker} does not come back to its loop")),
                None => Ok(()),
            },
            (stage, _) => Err(stage.name().to_owned()),
        }
    }

    /// The driver that serves, which may be another than was configured.
    pub(super) fn driver(&self) -> Option<DriverKind> {
        self.lock().serving.as_ref().map(|serving| serving.driver)
    }

    /// A worker that has given no sign of life for so long that something is wrong.
    pub(super) fn resting_worker(&self, now: Instant) -> Option<usize> {
        self.lock().serving.as_ref()?.resting_worker(now)
    }

    /// Returns whether a worker wants to run and has had no CPU since it was last asked.
    pub(super) fn is_starved(&self, worker: usize) -> bool {
        let mut life = self.lock();
        let thread = life.serving.as_mut().and_then(|serving| serving.threads.get_mut(worker));
        thread.and_then(Option::as_mut).is_some_and(Thread::is_starved)
    }

    /// The CPU that a worker is pinned to.
    pub(super) fn cpu_of(&self, worker: usize) -> Option<usize> {
        self.lock().serving.as_ref()?.cpus.get(worker).copied()
    }

    /// The CPU time of each worker in seconds, as the kernel accounts for it.
    pub(super) fn cpu_seconds(&self) -> Vec<f64> {
        let life = self.lock();
        let schedules = life.serving.iter().flat_map(|serving| &serving.schedules);
        schedules.map(|file| file.as_ref().map_or(0.0, seconds_run)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serving {
    /// One that has ended rests no more.
    fn resting_worker(&self, now: Instant) -> Option<usize> {
        self.beats.iter().position(|seen| now.saturating_duration_since(seen.1) > MAX_REST)
    }
}

impl Life {
    fn stage(&self) -> Stage {
        match () {
            () if self.is_draining => Stage::Draining,
            () if self.requests > 0 => Stage::Leaving,
            () if self.serving.is_some() => Stage::Serving,
            () => Stage::Starting,
        }
    }

    fn drain(&mut self) {
        if let Some(serving) = &self.serving {
            self.is_draining = true;
            serving.shutdown.drain();
        }
    }

    fn stop(&mut self) {
        if let Some(serving) = &self.serving {
            self.is_draining = true;
            serving.shutdown.stop();
        }
    }
}
