//! The command line of `ringback-load`.

use std::fs::File;
use std::io::{self, Write, stdout};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use super::placement::Placement;
use super::progress::ProgressLine;
use super::units::{format_count, format_size, parse_count, parse_duration, parse_size};
use crate::cpus::{self, CpusError};
use crate::load::{
    Config, DescriptorLimitError, Load, MAX_MESSAGE_SIZE, Report, RunError, Server, Target,
    allow_descriptors, report, run,
};
use crate::{load, protocol};

/// The measurement is not valid.
const EXIT_INVALID: u8 = 4;
/// Descriptors for everything but connections: standard streams, event loops, logs, rings.
const OTHER_DESCRIPTORS: u64 = 64;
/// A bound on what a connection remembers: 24 bytes a message in flight.
const MAX_DEPTH: usize = 65_536;
/// Schedules are exact to the nanosecond for this long.
const MAX_DURATION: Duration = Duration::from_secs(100 * 24 * 3600);

/// Measures a TCP echo server: rate, latency, CPU, and whether the numbers can be trusted.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "ringback-load",
    version,
    after_help = "\
Examples:
  ringback-load                                     an embedded server, as fast as it goes
  ringback-load 127.0.0.1:65432 -c 512 -s 1KiB      closed loop: what is its capacity?
  ringback-load 127.0.0.1:65432 -r 20k -d 1m        open loop: what latency at 20,000/s?
  ringback-load [::1]:65432 --format json -o r.json

Units: counts k, M, G; sizes KiB, MiB; durations ns, us, ms, s, m, h.
Exit codes: 0 valid, 1 nothing could be measured, 2 usage, 4 the measurement is not valid."
)]
pub struct Args {
    /// HOST:PORT of the server; without it one is started in this process and measured
    target: Option<String>,
    /// Connections, all made before the run begins
    #[arg(short, long, value_name = "N", default_value = "64", value_parser = parse_count)]
    connections: u64,
    /// Bytes of a message, up to 16MiB
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = parse_size)]
    size: u64,
    /// How long to measure, after the warm-up
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// How long to load the server before measuring
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    warmup: Duration,
    /// Open loop: messages a second over all connections, sent on time whatever the server does
    #[arg(short, long, value_name = "N", value_parser = parse_count)]
    rate: Option<u64>,
    /// Messages in flight per connection [default: 1; with --rate at most 1024]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    depth: Option<u64>,
    /// Generator threads [default: 1, or one for each of --cpus]
    #[arg(short, long, value_name = "N", value_parser = parse_count)]
    threads: Option<u64>,
    /// CPUs of the generator threads, as in 0-3,8
    #[arg(long, value_name = "LIST", value_parser = parse_cpus)]
    cpus: Option<CpuList>,
    /// What the server speaks
    #[arg(long, value_enum, default_value_t = ProtocolName::Raw)]
    protocol: ProtocolName,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Chooses the bytes that are sent
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// No progress line
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProtocolName {
    /// Every byte comes back (RFC 862)
    Raw,
    /// Frames with sequence and checksum
    Framed,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// One value to clap, which would take a plain vector for many.
#[derive(Debug, Clone)]
struct CpuList(Vec<usize>);

fn parse_cpus(text: &str) -> Result<CpuList, CpusError> {
    cpus::parse_list(text).map(CpuList)
}

/// Why the program ends without a report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option's value is not possible.
    #[error("{0}")]
    Usage(String),
    /// The report's file cannot be written.
    #[error("cannot write the report to {path}: {source}; choose another --output")]
    Output {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The target's name has no address.
    #[error("cannot resolve {target}: {source}")]
    Resolve {
        /// The target as the user wrote it.
        target: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The host lets the process open too few files.
    #[error(transparent)]
    Descriptors(#[from] DescriptorLimitError),
    /// The embedded server does not start.
    #[error("cannot start the embedded server: {0}; or name a TARGET to measure")]
    Server(String),
    /// Nothing could be measured.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl LoadError {
    /// Prints the error as one line on stderr; says with which code to exit.
    pub fn report(&self) -> ExitCode {
        let _ = writeln!(io::stderr(), "ringback-load: {self}");
        ExitCode::from(match self {
            Self::Usage(_) | Self::Output { .. } => 2,
            Self::Resolve { .. } | Self::Descriptors(_) | Self::Server(_) | Self::Run(_) => 1,
        })
    }
}

/// What a command line asks for, checked.
#[derive(Debug)]
pub struct Plan {
    config: Config,
    /// The server to start first, if the command line names none.
    pub embedded: Option<EmbeddedServer>,
    format: Format,
    output: Option<(PathBuf, File)>,
    is_quiet: bool,
}

/// The server that is to be started in this process.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedServer {
    /// What it must speak, with room for the messages that will be sent.
    pub protocol: protocol::Config,
    /// Where its one worker is pinned.
    pub cpu: usize,
}

impl Args {
    /// Checks the options against each other and against this host.
    ///
    /// # Errors
    ///
    /// Names the first option that is not possible, and what would be.
    pub fn resolve(self) -> Result<Plan, LoadError> {
        let connections = within("--connections", self.connections, 1, 1_000_000)?;
        let message_size = within_sizes("--size", self.size, 1, MAX_MESSAGE_SIZE as u64)?;
        let threads = self
            .threads
            .map(|threads| within("--threads", threads, 1, self.connections.min(1024)))
            .transpose()?;
        let depth =
            self.depth.map(|depth| within("--depth", depth, 1, MAX_DEPTH as u64)).transpose()?;
        check_times(self.duration, self.warmup)?;
        let load = match self.rate {
            None => Load::Closed,
            Some(rate) => {
                within("--rate", rate, 1, 1_000_000_000)?;
                Load::Open { rate }
            }
        };
        let allowed = cpus::allowed();
        let wanted = self.cpus.as_ref().map(|CpuList(cpus)| cpus.as_slice());
        cpus::check_allowed(wanted.unwrap_or_default(), &allowed)
            .map_err(|error| LoadError::Usage(format!("--cpus: {error}")))?;
        let is_embedded = self.target.is_none();
        let place = Placement::choose(&allowed, is_embedded, wanted, threads, connections);
        let ends = if is_embedded { 2 } else { 1 };
        allow_descriptors(ends * connections as u64 + OTHER_DESCRIPTORS)?;
        let config = Config {
            target: self.target.as_deref().map_or(Ok(unknown_target()), resolve_target)?,
            server: Server::External,
            protocol: self.protocol.into(),
            connections,
            message_size,
            duration: self.duration,
            warmup: self.warmup,
            load,
            depth: depth.unwrap_or(match load {
                Load::Closed => Config::CLOSED_LOOP_DEPTH,
                Load::Open { .. } => Config::OPEN_LOOP_DEPTH,
            }),
            threads: place.threads,
            cpus: place.generator,
            seed: self.seed,
            spin: if place.may_spin { Config::SPIN } else { Duration::ZERO },
        };
        Ok(Plan {
            embedded: place
                .server
                .map(|cpu| EmbeddedServer { protocol: self.protocol.of_server(message_size), cpu }),
            config,
            format: self.format,
            output: self.output.map(create).transpose()?,
            is_quiet: self.quiet,
        })
    }
}

impl Plan {
    /// The embedded server has started: measures it.
    pub fn measure_embedded(
        &mut self,
        address: SocketAddr,
        thread_ids: Vec<i32>,
        cpus: Vec<usize>,
    ) {
        self.config.target = Target::at(address);
        self.config.server = Server::Embedded { thread_ids, cpus };
    }

    /// Measures, and writes the report where it belongs; says with which code to exit.
    ///
    /// # Errors
    ///
    /// When there is nothing to report or the report cannot be written.
    pub fn execute(self) -> Result<ExitCode, LoadError> {
        let line = ProgressLine::new(self.is_quiet);
        let found = run(&self.config, &mut |progress| line.show(progress));
        drop(line);
        let found = found?;
        let document = match self.format {
            Format::Text => report::text(&found),
            Format::Json => report::json(&found),
        };
        deliver(&document, self.output)?;
        Ok(exit_code(&found))
    }
}

impl From<ProtocolName> for load::Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Raw => Self::Raw,
            ProtocolName::Framed => Self::Framed,
        }
    }
}

impl ProtocolName {
    fn of_server(self, message_size: usize) -> protocol::Config {
        match self {
            Self::Raw => protocol::Config::Raw,
            Self::Framed => {
                let default = protocol::FramedConfig::default();
                let max_frame = default.max_frame.max(message_size as u32);
                protocol::Config::Framed(protocol::FramedConfig { max_frame, ..default })
            }
        }
    }
}

fn exit_code(report: &Report) -> ExitCode {
    if report.verdict.is_valid() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INVALID) }
}

fn within(option: &str, value: u64, least: u64, most: u64) -> Result<usize, LoadError> {
    checked(option, value, least, most, format_count)
}

fn within_sizes(option: &str, value: u64, least: u64, most: u64) -> Result<usize, LoadError> {
    checked(option, value, least, most, format_size)
}

fn checked(
    option: &str,
    value: u64,
    least: u64,
    most: u64,
    format: fn(u64) -> String,
) -> Result<usize, LoadError> {
    if (least..=most).contains(&value) {
        return Ok(usize::try_from(value).expect("bounds are far below any address space"));
    }
    let (value, least, most) = (format(value), format(least), format(most));
    Err(LoadError::Usage(format!("{option} {value} is not possible: use {least} to {most}")))
}

fn check_times(duration: Duration, warmup: Duration) -> Result<(), LoadError> {
    if duration.is_zero() {
        return Err(LoadError::Usage("--duration 0s measures nothing: use 1s or more".to_owned()));
    }
    if duration.checked_add(warmup).is_none_or(|total| total > MAX_DURATION) {
        return Err(LoadError::Usage(
            "--duration and --warmup are too long: together at most 2400h".to_owned(),
        ));
    }
    Ok(())
}

/// What stands for the target until the embedded server has its port.
fn unknown_target() -> Target {
    Target { name: String::new(), addresses: Vec::new() }
}

fn resolve_target(target: &str) -> Result<Target, LoadError> {
    let is_plausible = target.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !is_plausible {
        return Err(LoadError::Usage(format!(
            "TARGET {target:?} is not HOST:PORT: write 127.0.0.1:65432, [::1]:65432 or name:65432"
        )));
    }
    let addresses = target
        .to_socket_addrs()
        .map_err(|source| LoadError::Resolve { target: target.to_owned(), source })?;
    Ok(Target { name: target.to_owned(), addresses: addresses.collect() })
}

/// Creates the report's file before the run, so that a mistake does not cost one.
fn create(path: PathBuf) -> Result<(PathBuf, File), LoadError> {
    match File::create(&path) {
        Ok(file) => Ok((path, file)),
        Err(source) => Err(LoadError::Output { path, source }),
    }
}

fn deliver(document: &str, output: Option<(PathBuf, File)>) -> Result<(), LoadError> {
    let (path, outcome) = match output {
        Some((path, mut file)) => {
            let outcome = file.write_all(document.as_bytes());
            (path, outcome)
        }
        None => (Path::new("stdout").to_owned(), stdout().write_all(document.as_bytes())),
    };
    outcome.map_err(|source| LoadError::Output { path, source })
}
