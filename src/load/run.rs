//! One run from the first connection to the report.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;

use super::clock::nanos;
use super::config::{Config, Load};
use super::connect::connect_all;
use super::content::Content;
use super::crew::Crew;
use super::dial::{Dialer, Failures};
use super::hiccup;
use super::host::Host;
use super::intervals::Intervals;
use super::lane::Lane;
use super::latencies::Latencies;
use super::observer::{Counters, Observer, Samples};
use super::orders::Orders;
use super::poller::Poller;
use super::preflight;
use super::recorder::{Recorder, Window};
use super::report::Report;
use super::schedule::{Schedule, Sequence};
use super::seconds::Collector;
use super::server_view::ServerView;
use super::waits::Waited;
use super::watch::{Progress, ProgressOnly, Watch};
use super::worker::{Pace, Parts, Renewal};
use crate::cpus::PinningRefusal;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No address of the target took a connection.
    #[error("cannot connect to {target}: {source}{}", is_it_there(.source))]
    Connect {
        /// The target as the user wrote it.
        target: String,
        /// What the last address answered.
        source: io::Error,
    },
    /// Whoever listens there is no echo server, or of another protocol.
    #[error(
        "{target} is no server that echoes {protocol} messages: {why}; name another target or \
         --protocol, or measure it all the same with --no-preflight"
    )]
    NoEcho {
        /// The target as the user wrote it.
        target: String,
        /// The protocol's name.
        protocol: &'static str,
        /// What was seen instead.
        why: String,
    },
    /// Not one complete reply came.
    #[error("nothing was received from {target}: {why}")]
    NothingReceived {
        /// The target as the user wrote it.
        target: String,
        /// What was seen instead.
        why: String,
    },
    /// The interrupt was raised before there was anything to measure.
    #[error("interrupted while {doing}: nothing was measured")]
    Interrupted {
        /// What the run was doing.
        doing: &'static str,
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

impl RunError {
    fn of_preflight(config: &Config, failure: preflight::Failure) -> Self {
        let target = config.target.name.clone();
        match failure {
            preflight::Failure::Connect(source) => Self::Connect { target, source },
            preflight::Failure::NoEcho(why) => {
                Self::NoEcho { target, protocol: config.protocol.name(), why }
            }
            preflight::Failure::Interrupted => Self::Interrupted { doing: "connecting" },
        }
    }
}

fn is_it_there(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut => {
            "; is the server running there?"
        }
        io::ErrorKind::NetworkUnreachable => {
            "; no route leads there: give the address of a single host that `ip route get` reaches"
        }
        _ => "",
    }
}

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
    if config.preflight {
        preflight::check(config).map_err(|failure| RunError::of_preflight(config, failure))?;
    }
    let connected = connect_all(config);
    if config.interrupt.is_raised() {
        return Err(RunError::Interrupted { doing: "connecting" });
    }
    let connected = connected
        .map_err(|source| RunError::Connect { target: config.target.name.clone(), source })?;
    let content = Content::of(config);
    let counters: Vec<Counters> = (0..config.threads).map(|_| Counters::default()).collect();
    let server = ServerView::of(config, connected.dialer.target());
    let generator_cpus = if config.cpus.is_empty() { &host.cpus } else { &config.cpus };
    let cpus_in_use = union(generator_cpus, &server.cpus);
    let window = Window::of(config);
    let measurement = Measurement {
        address: connected.dialer.target(),
        connections: connected.sockets.len() as u64,
        connect_failures: connected.failures.clone(),
        recorders: Vec::new(),
        latencies: Latencies::default(),
        drifts: Vec::new(),
        window,
        was_interrupted: false,
        gone_after_ns: None,
        backlogs: Vec::new(),
        before: Samples::default(),
        after: Samples::default(),
        server_waited: None,
        cpus_in_use: cpus_in_use.len() as u64,
        shared_cpus: server.shared_with(generator_cpus),
        server: server.clone(),
    };
    let orders = Orders::new(window.end_ns);
    let mut collector = Collector::new(window.start_ns);
    let dialer = &connected.dialer;
    let shared = Shared { content: &content, counters: &counters, orders: &orders, dialer };
    let parts = divide(config, connected.sockets, shared, &mut collector)?;
    let is_placed = PinningRefusal::detect().is_none();
    let sampled = if is_placed { hiccup::sampled(&cpus_in_use) } else { vec![None] };
    let hiccup_parts: Vec<_> = sampled
        .into_iter()
        .map(|cpu| hiccup::Parts {
            cpu,
            start_ns: window.start_ns,
            orders: &orders,
            giver: collector.giver(),
        })
        .collect();
    let measurement = thread::scope(|scope| {
        let mut hiccups = Vec::new();
        let mut start_hiccups = Vec::new();
        for parts in hiccup_parts {
            let (start_hiccup, started) = mpsc::channel();
            hiccups.push(hiccup::start(scope, parts, started)?);
            start_hiccups.push(start_hiccup);
        }
        let (crew, generator) = Crew::start(scope, config, &orders, parts)?;
        for start_hiccup in start_hiccups {
            // It fails only when the thread has ended, and its panic comes with the join.
            let _ = start_hiccup.send(crew.clock());
        }
        let observer = Observer {
            clock: crew.clock(),
            counters: &counters,
            server: server.threads.as_ref().ok(),
            waits: None,
            generator,
            cpus: &host.cpus,
            server_cpus: &server.cpus,
            cpus_in_use: &cpus_in_use,
            intervals: Intervals::new(collector, window, config),
            hiccups,
            watch,
            told: (0, 0),
        };
        observer.observe(config, crew, measurement)
    })?;
    Report::new(config, host, measurement)
}

/// What a run left behind, for the report.
pub(super) struct Measurement {
    pub(super) address: SocketAddr,
    pub(super) connections: u64,
    pub(super) connect_failures: Failures,
    /// One of each thread.
    pub(super) recorders: Vec<Recorder>,
    /// Of all threads.
    pub(super) latencies: Latencies,
    /// What was different between the halves of the window.
    pub(super) drifts: Vec<String>,
    /// What was measured: less than was planned if the run was interrupted.
    pub(super) window: Window,
    pub(super) was_interrupted: bool,
    /// When no connection was left, if that was before the window's end.
    pub(super) gone_after_ns: Option<u64>,
    /// Messages that were due and not answered: at the beginning of the measured window, and at the
    /// end of each of its parts.
    pub(super) backlogs: Vec<u64>,
    /// At the beginning and at the end of the measured window.
    pub(super) before: Samples,
    pub(super) after: Samples,
    pub(super) server: ServerView,
    /// What its threads waited for a CPU in the window, where that can be seen.
    pub(super) server_waited: Option<Waited>,
    /// How many CPUs they use together.
    pub(super) cpus_in_use: u64,
    /// CPUs that server and generator both use.
    pub(super) shared_cpus: Vec<usize>,
}

/// Ascending, each once.
fn union(one: &[usize], other: &[usize]) -> Vec<usize> {
    one.iter().chain(other).copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn check(config: &Config) {
    assert!(config.connections >= 1, "at least one connection");
    assert!((1..=config.connections).contains(&config.threads), "1 to `connections` threads");
    assert!(config.reconnect != Some(0), "at least one message a connection");
    assert!(config.depth >= 1, "at least one message in flight");
    assert!(!matches!(config.load, Load::Open { rate: 0, .. }), "at least one message a second");
}

/// What the threads share with each other and with the observer.
#[derive(Clone, Copy)]
struct Shared<'run> {
    content: &'run Content,
    counters: &'run [Counters],
    orders: &'run Orders,
    dialer: &'run Dialer,
}

/// Deals the connections to the threads in turn.
fn divide<'run>(
    config: &Config,
    sockets: Vec<TcpStream>,
    shared: Shared<'run>,
    collector: &mut Collector,
) -> io::Result<Vec<Parts<'run>>> {
    // Fewer connections than asked for may need fewer threads.
    let threads = config.threads.min(sockets.len());
    let all_connections = sockets.len();
    let window = Window::of(config);
    let mut parts = Vec::with_capacity(threads);
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
        parts.push(Parts {
            poller: Poller::new()?,
            lanes: Vec::new(),
            renewal: config.reconnect.map(|_| Renewal { dialer: shared.dialer, all_connections }),
            content: shared.content,
            recorder: Recorder::new(window, matches!(pace, Pace::Open { .. })),
            pace,
            orders: shared.orders,
            giver: collector.giver(),
            counters,
            timeout_ns: nanos(config.timeout),
        });
    }
    for (number, socket) in sockets.into_iter().enumerate() {
        let part = &mut parts[number % threads];
        part.poller.add(socket.as_fd(), part.lanes.len())?;
        part.lanes.push(Lane::new(number, shared.content.connection(number, socket)));
    }
    Ok(parts)
}
