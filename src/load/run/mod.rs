//! One run from the first connection to the report.

mod observer;

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;

use rustix::process::Pid;

use self::observer::{Counter, Observer};
use crate::cpus;
use crate::load::clock::nanos;
use crate::load::config::{Config, Load, Server};
use crate::load::control::RunControl;
use crate::load::engine::connect::{Connected, connect_all};
use crate::load::engine::connection_slot::ConnectionSlot;
use crate::load::engine::dial::Dialer;
use crate::load::engine::poller::Poller;
use crate::load::engine::schedule::{Schedule, Sequence};
use crate::load::engine::worker::{Pace, Reconnect, WorkerInit};
use crate::load::engine::worker_pool::WorkerPool;
use crate::load::engine::workload::Workload;
use crate::load::error::RunError;
use crate::load::record::cpu::{OwnThreads, ServerThreads};
use crate::load::record::host::Host;
use crate::load::record::host_stall;
use crate::load::record::intervals::Intervals;
use crate::load::record::latencies::Latencies;
use crate::load::record::measurement::{Measurement, Samples};
use crate::load::record::recorder::{Recorder, Window};
use crate::load::record::seconds::Collector;
use crate::load::record::watch::{Progress, ProgressOnly, Watch};
use crate::load::report::Report;

/// Measures. Tells its progress a few times a second.
///
/// # Errors
///
/// As [`run_watched`].
///
/// # Panics
///
/// As [`run_watched`].
pub fn run(config: &Config, on_progress: &mut dyn FnMut(Progress)) -> Result<Report, RunError> {
    run_watched(config, &mut ProgressOnly(on_progress))
}

/// Measures, and tells how it goes.
///
/// # Errors
///
/// When there is nothing to report: no connection, or no reply. Whatever else goes wrong is in the
/// report's verdict.
///
/// # Panics
///
/// When a number of the configuration is outside the bounds that its field states.
pub fn run_watched(config: &Config, watch: &mut dyn Watch) -> Result<Report, RunError> {
    check(config);
    let host = Host::detect();
    let cpus = cpus::allowed();
    let connected = connect_all(config);
    if config.interrupt.is_raised() {
        return Err(RunError::Interrupted { doing: "connecting" });
    }
    let connected = connected
        .map_err(|source| RunError::Connect { target: config.target.name.clone(), source })?;
    let workload = Workload::of(config);
    let received: Vec<Counter> = (0..config.threads).map(|_| Counter::default()).collect();
    let server = server_threads(config, &connected);
    let window = Window::of(config);
    let measurement = Measurement {
        address: connected.dialer.target(),
        connections: connected.sockets.len() as u64,
        connect_failures: connected.failures.clone(),
        recorders: Vec::new(),
        latencies: Latencies::default(),
        window,
        was_interrupted: false,
        gone_after_ns: None,
        before: Samples::default(),
        after: Samples::default(),
    };
    let control = RunControl::new(window.end_ns);
    let mut collector = Collector::new(window.start_ns);
    let dialer = &connected.dialer;
    let shared = Shared { workload: &workload, received: &received, control: &control, dialer };
    let init = divide(config, connected.sockets, shared, &mut collector)?;
    let host_stall_init = host_stall::Init {
        cpus: host_stall::free_cpus(config, &cpus),
        start_ns: window.start_ns,
        control: &control,
        sender: collector.sender(),
    };
    let measurement = thread::scope(|scope| {
        let (start_host_stall, started) = mpsc::channel();
        let host_stall = host_stall::start(scope, host_stall_init, started)?;
        let (pool, generator) = WorkerPool::start(scope, config, &control, init)?;
        // It fails only when the thread has ended, and its panic comes with the join.
        let _ = start_host_stall.send(pool.clock());
        let observer = Observer {
            clock: pool.clock(),
            received: &received,
            server,
            generator,
            cpus: &cpus,
            intervals: Intervals::new(collector, window, config),
            host_stall,
            watch,
        };
        observer.observe(config, pool, measurement)
    })?;
    Report::new(config, host, measurement)
}

fn check(config: &Config) {
    assert!(config.connections >= 1, "at least one connection");
    assert!((1..=config.connections).contains(&config.threads), "1 to `connections` threads");
    assert!(config.reconnect != Some(0), "at least one message a connection");
    assert!(config.depth >= 1, "at least one message in flight");
    assert!(!matches!(config.load, Load::Open { rate: 0, .. }), "at least one message a second");
}

fn server_threads(config: &Config, connected: &Connected) -> Option<ServerThreads> {
    match &config.server {
        Server::Started { id, .. } => {
            Pid::from_raw(i32::try_from(*id).ok()?).map(ServerThreads::OfGroup)
        }
        Server::Embedded { thread_ids, .. } => {
            Some(ServerThreads::Embedded(OwnThreads(thread_ids.clone())))
        }
        Server::External => {
            let own = connected.sockets.first()?.local_addr().ok()?;
            let target = connected.dialer.target();
            let is_on_this_host = target.ip().is_loopback() || target.ip() == own.ip();
            is_on_this_host.then(|| ServerThreads::listening_on(target))?
        }
    }
}

/// State that the threads share with each other and with the observer.
#[derive(Clone, Copy)]
struct Shared<'run> {
    workload: &'run Workload,
    received: &'run [Counter],
    control: &'run RunControl,
    dialer: &'run Dialer,
}

/// Deals the connections to the threads in turn.
fn divide<'run>(
    config: &Config,
    sockets: Vec<TcpStream>,
    shared: Shared<'run>,
    collector: &mut Collector,
) -> io::Result<Vec<WorkerInit<'run>>> {
    // Fewer connections than asked for may need fewer threads.
    let threads = config.threads.min(sockets.len());
    let all_connections = sockets.len();
    let window = Window::of(config);
    let mut init = Vec::with_capacity(threads);
    for (thread, Counter(live_received)) in shared.received.iter().enumerate().take(threads) {
        let pace = match config.load {
            Load::Closed => Pace::Closed,
            Load::Open { rate, arrival } => Pace::Open {
                schedule: Schedule::new(
                    Sequence::new(arrival, rate, config.seed),
                    all_connections,
                    thread,
                    threads,
                ),
                spin_ns: nanos(config.spin),
            },
        };
        init.push(WorkerInit {
            poller: Poller::new()?,
            slots: Vec::new(),
            reconnect: config
                .reconnect
                .map(|_| Reconnect { dialer: shared.dialer, all_connections }),
            workload: shared.workload,
            recorder: Recorder::new(window, matches!(pace, Pace::Open { .. })),
            pace,
            control: shared.control,
            sender: collector.sender(),
            live_received,
        });
    }
    for (number, socket) in sockets.into_iter().enumerate() {
        let part = &mut init[number % threads];
        part.poller.add(socket.as_fd(), part.slots.len())?;
        part.slots.push(ConnectionSlot::new(number, shared.workload.connection(number, socket)));
    }
    Ok(init)
}
