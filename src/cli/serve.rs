//! The command line of `ringback`.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZero;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use super::doctor::Doctor;
use super::endpoint::{parse_admin_address, parse_echo_address};
use super::exit_codes::server as exit_codes;
use super::health::Health;
use super::manual::Manual;
use super::sandbox::Sandbox;
use super::supervisor;
use crate::address::{Address, format_socket_address};
use crate::cpus::{self, CpusError};
use crate::log;
use crate::protocol::{self, Framed, MAX_FRAME_CEILING};
use crate::server::{Choice, Config, ConfigError, DriverKind, default_cpus, workers_on};
use crate::units::{counted, format_size, parse_count, parse_duration, parse_latency, parse_size};

/// A TCP echo server on io_uring.
#[derive(Debug, Parser)]
#[command(
    name = "ringback",
    version,
    about,
    arg_required_else_help = true,
    after_help = "Example, and exit codes: ringback --help",
    after_long_help = exit_codes::below("\
Example:
  ringback serve 127.0.0.1:65432 --cpus 0           in one terminal
  ringback-load 127.0.0.1:65432 --cpus 1            in another: the load generator, a program of
                                                    its own (ringback-load --help)")
)]
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
    /// Print a configuration file with every setting, its default and what it does
    ExampleConfig,
    /// Ask a server's admin endpoint whether it is ready; exit code 0 if it is, else 1
    Health(Health),
    #[command(flatten)]
    /// Completions and man pages
    Manual(Manual),
}

/// Groups of options, in the order of the help.
const ECHO: &str = "Echo";
const WORK: &str = "Workers";
const LIMITS: &str = "Limits";
const END: &str = "Shutdown";
const OPS: &str = "Operating";

/// Options of `ringback serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "More options and examples: ringback serve --help",
    after_long_help = exit_codes::below("\
Examples:
  ringback serve                                    the textbook's echo server
  ringback serve 0.0.0.0:7 [::]:7 --cpus 0-3        four workers on two addresses
  ringback serve --protocol framed --max-frame 1MiB

Units: sizes KiB, MiB, GiB; durations ns, us, ms, s, m, h.
Settings: flags over RINGBACK_* variables over the file of --config over defaults; off takes back
what has no other value.
Signals: the first SIGTERM, SIGINT or SIGHUP drains, the second stops at once; SIGUSR1 logs counters.")
)]
pub struct Serve {
    /// Addresses to listen on, IPv4 or IPv6 in brackets, each with a port; port 0 takes a free one.
    /// localhost is 127.0.0.1; a link-local one names its interface: [fe80::1%eth0]:7
    #[arg(value_name = "ADDR", default_value = Config::DEFAULT_ADDRESS, value_parser = parse_echo_address)]
    addresses: Vec<SocketAddr>,

    /// Protocol of the connections
    #[arg(long, value_enum, default_value_t = Protocol::Raw)]
    #[arg(help_heading = ECHO)]
    pub protocol: Protocol,

    /// Longest payload of a frame, up to 16MiB
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = parse_max_frame)]
    #[arg(help_heading = ECHO)]
    max_frame: u32,

    /// How long a frame may take from its first byte to its last
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_positive_duration)]
    #[arg(help_heading = ECHO, hide_short_help = true)]
    frame_timeout: Duration,

    /// How to move bytes: the fastest that works here, or one that must
    #[arg(long, value_enum, default_value_t = Driver::Auto)]
    #[arg(help_heading = WORK)]
    driver: Driver,

    /// Poll for up to this long before sleeping, as long as that pays: answers sooner, costs CPU
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_spin)]
    #[arg(help_heading = WORK, hide_short_help = true)]
    spin: Duration,

    /// CPUs to run workers on, such as 0-3,8 [default: all this process may use, within the
    /// container's CPU quota]
    #[arg(long, value_name = "LIST|off", value_parser = or_off(parse_cpus))]
    #[arg(help_heading = WORK)]
    cpus: Option<OrOff<CpuList>>,

    /// Number of workers, spread over the CPUs in turn [default: one for each CPU]
    #[arg(long, value_name = "N|off", value_parser = or_off(parse_workers))]
    #[arg(help_heading = WORK)]
    workers: Option<OrOff<u16>>,

    /// Keep each worker on a CPU of its own; off leaves it to the scheduler, within --cpus, which can
    /// have the better tail where others use the CPUs too
    #[arg(long, value_enum, default_value_t = Switch::On)]
    #[arg(help_heading = WORK, hide_short_help = true)]
    pin: Switch,

    /// Share the port with another process of this user that listens on it, for overlapping
    /// restarts
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    #[arg(help_heading = WORK, hide_short_help = true)]
    share_port: bool,

    /// Memory for what waits while receive buffers are scarce, over all workers
    /// [default: 256MiB, more for many workers]
    #[arg(long, value_name = "BYTES|off", value_parser = or_off(parse_size))]
    #[arg(help_heading = LIMITS, hide_short_help = true)]
    memory: Option<OrOff<u64>>,

    /// Connections at the same time [default: what the descriptor limit allows]
    #[arg(long, value_name = "N|off", value_parser = or_off(parse_positive))]
    #[arg(help_heading = LIMITS)]
    max_connections: Option<OrOff<u64>>,

    /// Connections at the same time from one IPv4 address or one IPv6 /64 network [default: no
    /// limit]
    #[arg(long, value_name = "N|off", value_parser = or_off(parse_positive_usize))]
    #[arg(help_heading = LIMITS, hide_short_help = true)]
    max_connections_per_ip: Option<OrOff<NonZero<usize>>>,

    /// Ask a peer that says nothing for this long whether it is still there, then four times more, a
    /// quarter of it apart; end its connection if it never answers
    #[arg(
        long,
        value_name = "TIME|off",
        default_value = "60s",
        value_parser = or_off(parse_positive_duration)
    )]
    #[arg(help_heading = LIMITS, hide_short_help = true)]
    keepalive: OrOff<Duration>,

    /// End a connection on which nothing happens for this long [default: never]
    #[arg(long, value_name = "TIME|off", value_parser = or_off(parse_positive_duration))]
    #[arg(help_heading = LIMITS)]
    idle_timeout: Option<OrOff<Duration>>,

    /// End a connection whose peer takes nothing of what waits for it for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_positive_duration)]
    #[arg(help_heading = LIMITS)]
    stall_timeout: Duration,

    /// How long a shutdown goes on receiving; what came by then has a second more to be sent
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    #[arg(help_heading = END)]
    drain_timeout: Duration,

    /// How long a connection must be silent during shutdown to count as finished
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    #[arg(help_heading = END, hide_short_help = true)]
    drain_quiet: Duration,

    /// How long to serve on after SIGTERM, not ready any more, before the drain begins
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    #[arg(help_heading = END, hide_short_help = true)]
    pub drain_delay: Duration,

    /// Read this TOML file; flags and RINGBACK_* variables have precedence (see ringback
    /// example-config)
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    #[arg(help_heading = OPS)]
    config: Option<String>,

    /// Answer HTTP at this address: /livez, /readyz, /metrics [default: off]
    #[arg(long, value_name = "ADDR|off", value_parser = or_off(parse_admin_address))]
    #[arg(help_heading = OPS)]
    admin: Option<OrOff<SocketAddr>>,

    /// Abort when a worker does not come back to its loop for this long
    #[arg(
        long,
        value_name = "TIME|off",
        default_value = "10s",
        value_parser = or_off(parse_hang_timeout)
    )]
    #[arg(help_heading = OPS, hide_short_help = true)]
    hang_timeout: OrOff<Duration>,

    /// Filter the system calls of a server that serves, so that it can do nothing else
    #[arg(long, value_enum, default_value_t = Sandbox::Auto)]
    #[arg(help_heading = OPS, hide_short_help = true)]
    pub sandbox: Sandbox,

    /// Form of what is logged to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    #[arg(help_heading = OPS, hide_short_help = true)]
    log_format: LogFormat,

    /// The least important lines to log
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    #[arg(help_heading = OPS, hide_short_help = true)]
    log_level: LogLevel,

    /// Check the configuration, print it to standard output and what it costs, and exit
    #[arg(long)]
    #[arg(help_heading = OPS)]
    pub check: bool,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Forms of log lines as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// An object a line
    Json,
}

/// Levels of log lines as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    /// Each connection too
    Debug,
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
#[derive(Debug, Clone)]
struct OrOff<T>(Option<T>);

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
        config.pin = self.pin == Switch::On;
        config.share_port = self.share_port;
        config.spare_descriptors =
            supervisor::descriptors(self.admin().is_some(), config.cpus.len());
        config.max_connections = value(&self.max_connections)
            .map_or_else(|| config.connections_within_descriptors().max(1), to_usize);
        config.max_connections_per_ip = value(&self.max_connections_per_ip);
        let least = config.least_memory().max(Config::DEFAULT_MEMORY);
        config.memory = value(&self.memory).map_or(least, to_usize);
        config.keepalive = self.keepalive.0;
        config.idle_timeout = value(&self.idle_timeout);
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
        match (value(&self.cpus), value(&self.workers)) {
            (None, None) => default_cpus(),
            (None, Some(workers)) => workers_on(&cpus::allowed(), workers.into()),
            (Some(CpuList(cpus)), None) => cpus,
            (Some(CpuList(cpus)), Some(workers)) => workers_on(&cpus, workers.into()),
        }
    }

    /// The values that options without one of their own came to in a configuration.
    pub fn resolved<P>(config: &Config<P>) -> Vec<(&'static str, String)> {
        vec![
            ("cpus", cpus::format_list(&config.cpus)),
            ("workers", config.cpus.len().to_string()),
            ("memory", config.memory.to_string()),
            ("max-connections", config.max_connections.to_string()),
        ]
    }

    /// Keeps the threads that the calling one starts to the CPUs that workers may use, where nothing
    /// narrower keeps each to its own.
    ///
    /// # Errors
    ///
    /// When the kernel does not, or something before it: cause and fix.
    pub fn confine(&self) -> Result<(), String> {
        match value(&self.cpus) {
            Some(CpuList(cpus)) if self.pin == Switch::Off => {
                cpus::run_on(&cpus).map_err(|error| cpus::explain(&error))
            }
            _ => Ok(()),
        }
    }

    /// The address of the server that is in the way of answering HTTP.
    ///
    /// # Errors
    ///
    /// When one of them has the admin endpoint's port, at the same IP address or all.
    pub fn check_admin(&self) -> Result<(), String> {
        let Some(admin) = self.admin() else { return Ok(()) };
        match self.addresses.iter().find(|address| is_in_the_way(**address, admin)) {
            None => Ok(()),
            Some(address) => {
                let [admin, address] = [admin, *address].map(format_socket_address);
                Err(format!(
                    "--admin {admin} and the server's address {address} are one: give the admin \
                     endpoint another port"
                ))
            }
        }
    }

    /// Where to answer HTTP.
    pub fn admin(&self) -> Option<SocketAddr> {
        value(&self.admin)
    }

    /// How long a worker may stay away from its loop.
    pub fn hang_timeout(&self) -> Option<Duration> {
        self.hang_timeout.0
    }

    /// Lines to log.
    pub fn log_options(&self) -> log::Options {
        log::Options {
            program: "ringback",
            format: match self.log_format {
                LogFormat::Text => log::Format::Text,
                LogFormat::Json => log::Format::Json,
            },
            level: match self.log_level {
                LogLevel::Error => LevelFilter::ERROR,
                LogLevel::Warn => LevelFilter::WARN,
                LogLevel::Info => LevelFilter::INFO,
                LogLevel::Debug => LevelFilter::DEBUG,
            },
        }
    }

    /// The framed protocol that the options describe.
    pub fn framed(&self) -> Framed {
        Framed { max_frame: self.max_frame, frame_timeout: self.frame_timeout }
    }
}

/// The error with what to write on the command line.
pub fn describe(error: &ConfigError) -> String {
    match error {
        ConfigError::MemoryTooSmall { memory, workers, least } => {
            let least = least.next_multiple_of(1 << 10);
            let [memory, least] = [*memory, least].map(|size| format_size(size as u64));
            let workers = counted(*workers as u64, "worker");
            format!("--memory {memory} is too little for {workers}: give at least {least}")
        }
        ConfigError::Cpu(error) => cpus::with_option(error),
        _ => error.to_string(),
    }
}

/// Returns whether a server there leaves no room for an admin endpoint. That of all IPv6 addresses
/// takes IPv4 as well; a server's takes IPv6 alone.
fn is_in_the_way(server: SocketAddr, admin: SocketAddr) -> bool {
    let is_same_family = server.is_ipv4() == admin.is_ipv4();
    let is_of_all = |address: SocketAddr| address.ip().is_unspecified();
    let is_same_ip = Address::from(server) == Address::from(admin);
    server.port() == admin.port()
        && server.port() != 0
        && (is_same_ip
            || (is_of_all(admin) && (is_same_family || admin.is_ipv6()))
            || (is_of_all(server) && is_same_family))
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

/// The parser of a value that can be taken back.
fn or_off<T: Clone + Send + Sync + 'static, E: Display + 'static>(
    parse: fn(&str) -> Result<T, E>,
) -> impl TypedValueParser<Value = OrOff<T>> {
    /// Words of other programs for it.
    const MEANT: [&str; 7] =
        ["never", "no", "none", "disabled", "unlimited", "infinite", "infinity"];
    move |text: &str| match text {
        "off" => Ok(OrOff(None)),
        text if MEANT.contains(&text) => Err("write off".to_owned()),
        value => match parse(value) {
            Ok(value) => Ok(OrOff(Some(value))),
            Err(error) => Err(format!("{error}, or write off")),
        },
    }
}

/// The value of an option that was given and not taken back.
fn value<T: Clone>(option: &Option<OrOff<T>>) -> Option<T> {
    option.clone().and_then(|OrOff(value)| value)
}

fn parse_workers(text: &str) -> Result<u16, String> {
    const MAX_WORKERS: u64 = 1024;
    match parse_count(text).map_err(|error| error.to_string())? {
        workers @ 1..=MAX_WORKERS => Ok(workers as u16),
        _ => Err("it must be from 1 to 1024".to_owned()),
    }
}

/// A worker's longest wait is a second.
fn parse_hang_timeout(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_secs(2);
    match parse_duration(text).map_err(|error| error.to_string())? {
        time if time < LEAST => {
            Err("a worker may rest for a second, so it must be at least 2s".to_owned())
        }
        time => Ok(time),
    }
}

fn parse_spin(text: &str) -> Result<Duration, String> {
    const MAX_SPIN: Duration = Duration::from_millis(10);
    match parse_latency(text).map_err(|error| error.to_string())? {
        duration if duration > MAX_SPIN => {
            Err("longer than 10ms costs more than a wake-up ever does: write 50us".to_owned())
        }
        duration => Ok(duration),
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
