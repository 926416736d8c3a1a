//! One run from the first connection to the report.

mod observer;

use std::collections::BTreeSet;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;

use self::observer::Observer;
use crate::cpus::{self, PinningRefusal};
use crate::load::clock::nanos;
use crate::load::config::{Config, Load};
use crate::load::control::RunControl;
use crate::load::engine::connect::connect_all;
use crate::load::engine::connection_slot::ConnectionSlot;
use crate::load::engine::dial::Dialer;
use crate::load::engine::poller::Poller;
use crate::load::engine::preflight;
use crate::load::engine::schedule::{Schedule, Sequence};
use crate::load::engine::worker::{Pace, Reconnect, WorkerInit};
use crate::load::engine::worker_pool::WorkerPool;
use crate::load::engine::workload::Workload;
use crate::load::error::RunError;
use crate::load::record::counters::Counters;
use crate::load::record::host::Host;
use crate::load::record::host_stall;
use crate::load::record::intervals::Intervals;
use crate::load::record::latencies::Latencies;
use crate::load::record::measurement::{Measurement, Samples};
use crate::load::record::recorder::{Recorder, Window};
use crate::load::record::seconds::Collector;
use crate::load::record::server_view::{Hidden, ServerView};
use crate::load::record::transport::{Transport, listen_drops};
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
    if config.preflight {
        preflight::check(config).map_err(|failure| of_preflight(config, failure))?;
    }
    let drops_before = listen_drops();
    let connected = connect_all(config);
    if config.interrupt.is_raised() {
        return Err(RunError::Interrupted { doing: "connecting" });
    }
    let connected = connected
        .map_err(|source| RunError::Connect { target: config.target.name.clone(), source })?;
    let workload = Workload::of(config);
    let counters: Vec<Counters> = (0..config.threads).map(|_| Counters::default()).collect();
    let server = ServerView::of(config, connected.dialer.target());
    let generator_cpus = if config.cpus.is_empty() { &cpus } else { &config.cpus };
    let cpus_in_use = union(generator_cpus, &server.cpus);
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
        backlogs: Vec::new(),
        transport: Transport { redialed_syns: connected.redialed_syns, ..Transport::default() },
        server_waited: None,
        cpus_in_use: cpus_in_use.len() as u64,
        shared_cpus: server.shared_with(generator_cpus),
        server: server.clone(),
        before: Samples::default(),
        after: Samples::default(),
    };
    let control = RunControl::new(window.end_ns);
    let mut collector = Collector::new(window);
    let dialer = &connected.dialer;
    let shared = Shared { workload: &workload, counters: &counters, control: &control, dialer };
    let init = divide(config, connected.sockets, shared, &mut collector)?;
    let can_pin = PinningRefusal::detect().is_none();
    let sampled = if can_pin { host_stall::sampled(&cpus_in_use) } else { vec![None] };
    let host_stall_init: Vec<_> = sampled
        .into_iter()
        .map(|cpu| host_stall::Init {
            cpu,
            start_ns: window.start_ns,
            control: &control,
            sender: collector.sender(),
        })
        .collect();
    let is_local = server.threads != Err(Hidden::OtherHost);
    let mut measurement = thread::scope(|scope| {
        let mut host_stalls = Vec::new();
        let mut start_host_stalls = Vec::new();
        for init in host_stall_init {
            let (start_host_stall, started) = mpsc::channel();
            host_stalls.push(host_stall::start(scope, init, started)?);
            start_host_stalls.push(start_host_stall);
        }
        let (pool, generator) = WorkerPool::start(scope, config, &control, init)?;
        for start_host_stall in start_host_stalls {
            // It fails only when the thread has ended, and its panic comes with the join.
            let _ = start_host_stall.send(pool.clock());
        }
        let observer = Observer {
            clock: pool.clock(),
            counters: &counters,
            server: server.threads.as_ref().ok(),
            waits: None,
            generator,
            cpus: &cpus,
            server_cpus: &server.cpus,
            cpus_in_use: &cpus_in_use,
            intervals: Intervals::new(collector, window, config),
            host_stalls,
            watch,
            reported: (0, 0),
        };
        observer.observe(config, pool, measurement)
    })?;
    let drops = listen_drops().zip(drops_before).map(|(after, before)| after.wrapping_sub(before));
    measurement.transport.listen_drops = drops.filter(|_| is_local);
    Report::new(config, host, measurement)
}

fn check(config: &Config) {
    assert!(config.connections >= 1, "at least one connection");
    assert!((1..=config.connections).contains(&config.threads), "1 to `connections` threads");
    assert!(config.reconnect != Some(0), "at least one message a connection");
    assert!(config.depth >= 1, "at least one message in flight");
    assert!(!matches!(config.load, Load::Open { rate: 0, .. }), "at least one message a second");
}

fn of_preflight(config: &Config, failure: preflight::Failure) -> RunError {
    let target = config.target.name.clone();
    match failure {
        preflight::Failure::Connect(source) => RunError::Connect { target, source },
        preflight::Failure::NoEcho(why) => {
            RunError::NoEcho { target, protocol: config.protocol.name(), why }
        }
        preflight::Failure::Interrupted => RunError::Interrupted { doing: "connecting" },
    }
}

/// Ascending, each once.
fn union(one: &[usize], other: &[usize]) -> Vec<usize> {
    one.iter().chain(other).copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// State that the threads share with each other and with the observer.
#[derive(Clone, Copy)]
struct Shared<'run> {
    workload: &'run Workload,
    counters: &'run [Counters],
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
    for (thread, counters) in shared.counters.iter().enumerate().take(threads) {
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
            counters,
            timeout_ns: nanos(config.timeout),
        });
    }
    for (number, socket) in sockets.into_iter().enumerate() {
        let part = &mut init[number % threads];
        part.poller.add(socket.as_fd(), part.slots.len())?;
        part.slots.push(ConnectionSlot::new(number, shared.workload.connection(number, socket)));
    }
    Ok(init)
}
