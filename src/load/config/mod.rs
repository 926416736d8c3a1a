//! A measurement's target, load and length.

pub(crate) mod assertion;
pub(crate) mod part;
pub(crate) mod quantile;
pub(crate) mod sizes;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::{Address, format_socket_address};
use crate::load::config::assertion::Assertion;
use crate::load::config::part::Part;
use crate::load::config::sizes::Sizes;
use crate::load::interrupt::Interrupt;
use crate::protocol::MAX_FRAME_CEILING;

/// Longest message in bytes: 16 MiB, the ceiling of the framed protocol.
pub const MAX_MESSAGE_SIZE: usize = MAX_FRAME_CEILING as usize;
/// The most messages a second that can be offered: a message each nanosecond.
pub const MAX_RATE: u64 = 1_000_000_000;

/// A measurement's target, load and length.
///
/// ```
/// use std::time::Duration;
///
/// use ringback::load::{Config, Load, Target};
///
/// let target = Target::at("127.0.0.1:65432".parse().unwrap());
/// let config = Config::new(target).with(|config| {
///     config.load = Load::at_rate(20_000);
///     config.depth = Config::OPEN_LOOP_DEPTH;
///     config.duration = Duration::from_secs(60);
/// });
/// assert_eq!(config.connections, 64);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where the server listens.
    pub target: Target,
    /// Facts about the server beyond its address.
    pub server: Server,
    /// The protocol of the server.
    pub protocol: Protocol,
    /// Connections, all made before the run begins; at least 1 for each part.
    pub connections: usize,
    /// How long making them takes, evenly; zero is as fast as the server accepts.
    pub ramp_up: Duration,
    /// Messages that a connection carries before it is closed and replaced, at least 1; `None` is
    /// one connection for the whole run, which is not replaced if it fails.
    pub reconnect: Option<u64>,
    /// Addresses of this host that connections come from in turn, those of the target's family;
    /// the kernel chooses if there are none.
    pub sources: Vec<Address>,
    /// Bytes of a message's payload.
    pub sizes: Sizes,
    /// Length of the measured window.
    pub duration: Duration,
    /// Load before the window, which counts in the totals but not in the measurements.
    pub warmup: Duration,
    /// The pace of the messages.
    pub load: Load,
    /// Most messages in flight on a connection, at least 1.
    pub depth: usize,
    /// Generator threads, 1 to this part's connections.
    pub threads: usize,
    /// Thread `i` runs on CPU `cpus[i % cpus.len()]`; anywhere if there are none.
    pub cpus: Vec<usize>,
    /// Chooses the bytes that are sent, and when, where chance decides.
    pub seed: u64,
    /// Open loop: for how long a thread polls instead of sleeping, before a message is due and
    /// after one was sent. Zero where the thread shares its CPU with the server.
    pub spin: Duration,
    /// How long replies may take after the measured window, and servers to close.
    pub timeout: Duration,
    /// True if one message is exchanged before the load, so that a target which is no echo server
    /// is told as such.
    pub preflight: bool,
    /// The part of the run that this generator makes; `None` is all of it. The load above is the
    /// whole run's.
    pub part: Option<Part>,
    /// When the warm-up begins, by the host's clock; `None` is as soon as all connections are made.
    pub start_at: Option<SystemTime>,
    /// Assertions on the run.
    pub assertions: Vec<Assertion>,
    /// Ends the run early when it is raised.
    pub interrupt: Interrupt,
}

impl Config {
    /// Most messages in flight on a connection of a closed loop, unless told otherwise.
    pub const CLOSED_LOOP_DEPTH: usize = 1;
    /// Most messages in flight on a connection of an open loop, unless told otherwise.
    pub const OPEN_LOOP_DEPTH: usize = 1024;
    /// Long enough to cover a timer's wake-up: on a virtual machine 20 to 50 µs, and 150 µs for one
    /// in a hundred.
    pub const SPIN: Duration = Duration::from_micros(200);

    /// Longer than TCP takes to send twice again what was lost (RFC 6298: 1 s, then 2 s).
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// 64 connections in closed loop, 64-byte raw messages, 10 s after 1 s of warm-up, one thread.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            server: Server::External,
            protocol: Protocol::Raw,
            connections: 64,
            ramp_up: Duration::ZERO,
            reconnect: None,
            sources: Vec::new(),
            sizes: Sizes::fixed(64).expect("it is in bounds"),
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(1),
            load: Load::Closed,
            depth: Self::CLOSED_LOOP_DEPTH,
            threads: 1,
            cpus: Vec::new(),
            seed: 1,
            spin: Self::SPIN,
            timeout: Self::TIMEOUT,
            preflight: false,
            part: None,
            start_at: None,
            assertions: Vec::new(),
            interrupt: Interrupt::default(),
        }
    }

    /// The part of the run that this generator makes, be it all.
    pub(crate) fn share(&self) -> Part {
        self.part.unwrap_or(Part::WHOLE)
    }

    /// Connections of this generator.
    pub(crate) fn own_connections(&self) -> usize {
        self.share().share(self.connections)
    }

    /// Messages a second of this generator on average, of the run's.
    pub(crate) fn own_rate(&self, rate: u64) -> f64 {
        rate as f64 * self.own_connections() as f64 / self.connections as f64
    }

    /// This configuration after some changes.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// As the user wrote it, for the report.
    pub name: String,
    /// The addresses of the name; the first that takes a connection is used.
    pub addresses: Vec<SocketAddr>,
}

impl Target {
    /// The server at this address.
    pub fn at(address: SocketAddr) -> Self {
        Self::new(format_socket_address(address), vec![address])
    }

    /// The server that this name leads to.
    pub fn new(name: impl Into<String>, addresses: Vec<SocketAddr>) -> Self {
        Self { name: name.into(), addresses }
    }
}

/// Whose CPU time is the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// The processes that listen on the target's port, if it is one of this host's and we may see
    /// them.
    External,
    /// A process that was started to be measured, with its process group.
    Started {
        /// Its number.
        id: u32,
        /// The CPUs that it was given.
        cpus: Vec<usize>,
    },
    /// Threads of this process.
    Embedded {
        /// Kernel ids of the threads that serve.
        thread_ids: Vec<i32>,
        /// The CPUs that they are pinned to.
        cpus: Vec<usize>,
    },
}

/// The protocol of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Every byte comes back (RFC 862).
    Raw,
    /// Frames with sequence and checksum.
    Framed,
}

impl Protocol {
    /// The name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Framed => "framed",
        }
    }
}

/// The pace of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// As soon as fewer than `depth` are in flight on its connection.
    Closed,
    /// The clock, whatever the server does.
    Open {
        /// Messages a second over all connections, of all parts, at least 1.
        rate: u64,
        /// How they are spread over time.
        arrival: Arrival,
    },
}

impl Load {
    /// Messages a second over all connections, evenly spread.
    pub fn at_rate(rate: u64) -> Self {
        Self::Open { rate, arrival: Arrival::Uniform }
    }
}

/// How the messages of an open loop are spread over time.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// Evenly.
    #[default]
    Uniform,
    /// By chance, as from many independent users.
    Poisson,
}

impl Arrival {
    /// The name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Poisson => "poisson",
        }
    }
}
