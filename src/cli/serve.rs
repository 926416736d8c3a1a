//! The command line of `ringback`.

use std::net::SocketAddr;
use std::num::NonZero;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::doctor::Doctor;
use crate::address::{AddressError, parse_socket_address};
use crate::cpus::{self, CpusError};
use crate::protocol::{self, Framed, MAX_FRAME_CEILING};
use crate::server::{Choice, Config, DriverKind, default_cpus, workers_on};
use crate::units::{parse_count, parse_duration, parse_size};

/// A TCP echo server on io_uring.
#[derive(Debug, Parser)]
#[command(name = "ringback", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands of `ringback`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Echo what peers send until SIGTERM, SIGINT or SIGHUP
    Serve(Box<Serve>),
    /// Say what this host offers a server, what it lacks, and what mends it
    Doctor(Doctor),
}

/// Options of `ringback serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringback serve                                    the textbook's echo server
  ringback serve 0.0.0.0:7 [::]:7 --cpus 0-3        four workers on two addresses
  ringback serve --protocol framed --max-frame 1MiB

Units: sizes KiB, MiB, GiB; durations ns, us, ms, s, m, h.
Signals: the first SIGTERM, SIGINT or SIGHUP drains, the second stops at once.
Exit codes: 0 clean, 1 drained with losses, 64 usage, 69 unavailable, 70 internal.")]
pub struct Serve {
    /// Addresses to listen on, IPv4 or IPv6 in brackets, each with a port; port 0 takes a free one. A
    /// link-local one names its interface: [fe80::1%eth0]:7
    #[arg(value_name = "ADDR", default_value = Config::DEFAULT_ADDRESS, value_parser = parse_address)]
    addresses: Vec<SocketAddr>,

    /// Protocol of the connections
    #[arg(long, value_enum, default_value_t = Protocol::Raw)]
    pub protocol: Protocol,

    /// How to move bytes: the fastest that works here, or one that must
    #[arg(long, value_enum, default_value_t = Driver::Auto)]
    driver: Driver,

    /// Poll for up to this long before sleeping, as long as that pays: answers sooner, costs CPU
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_spin)]
    spin: Duration,

    /// CPUs to run workers on, such as 0-3,8 [default: all this process may use, within the
    /// container's CPU quota]
    #[arg(long, value_name = "LIST", value_parser = parse_cpus)]
    cpus: Option<CpuList>,

    /// Number of workers, spread over the CPUs in turn [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Share the port with another process of this user that listens on it, for overlapping
    /// restarts
    #[arg(long)]
    share_port: bool,

    /// Memory for what waits while receive buffers are scarce, over all workers
    /// [default: 256MiB, more for many workers]
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    memory: Option<u64>,

    /// Connections at the same time [default: what the descriptor limit allows]
    #[arg(long, value_name = "N", value_parser = parse_positive)]
    max_connections: Option<u64>,

    /// Connections at the same time from one IPv4 address or one IPv6 /64 network [default: no
    /// limit]
    #[arg(long, value_name = "N", value_parser = parse_positive_usize)]
    max_connections_per_ip: Option<NonZero<usize>>,

    /// Ask a peer that says nothing for this long whether it is still there, then four times more, a
    /// quarter of it apart; end its connection if it never answers
    #[arg(long, value_name = "TIME|off", default_value = "60s", value_parser = parse_time_or_off)]
    keepalive: TimeOrOff,

    /// End a connection on which nothing happens for this long [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration)]
    idle_timeout: Option<Duration>,

    /// How long a frame may take from its first byte to its last
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_positive_duration)]
    frame_timeout: Duration,

    /// End a connection whose peer takes nothing of what waits for it for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_positive_duration)]
    stall_timeout: Duration,

    /// Longest payload of a frame, up to 16MiB
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = parse_max_frame)]
    max_frame: u32,

    /// How long a shutdown goes on receiving; what came by then has a second more to be sent
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    drain_timeout: Duration,

    /// How long a connection must be silent during shutdown to count as finished
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    drain_quiet: Duration,

    /// Check the configuration, print what it costs, and exit
    #[arg(long)]
    pub check: bool,
}

/// Protocols as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Every byte comes back (RFC 862)
    Raw,
    /// Frames with sequence and checksum
    Framed,
}

/// Drivers as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Driver {
    /// uring where it works, else epoll, with a warning that says why
    Auto,
    /// io_uring: completions
    Uring,
    /// tokio-uring: futures over io_uring
    TokioUring,
    /// epoll: readiness
    Epoll,
}

/// One value to clap, which would take a plain option for one that may be left out.
#[derive(Debug, Clone, Copy)]
struct TimeOrOff(Option<Duration>);

/// One value to clap, which would take a plain vector for many.
#[derive(Debug, Clone)]
struct CpuList(Vec<usize>);

impl Serve {
    /// The configuration of a server of this protocol that the options describe, and what an
    /// operator should know of it.
    pub fn resolve<P: protocol::Protocol>(&self, protocol: P) -> (Config<P>, Vec<String>) {
        let mut config = Config::with_protocol(self.addresses.clone(), protocol);
        config.cpus = self.place_workers();
        let choice = self.choose_driver(&mut config);
        config.spin = self.spin;
        config.share_port = self.share_port;
        config.max_connections = self
            .max_connections
            .map_or_else(|| config.connections_within_descriptors().max(1), to_usize);
        config.max_connections_per_ip = self.max_connections_per_ip;
        let least = config.least_memory().max(Config::DEFAULT_MEMORY);
        config.memory = self.memory.map_or(least, to_usize);
        config.keepalive = self.keepalive.0;
        config.idle_timeout = self.idle_timeout;
        config.stall_timeout = self.stall_timeout;
        config.drain_quiet = self.drain_quiet;
        config.drain_timeout = self.drain_timeout;
        let warnings = choice.and_then(|choice| choice.warning()).into_iter();
        let warnings = warnings.chain(config.warnings()).collect();
        (config, warnings)
    }

    fn choose_driver<P: protocol::Protocol>(&self, config: &mut Config<P>) -> Option<Choice> {
        config.driver = match self.driver {
            Driver::Auto => return Some(config.choose_driver()),
            Driver::Uring => DriverKind::Uring,
            Driver::TokioUring => DriverKind::TokioUring,
            Driver::Epoll => DriverKind::Epoll,
        };
        None
    }

    /// The quota limits the default only: whoever says how many gets as many.
    fn place_workers(&self) -> Vec<usize> {
        match (&self.cpus, self.workers) {
            (None, None) => default_cpus(),
            (None, Some(workers)) => workers_on(&cpus::allowed(), workers.into()),
            (Some(CpuList(cpus)), None) => cpus.clone(),
            (Some(CpuList(cpus)), Some(workers)) => workers_on(cpus, workers.into()),
        }
    }

    /// The framed protocol that the options describe.
    pub fn framed(&self) -> Framed {
        Framed { max_frame: self.max_frame, frame_timeout: self.frame_timeout }
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    parse_socket_address(text).map_err(|error| match error {
        AddressError::Malformed => "it is not IP:PORT with a port up to 65535: write it as \
                                    127.0.0.1:65432, [::1]:65432 or [fe80::1%eth0]:65432; names \
                                    are not looked up"
            .to_owned(),
        AddressError::UnknownInterface { .. } => error.to_string(),
    })
}

fn parse_cpus(text: &str) -> Result<CpuList, CpusError> {
    cpus::parse_list(text).map(CpuList)
}

fn parse_max_frame(text: &str) -> Result<u32, String> {
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    match u32::try_from(bytes) {
        Ok(bytes @ 1..=MAX_FRAME_CEILING) => Ok(bytes),
        _ => Err("it must be from 1 byte to 16MiB".to_owned()),
    }
}

fn parse_positive(text: &str) -> Result<u64, String> {
    match parse_count(text).map_err(|error| error.to_string())? {
        0 => Err("it must be at least 1".to_owned()),
        count => Ok(count),
    }
}

fn parse_positive_usize(text: &str) -> Result<NonZero<usize>, String> {
    let count = to_usize(parse_positive(text)?);
    Ok(NonZero::new(count).expect("it is positive"))
}

fn parse_positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text).map_err(|error| error.to_string())? {
        Duration::ZERO => Err("it must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

fn parse_time_or_off(text: &str) -> Result<TimeOrOff, String> {
    match text {
        "off" => Ok(TimeOrOff(None)),
        time => match parse_positive_duration(time) {
            Ok(time) => Ok(TimeOrOff(Some(time))),
            Err(error) => Err(format!("{error}, or write off")),
        },
    }
}

fn parse_spin(text: &str) -> Result<Duration, String> {
    const MAX_SPIN: Duration = Duration::from_millis(10);
    match parse_duration(text).map_err(|error| error.to_string())? {
        duration if duration > MAX_SPIN => {
            Err("longer than 10ms costs more than a wake-up ever does: write 50us".to_owned())
        }
        duration => Ok(duration),
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
