//! One run from the first connection to the report.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use rustix::thread::{CpuSet, gettid, sched_setaffinity, set_current_timer_slack};

use super::clock::{Clock, nanos};
use super::config::{Config, Load, Server};
use super::connect::{Connected, connect_all};
use super::connection::Connection;
use super::cpu::Threads;
use super::pattern::{Pattern, Position};
use super::poller::{Bell, Poller};
use super::recorder::{Recorder, Window};
use super::report::{Report, Samples};
use super::schedule::Schedule;
use super::wire::{self, Wire};
use super::worker::{Pace, Parts, Worker};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No address of the target took a connection.
    #[error("cannot connect to {target}: {source}; is the server running there?")]
    Connect {
        /// The target as the user wrote it.
        target: String,
        /// What the last address answered.
        source: io::Error,
    },
    /// Not one complete reply came.
    #[error("nothing was received from {target}: {why}")]
    NothingReceived {
        /// The target as the user wrote it.
        target: String,
        /// What was seen instead.
        why: String,
    },
    /// A generator thread may not run where it should.
    #[error("cannot pin a generator thread to CPU {cpu}: {source}; choose other --cpus")]
    Pin {
        /// The CPU.
        cpu: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused something that every run needs.
    #[error("cannot run the load generator (Linux 5.11 or later is needed): {0}")]
    System(#[from] io::Error),
}

/// How a run is going.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Time since it began.
    pub elapsed: Duration,
    /// Warm-up and measured window together.
    pub planned: Duration,
    /// Replies a second since the last progress.
    pub messages_per_s: f64,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Under load, not yet measuring.
    Warmup,
    /// In the measured window.
    Measuring,
    /// Waiting for the last replies.
    Draining,
}

/// Measures. Tells its progress a few times a second.
///
/// # Errors
///
/// When there is nothing to report: no connection, or no reply. Whatever else goes wrong is in the
/// report's verdict.
///
/// # Panics
///
/// When a number of the configuration is outside the bounds that its field states.
pub fn run(config: &Config, on_progress: &mut dyn FnMut(Progress)) -> Result<Report, RunError> {
    check(config);
    let connected = connect_all(&config.target.addresses, config.connections)
        .map_err(|source| RunError::Connect { target: config.target.name.clone(), source })?;
    let pattern =
        Pattern::new(config.seed, wire::longest_slice(config.protocol, config.message_size));
    let received: Vec<Counter> = (0..config.threads).map(|_| Counter::default()).collect();
    let server = server_threads(config, &connected);
    let outcome = Outcome {
        address: connected.address,
        connections: connected.sockets.len() as u64,
        connect_errors: connected.failures as u64,
        connect_failure: connected.first_failure.as_ref().map(ToString::to_string),
        recorders: Vec::new(),
        before: Samples::default(),
        after: Samples::default(),
    };
    let parts = divide(config, connected.sockets, &pattern, &received)?;
    let outcome = thread::scope(|scope| {
        let (crew, generator) = Crew::start(scope, config, parts)?;
        let mut observer =
            Observer { clock: crew.clock, received: &received, server, generator, on_progress };
        observer.observe(config, crew, outcome)
    })?;
    Report::new(config, outcome)
}

/// What a run left behind, for the report.
pub(super) struct Outcome {
    pub(super) address: SocketAddr,
    pub(super) connections: u64,
    pub(super) connect_errors: u64,
    pub(super) connect_failure: Option<String>,
    /// One of each thread.
    pub(super) recorders: Vec<Recorder>,
    /// At the beginning and at the end of the measured window.
    pub(super) before: Samples,
    pub(super) after: Samples,
}

/// A thread's counter, on cache lines of its own: it is written every turn and read rarely.
#[derive(Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

fn check(config: &Config) {
    assert!(config.connections >= 1, "at least one connection");
    assert!((1..=config.connections).contains(&config.threads), "1 to `connections` threads");
    assert!(
        (1..=super::MAX_MESSAGE_SIZE).contains(&config.message_size),
        "messages of 1 byte to 16 MiB"
    );
    assert!(config.depth >= 1, "at least one message in flight");
    assert!(config.load != Load::Open { rate: 0 }, "at least one message a second");
}

fn window(config: &Config) -> Window {
    let start_ns = nanos(config.warmup);
    Window { start_ns, end_ns: start_ns.saturating_add(nanos(config.duration)) }
}

fn server_threads(config: &Config, connected: &Connected) -> Option<Threads> {
    match &config.server {
        Server::Embedded { thread_ids, .. } => Some(Threads::OfThisProcess(thread_ids.clone())),
        Server::External => {
            let own = connected.sockets.first()?.local_addr().ok()?;
            let is_on_this_host =
                connected.address.ip().is_loopback() || connected.address.ip() == own.ip();
            is_on_this_host.then(|| Threads::listening_on(connected.address))?
        }
    }
}

/// Deals the connections to the threads in turn.
fn divide<'run>(
    config: &Config,
    sockets: Vec<TcpStream>,
    pattern: &'run Pattern,
    received: &'run [Counter],
) -> io::Result<Vec<Parts<'run>>> {
    // Fewer connections than asked for may need fewer threads.
    let threads = config.threads.min(sockets.len());
    let all_connections = sockets.len();
    let window = window(config);
    let mut parts = Vec::with_capacity(threads);
    for (thread, Counter(live_received)) in received.iter().enumerate().take(threads) {
        let pace = match config.load {
            Load::Closed => Pace::Closed,
            Load::Open { rate } => Pace::Open {
                schedule: Schedule::uniform(rate, all_connections, thread, threads),
                spin_ns: nanos(config.spin),
            },
        };
        parts.push(Parts {
            poller: Poller::new()?,
            connections: Vec::new(),
            pattern,
            recorder: Recorder::new(window, matches!(pace, Pace::Open { .. })),
            pace,
            end_ns: window.end_ns,
            live_received,
        });
    }
    for (number, socket) in sockets.into_iter().enumerate() {
        let start = Position::start_of(number);
        let wire = Wire::new(config.protocol, config.message_size, config.depth, start);
        let connection = Connection::new(socket, wire, config.message_size, config.depth);
        let part = &mut parts[number % threads];
        part.poller.add(connection.fd(), part.connections.len())?;
        part.connections.push(connection);
    }
    Ok(parts)
}

/// The generator threads at work.
struct Crew<'scope> {
    clock: Clock,
    bells: Vec<Bell>,
    workers: Vec<ScopedJoinHandle<'scope, io::Result<Recorder>>>,
}

impl<'scope> Crew<'scope> {
    /// Starts the threads; when all of them are in place, the clock.
    fn start<'run: 'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        config: &Config,
        parts: Vec<Parts<'run>>,
    ) -> Result<(Self, Threads), RunError> {
        let bells = parts.iter().map(|part| part.poller.bell()).collect::<io::Result<_>>()?;
        let (report_ready, ready) = mpsc::channel();
        let mut starts = Vec::new();
        let mut workers = Vec::new();
        for (thread, part) in parts.into_iter().enumerate() {
            let cpu = (!config.cpus.is_empty()).then(|| config.cpus[thread % config.cpus.len()]);
            let (start, started) = mpsc::channel();
            let report_ready = report_ready.clone();
            starts.push(start);
            let body = move || work(part, cpu, report_ready, &started);
            workers.push(
                thread::Builder::new().name(format!("load-{thread}")).spawn_scoped(scope, body)?,
            );
        }
        drop(report_ready);
        // On an early return the start senders are dropped, which sends every thread home.
        let thread_ids = ready.into_iter().collect::<Result<Vec<i32>, RunError>>()?;
        let clock = Clock::starting_now();
        for start in starts {
            // It fails only when the thread has ended, and its error comes with the join.
            let _ = start.send(clock);
        }
        Ok((Self { clock, bells, workers }, Threads::OfThisProcess(thread_ids)))
    }

    fn is_finished(&self) -> bool {
        self.workers.iter().all(ScopedJoinHandle::is_finished)
    }

    fn join(self) -> io::Result<Vec<Recorder>> {
        let resume = |panic| std::panic::resume_unwind(panic);
        self.workers.into_iter().map(|worker| worker.join().unwrap_or_else(resume)).collect()
    }
}

/// The life of a generator thread.
fn work(
    parts: Parts<'_>,
    cpu: Option<usize>,
    report_ready: Sender<Result<i32, RunError>>,
    started: &Receiver<Clock>,
) -> io::Result<Recorder> {
    let ready = take_place(cpu).map(|()| gettid().as_raw_nonzero().get());
    let called_off = || io::Error::other("the run was called off");
    report_ready.send(ready).map_err(|_| called_off())?;
    // The crew waits until every sender is gone.
    drop(report_ready);
    let clock = started.recv().map_err(|_| called_off())?;
    Worker::new(parts, clock).run()
}

fn take_place(cpu: Option<usize>) -> Result<(), RunError> {
    if let Some(cpu) = cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set)
            .map_err(|error| RunError::Pin { cpu, source: error.into() })?;
    }
    // The default of 50 µs would delay every timed send by as much.
    set_current_timer_slack(NonZeroU64::new(1)).map_err(io::Error::from)?;
    Ok(())
}

/// Watches the run from outside the generator threads.
struct Observer<'run> {
    clock: Clock,
    received: &'run [Counter],
    server: Option<Threads>,
    generator: Threads,
    on_progress: &'run mut dyn FnMut(Progress),
}

impl Observer<'_> {
    fn observe(
        &mut self,
        config: &Config,
        crew: Crew<'_>,
        mut outcome: Outcome,
    ) -> Result<Outcome, RunError> {
        let window = window(config);
        let planned = config.warmup + config.duration;
        let is_finished = || crew.is_finished();
        self.wait(Phase::Warmup, planned, window.start_ns, &is_finished);
        outcome.before = self.sample();
        self.wait(Phase::Measuring, planned, window.end_ns, &is_finished);
        outcome.after = self.sample();
        crew.bells.iter().for_each(Bell::ring);
        self.wait(Phase::Draining, planned, u64::MAX, &is_finished);
        outcome.recorders = crew.join()?;
        Ok(outcome)
    }

    /// Waits for a time of the run or its end, whichever comes first, and tells the progress.
    fn wait(
        &mut self,
        phase: Phase,
        planned: Duration,
        until_ns: u64,
        is_finished: &dyn Fn() -> bool,
    ) {
        /// Soon enough for nobody to notice that the run had ended.
        const LOOK: Duration = Duration::from_millis(10);
        let mut told_ns = self.clock.now_ns();
        let mut told_received = self.received();
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= until_ns || is_finished() {
                return;
            }
            if now_ns - told_ns >= nanos(PROGRESS_INTERVAL) {
                let received = self.received();
                (self.on_progress)(Progress {
                    phase,
                    elapsed: Duration::from_nanos(now_ns),
                    planned,
                    messages_per_s: (received - told_received) as f64 * 1e9
                        / (now_ns - told_ns) as f64,
                });
                (told_ns, told_received) = (now_ns, received);
            }
            let nap = if phase == Phase::Draining { LOOK } else { LOOK * 5 };
            thread::sleep(nap.min(Duration::from_nanos(until_ns - now_ns)));
        }
    }

    fn sample(&self) -> Samples {
        Samples {
            at_ns: self.clock.now_ns(),
            received: self.received(),
            server_cpu_ns: self.server.as_ref().and_then(Threads::cpu_ns),
            generator_cpu_ns: self.generator.cpu_ns(),
        }
    }

    fn received(&self) -> u64 {
        self.received.iter().map(|Counter(received)| received.load(Ordering::Relaxed)).sum()
    }
}
