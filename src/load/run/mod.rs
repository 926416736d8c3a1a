//! One run from the first connection to the report.

mod observer;
mod start;

use std::io;
use std::net::TcpStream;
use std::thread;

use self::observer::Observer;
use crate::cpus::{self, PinningRefusal};
use crate::load::config::{Config, Load};
use crate::load::control::RunControl;
use crate::load::engine::connect::{Connected, connect_all};
use crate::load::engine::dial::Dialer;
use crate::load::engine::preflight;
use crate::load::engine::worker::{Shared, Worker};
use crate::load::engine::worker_pool::WorkerPool;
use crate::load::engine::workload::Workload;
use crate::load::error::RunError;
use crate::load::format::rfc3339;
use crate::load::record::counters::Counters;
use crate::load::record::evidence::Evidence;
use crate::load::record::host::{ClockState, Host};
use crate::load::record::host_stall;
use crate::load::record::intervals::Intervals;
use crate::load::record::recorder::{Recorder, Window};
use crate::load::record::seconds::Collector;
use crate::load::record::server_view::{Hidden, ServerView};
use crate::load::record::transport::listen_drops;
use crate::load::record::watch::{Progress, ProgressOnly, Watch};
use crate::load::report::Report;

/// Measures, and reports its progress a few times a second; else as [`run_watched`].
///
/// # Errors
///
/// When there is nothing to report.
pub fn run(config: &Config, on_progress: &mut dyn FnMut(Progress)) -> Result<Report, RunError> {
    run_watched(config, &mut ProgressOnly(on_progress))
}

/// Measures, and shows how it goes.
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
    start::check(config)?;
    let mut host = Host::detect();
    if config.preflight {
        preflight::check(config)?;
    }
    let drops_before = listen_drops();
    let Connected { dialer, sockets, failures, redialed_syns } = connect(config)?;
    let server = ServerView::of(config, dialer.target());
    let connections = sockets.len() as u64;
    let (mut recorder, mut evidence) = measure(config, &dialer, sockets, &server, watch)?;
    if let Some(time) = config.start_at {
        host.began = rfc3339(time);
        // It may have been waited for.
        host.clock = ClockState::read();
    }
    evidence.clock = host.clock;
    recorder.totals.connections += connections;
    recorder.transport.redialed_syns += redialed_syns;
    if server.threads != Err(Hidden::OtherHost) {
        let drops = listen_drops().zip(drops_before);
        recorder.transport.listen_drops = drops.map(|(after, before)| after.wrapping_sub(before));
    }
    for (failure, attempts) in failures {
        recorder.fail_to_connect(failure, attempts);
    }
    Report::new(config, host, dialer.target(), recorder, &evidence)
}

fn connect(config: &Config) -> Result<Connected, RunError> {
    let connected = connect_all(config);
    if config.interrupt.is_raised() {
        return Err(RunError::Interrupted { doing: "connecting" });
    }
    connected.map_err(|source| RunError::Connect { target: config.target.name.clone(), source })
}

/// Makes the load over these connections; returns what its threads recorded, and what was seen
/// beside that.
fn measure(
    config: &Config,
    dialer: &Dialer,
    sockets: Vec<TcpStream>,
    server: &ServerView,
    watch: &mut dyn Watch,
) -> Result<(Recorder, Evidence), RunError> {
    let workload = &Workload::of(config);
    let counters: Vec<Counters> = (0..config.threads).map(|_| Counters::default()).collect();
    let allowed = cpus::allowed();
    let window = Window::of(config);
    let all_connections = sockets.len();
    // Fewer connections than asked for may need fewer threads.
    let workers = config.threads.min(all_connections);
    let generator_cpus = match config.cpus.as_slice() {
        [] => &allowed,
        // One for each thread: others of the list are not used.
        cpus => &cpus[..workers.min(cpus.len())],
    };
    let mut evidence = Evidence::new(window, server.clone(), generator_cpus);
    let control = &RunControl::new(window.end_ns);
    let mut collector = Collector::new(window);
    let shared = Shared { config, window, workload, control, dialer, all_connections, workers };
    let workers = divide(shared, sockets, &counters, &mut collector)?;
    let sampled = match PinningRefusal::detect() {
        None => host_stall::sampled(generator_cpus, &server.cpus),
        Some(_) => vec![None],
    };
    let of_cpu = |cpu| host_stall::Init {
        cpu,
        start_ns: window.start_ns,
        control,
        sender: collector.sender(),
    };
    let host_stall_init: Vec<_> = sampled.into_iter().map(of_cpu).collect();
    let recorder = thread::scope(|scope| {
        let begin = || start::wait(config);
        let (pool, generator) = WorkerPool::start(scope, config, control, workers, begin)?;
        let watch_cpu = |init| host_stall::start(scope, init, pool.clock());
        let host_stalls =
            host_stall_init.into_iter().map(watch_cpu).collect::<io::Result<Vec<_>>>();
        let host_stalls = host_stalls.inspect_err(|_| {
            pool.release();
            pool.abort();
        })?;
        let observer = Observer {
            config,
            clock: pool.clock(),
            counters: &counters,
            server,
            waits: None,
            generator,
            cpus: &allowed,
            intervals: Intervals::new(collector, window, config, pool.started()),
            host_stalls,
            watch,
            reported: (0, 0),
        };
        observer.observe(pool, &mut evidence)
    })?;
    Ok((recorder, evidence))
}

fn check(config: &Config) {
    let connections = config.own_connections();
    assert!(connections >= 1, "at least one connection for each part");
    assert!((1..=connections).contains(&config.threads), "1 to as many threads as connections");
    assert!(config.reconnect != Some(0), "at least one message a connection");
    assert!(config.depth >= 1, "at least one message in flight");
    assert!(!matches!(config.load, Load::Open { rate: 0, .. }), "at least one message a second");
}

/// Workers, each with its part of the connections.
fn divide<'run>(
    shared: Shared<'run>,
    sockets: Vec<TcpStream>,
    counters: &'run [Counters],
    collector: &mut Collector,
) -> io::Result<Vec<Worker<'run>>> {
    let numbered = counters.iter().enumerate().take(shared.workers);
    let mut workers = numbered
        .map(|(number, counters)| Worker::new(shared, number, counters, collector.sender()))
        .collect::<io::Result<Vec<_>>>()?;
    for (number, socket) in sockets.into_iter().enumerate() {
        workers[number % shared.workers].add(number, socket)?;
    }
    Ok(workers)
}
