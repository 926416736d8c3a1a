//! Configuration of a server: protocol, addresses, limits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use super::keepalive::MAX_KEEPALIVE;
use super::{limits, placement};
use crate::address::format_socket_address;
use crate::cgroup::MemoryLimit;
use crate::cpus::{self, CpusError, PinningRefusal};
use crate::driver::{Choice, DriverKind, Settings, SpliceLimits};
use crate::lifecycle::{AdmissionLimits, DrainLimits, Limits};
use crate::protocol::{Connection, Protocol, Raw};
use crate::sys::RingSize;

/// The configuration of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config<P = Raw> {
    /// Addresses to listen on; port 0 asks for a free one.
    pub addresses: Vec<SocketAddr>,
    /// True if other processes of this user may listen on the same ports.
    pub share_port: bool,
    /// How the workers move bytes.
    pub driver: DriverKind,
    /// True if epoll serves where the kernel refuses what `driver` needs when the server starts.
    pub may_fall_back: bool,
    /// The protocol of every connection.
    pub protocol: P,
    /// One worker for each entry, pinned to that CPU unless a sandbox forbids pinning; a CPU may be
    /// named again.
    pub cpus: Vec<usize>,
    /// True if each worker is to stay on its CPU.
    pub pin: bool,
    /// Descriptors that the server leaves to the rest of the process, such as an endpoint for its
    /// metrics.
    pub spare_descriptors: usize,
    /// Connections there may be at the same time.
    pub max_connections: usize,
    /// Connections there may be at the same time from one IPv4 address or one IPv6 /64; `None` is
    /// no limit.
    pub max_connections_per_ip: Option<NonZero<usize>>,
    /// Bytes of memory, over all workers, for what waits while receive buffers are scarce.
    pub memory: usize,
    /// Sizes of each worker's ring.
    pub ring: RingSize,
    /// How long a worker polls for the next message before it sleeps, where that pays; zero is
    /// never.
    pub spin: Duration,
    /// True if bulk that nobody has to look at goes through a pipe (`splice(2)`), where it would
    /// otherwise be copied twice: for a [transparent](crate::protocol::Connection::is_transparent)
    /// protocol, with the native and the epoll driver. Takes two descriptors for each pipe, at most a
    /// 32nd of all there are.
    pub splice: bool,
    /// Bytes of each connection's send buffer in the kernel (SO_SNDBUF, which `socket(7)` doubles);
    /// `None` leaves it to the kernel's own tuning.
    pub send_buffer: Option<usize>,
    /// A peer that is silent for this long is asked whether it is still there, then four times
    /// more, a quarter of it apart, and taken for gone if it never answers. In whole seconds,
    /// rounded up, at most 32,767; `None` is never.
    pub keepalive: Option<Duration>,
    /// A connection on which nothing happens for this long is ended; `None` is never.
    pub idle_timeout: Option<Duration>,
    /// A peer that acknowledges nothing for this long while bytes wait for it is ended.
    pub stall_timeout: Duration,
    /// How long a connection must be silent during shutdown to count as finished.
    pub drain_quiet: Duration,
    /// How long a shutdown may go on receiving.
    pub drain_timeout: Duration,
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is nothing to listen on.
    #[error("no address to listen on: give at least one")]
    NoAddress,
    /// A CPU is not one that this process may use.
    #[error(transparent)]
    Cpu(#[from] CpusError),
    /// Two addresses take the same port of the same interface.
    #[error(
        "{} and {} overlap: leave one of them out",
        format_socket_address(*.0),
        format_socket_address(*.1),
    )]
    Overlap(SocketAddr, SocketAddr),
    /// An IPv4 address in the clothes of an IPv6 one.
    #[error("[{0}] is an IPv4 address: write it as {1}")]
    MappedAddress(Ipv6Addr, Ipv4Addr),
    /// Nobody can connect to it: TCP is between two hosts.
    #[error(
        "{0} is a multicast or broadcast address, and TCP connects to single hosts: give one \
             that an interface has, or 0.0.0.0 or [::] for all"
    )]
    NotUnicast(IpAddr),
    /// There is no worker to start.
    #[error("no CPU for a worker: give at least one")]
    NoWorker,
    /// Nobody could go on while buffers are scarce.
    #[error(
        "--memory of {memory} bytes is too little for {workers} workers: give \
         at least {least} bytes"
    )]
    MemoryTooSmall {
        /// The memory configured, in bytes.
        memory: usize,
        /// The workers that share it.
        workers: usize,
        /// The least that would do, in bytes.
        least: usize,
    },
    /// The sizes of a ring are not ones that the kernel takes.
    #[error(
        "a ring needs powers of two, at most 32768 buffers, none of them empty, and more \
             completions than submissions; not {0:?}"
    )]
    Ring(RingSize),
    /// The kernel takes no such time.
    #[error(
        "a keepalive time of {0:?} is none that the kernel takes: give more than 0 s and at most \
         {MAX_KEEPALIVE:?}, or turn it off"
    )]
    Keepalive(Duration),
    /// The protocol's limits are not possible.
    #[error("{0}")]
    Protocol(String),
}

impl ConfigError {
    /// The option of `ringback serve` that is to be changed.
    pub fn option(&self) -> &'static str {
        match self {
            Self::NoAddress | Self::Overlap(..) | Self::MappedAddress(..) | Self::NotUnicast(_) => {
                "addresses"
            }
            Self::Cpu(_) | Self::NoWorker => "cpus",
            Self::MemoryTooSmall { .. } => "memory",
            Self::Ring(_) => "ring",
            Self::Keepalive(_) => "keepalive",
            Self::Protocol(_) => "max-frame",
        }
    }
}

/// A hundred years: longer times would not fit the clock.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// A descriptor limit that leaves room for fewer is worth a warning.
pub(crate) const FEW_CONNECTIONS: usize = 500;

impl Config {
    /// Default address: the textbook's echo server.
    pub const DEFAULT_ADDRESS: &str = "127.0.0.1:65432";
    /// Default of [`memory`](Self::memory): 256 MiB.
    pub const DEFAULT_MEMORY: usize = 256 << 20;
    /// Default of [`keepalive`](Self::keepalive): a minute, well within the time after which
    /// middleboxes forget a connection.
    pub const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(60);

    /// The raw protocol on these addresses; see [`with_protocol`](Self::with_protocol).
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self::with_protocol(addresses, Raw)
    }
}

impl<P: Protocol> Config<P> {
    /// A protocol on these addresses, one worker on each of the
    /// [`default_cpus`](super::default_cpus), as many connections as the descriptor limit allows.
    pub fn with_protocol(addresses: Vec<SocketAddr>, protocol: P) -> Self {
        let (limits, drain) = (Limits::default(), DrainLimits::default());
        let mut config = Self {
            addresses,
            share_port: false,
            driver: DriverKind::Uring,
            may_fall_back: false,
            protocol,
            cpus: placement::default_cpus(),
            pin: true,
            spare_descriptors: 0,
            max_connections: 0,
            max_connections_per_ip: None,
            memory: Config::DEFAULT_MEMORY,
            ring: RingSize::default(),
            spin: Duration::ZERO,
            splice: true,
            send_buffer: None,
            keepalive: Some(Config::DEFAULT_KEEPALIVE),
            idle_timeout: limits.idle_timeout,
            stall_timeout: limits.stall_timeout,
            drain_quiet: drain.quiet,
            drain_timeout: drain.timeout,
        };
        config.max_connections = config.connections_within_descriptors().max(1);
        config.memory = config.memory.max(config.least_memory());
        config
    }

    /// Takes the fastest driver with which as many workers can run here. What it needs may be gone
    /// when the server starts, so that [may fall back](Self::may_fall_back).
    pub fn choose_driver(&mut self) -> Choice {
        let choice = Choice::of_the_best(self.cpus.len(), self.ring);
        self.driver = choice.driver;
        self.may_fall_back = choice.driver != DriverKind::FALLBACK;
        choice
    }

    /// How many connections the descriptor limit allows, which a server raises as far as it can when
    /// it starts; 0 if none. A limit that cannot be read is taken for 1024, and one of the
    /// [`warnings`](Self::warnings) says so.
    pub fn connections_within_descriptors(&self) -> usize {
        // And one for a connection that is accepted and has no place yet.
        let of_worker = self.driver.worker_descriptors()
            + 2 * self.splice_limits().pipes
            + self.addresses.len()
            + 1;
        let descriptors = descriptors().saturating_sub(self.spare_descriptors);
        limits::connections_within(descriptors, self.cpus.len() * of_worker)
    }

    fn splice_limits(&self) -> SpliceLimits {
        /// A pipe for so many descriptors.
        const SHARE: usize = 64;
        let may_splice =
            self.splice && self.driver.can_splice() && self.protocol.connection().is_transparent();
        if !may_splice {
            return SpliceLimits::NONE;
        }
        let pipes = descriptors() / (SHARE * self.cpus.len().max(1));
        SpliceLimits { pipes: pipes.min(SpliceLimits::MAX_PIPES), bulk: SpliceLimits::BULK }
    }

    pub(super) fn admission_limits(&self) -> AdmissionLimits {
        AdmissionLimits {
            max_connections: self.max_connections,
            max_per_peer: self.max_connections_per_ip,
            max_overflow: limits::overflow_within(descriptors()),
        }
    }

    /// Checks that the parts of the configuration fit together.
    ///
    /// # Errors
    ///
    /// When they do not.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.addresses.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        check_addresses(&self.addresses)?;
        let workers = self.cpus.len();
        if workers == 0 {
            return Err(ConfigError::NoWorker);
        }
        cpus::check_allowed(&self.cpus, &cpus::allowed())?;
        if !self.ring.is_possible() {
            return Err(ConfigError::Ring(self.ring));
        }
        self.protocol.check().map_err(ConfigError::Protocol)?;
        if let Some(time) = self.keepalive
            && (time.is_zero() || time > MAX_KEEPALIVE)
        {
            return Err(ConfigError::Keepalive(time));
        }
        let least = self.least_memory();
        if self.memory < least {
            return Err(ConfigError::MemoryTooSmall { memory: self.memory, workers, least });
        }
        Ok(())
    }

    /// The least [`memory`](Self::memory) with which peers that wait cannot cost others their
    /// connection. A worker needs room for two of what must be kept whole, a frame or the content
    /// of a receive buffer, one that arrives while another waits to be sent; and for what a single
    /// connection can receive in one turn before anybody looks.
    pub fn least_memory(&self) -> usize {
        let buffer = self.driver.buffer_size(self.ring);
        let kept_whole = 2 * (buffer.max(self.protocol.max_undecided()) + 4096);
        let in_one_turn = self.driver.buffers_in_one_turn(self.ring);
        self.cpus.len() * (kept_whole + in_one_turn * (buffer + 1024))
    }

    /// Warnings about a configuration that is valid all the same.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<_> = self.warn_of_descriptors().into_iter().collect();
        if !self.spin.is_zero() && !self.driver.can_spin() {
            warnings.push(format!(
                "--spin does nothing with the {} driver, whose runtime does the waiting",
                self.driver
            ));
        }
        let refusal = if self.pin { PinningRefusal::detect() } else { None };
        warnings.extend(refusal.map(PinningRefusal::warning));
        warnings.extend(placement::warn_beyond_quota(&self.cpus));
        warnings.extend(self.warn_beyond_memory(MemoryLimit::detect(Path::new("/")).as_ref()));
        warnings
    }

    fn warn_of_descriptors(&self) -> Option<String> {
        let possible = self.connections_within_descriptors();
        let Self { max_connections, .. } = self;
        if let Err(error) = limits::descriptor_limit() {
            Some(format!(
                "the descriptor limit cannot be read: {error}; {} is assumed, which leaves room \
                 for {possible} connections: allow the system call prlimit64 (in the seccomp \
                 profile of the container or service), or give --max-connections",
                limits::DEFAULT_DESCRIPTORS
            ))
        } else if *max_connections > possible.max(1) {
            Some(format!(
                "{max_connections} connections are allowed, but descriptors go for {possible}: \
                 raise ulimit -n"
            ))
        } else if possible < FEW_CONNECTIONS {
            Some(format!(
                "the descriptor limit leaves room for {} connections: raise ulimit -n",
                if possible == 0 { "next to no".to_owned() } else { possible.to_string() }
            ))
        } else {
            None
        }
    }

    fn warn_beyond_memory(&self, limit: Option<&MemoryLimit>) -> Option<String> {
        let (limit, bound) = (limit?, self.memory_bound().bytes());
        (bound as u64 > limit.bytes).then(|| {
            format!(
                "up to {} MiB may be needed by {} connections, but the limit here is {limit}: past \
                 it the kernel kills the server; lower --max-connections{} or --memory, or raise \
                 the limit",
                bound.div_ceil(1 << 20),
                self.max_connections,
                self.affordable_connections(limit.bytes)
            )
        })
    }

    /// How many connections would do, for a hint; nothing if even none does not.
    fn affordable_connections(&self, bytes: u64) -> String {
        match self.memory_bound().connections_within(bytes as usize) {
            0 => String::new(),
            connections => format!(" (to {connections})"),
        }
    }

    /// How long a drain takes at most, from the request to the end of the last connection.
    pub fn longest_drain(&self) -> Duration {
        let DrainLimits { timeout, flush, .. } = self.settings().drain;
        timeout + flush
    }

    /// The most memory that a server with this configuration takes.
    pub fn memory_bound(&self) -> MemoryBound {
        MemoryBound {
            workers: self.cpus.len(),
            worker: self.driver.worker_memory(self.ring) + MemoryBound::STACK,
            memory: self.memory,
            connections: self.max_connections,
            connection: self.driver.connection_memory(),
        }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            limits: Limits {
                stall_timeout: self.stall_timeout.min(NEVER),
                idle_timeout: self.idle_timeout.map(|limit| limit.min(NEVER)),
                ..Limits::default()
            },
            drain: DrainLimits {
                quiet: self.drain_quiet.min(NEVER),
                timeout: self.drain_timeout.min(NEVER),
                ..DrainLimits::default()
            },
            ring: self.ring,
            spin: self.spin,
            splice: self.splice_limits(),
            spill_budget: self.memory / self.cpus.len().max(1),
            inherits_listeners: false,
        }
    }
}

fn descriptors() -> usize {
    limits::descriptor_limit().unwrap_or(limits::DEFAULT_DESCRIPTORS)
}

fn check_addresses(addresses: &[SocketAddr]) -> Result<(), ConfigError> {
    for (index, &address) in addresses.iter().enumerate() {
        if let IpAddr::V6(ip) = address.ip()
            && let Some(mapped) = ip.to_ipv4_mapped()
        {
            return Err(ConfigError::MappedAddress(ip, mapped));
        }
        if is_of_many(address.ip()) {
            return Err(ConfigError::NotUnicast(address.ip()));
        }
        if let Some(&other) = addresses[..index].iter().find(|other| overlap(**other, address)) {
            return Err(ConfigError::Overlap(other, address));
        }
    }
    Ok(())
}

fn is_of_many(ip: IpAddr) -> bool {
    ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || is_of_network(ip))
}

/// Returns whether it is the broadcast address of a network that this host is in, such as
/// 127.255.255.255. The kernel shows it by refusing it as the destination of a socket without
/// SO_BROADCAST (`ip(7)`); nothing is sent.
fn is_of_network(ip: Ipv4Addr) -> bool {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else { return false };
    // A sandbox that forbids to connect answers EPERM.
    socket.connect((ip, 7)).is_err_and(|error| error.raw_os_error() == Some(libc::EACCES))
}

/// IPv6 listeners take IPv6 only, so families never overlap.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_interface = match (one, other) {
        _ if one.ip().is_unspecified() || other.ip().is_unspecified() => true,
        // A link-local address is one of each interface.
        (SocketAddr::V6(one), SocketAddr::V6(other)) => {
            one.ip() == other.ip() && one.scope_id() == other.scope_id()
        }
        _ => one.ip() == other.ip(),
    };
    one.port() == other.port()
        && one.port() != 0
        && one.is_ipv4() == other.is_ipv4()
        && same_interface
}

/// The most memory that a server takes, and how that is reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBound {
    workers: usize,
    worker: usize,
    memory: usize,
    connections: usize,
    connection: usize,
}

impl MemoryBound {
    /// The program itself: code, its heap, the stacks of its threads.
    const PROGRAM: usize = 16 << 20;
    /// A thread's stack: Rust's default.
    const STACK: usize = 2 << 20;
    /// Memory that an allocator takes for what waits, in times of its size: peers can see to it that
    /// what one gives up leaves gaps in which the next does not fit. They were seen to bring about
    /// 1.83 (`pieces_that_leave_gaps` in `tests/server/conformance/memory.rs`, at full size).
    const FRAGMENTATION: usize = 2;

    /// With how many connections the bound would be this many bytes at most; 0 if with none.
    pub(crate) fn connections_within(&self, bytes: usize) -> usize {
        let others = Self { connections: 0, ..*self }.bytes();
        bytes.saturating_sub(others) / self.connection
    }

    /// The bound in bytes.
    pub fn bytes(&self) -> usize {
        self.workers
            .saturating_mul(self.worker)
            .saturating_add(self.memory.saturating_mul(Self::FRAGMENTATION))
            .saturating_add(self.connections.saturating_mul(self.connection))
            .saturating_add(Self::PROGRAM)
    }
}

impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes.div_ceil(1 << 20);
        write!(
            f,
            "memory: at most {} MiB = {} workers x {} MiB of buffers and rings \
             + {} x {} MiB for what waits (--memory, and as much for gaps between) \
             + {} connections x {} KiB + {} MiB for the program; \
             on top the kernel takes socket buffers for each connection (up to \
             net.ipv4.tcp_rmem and tcp_wmem, all together tcp_mem), and no thread for any",
            mib(self.bytes()),
            self.workers,
            mib(self.worker),
            Self::FRAGMENTATION,
            mib(self.memory),
            self.connections,
            self.connection >> 10,
            mib(Self::PROGRAM),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Framed, MAX_FRAME_CEILING};

    fn framed(max_frame: u32, memory: usize) -> Config<Framed> {
        let framed = Framed { max_frame, ..Framed::default() };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::with_protocol(vec![address], framed);
        config.cpus = vec![0, 0];
        config.memory = memory;
        config
    }

    #[test]
    fn memory_that_cannot_hold_a_frame_is_refused_with_what_would_do() {
        let error = framed(1 << 20, 1 << 20).check().expect_err("too small");
        let enough = framed(1 << 20, 0).least_memory();
        assert!(enough > 2 * 2 * (1 << 20));
        assert!(error.to_string().contains(&format!("at least {enough} bytes")), "{error}");
        assert_eq!(framed(1 << 20, enough).check(), Ok(()));
    }

    #[test]
    fn a_frame_limit_outside_the_wire_format_is_refused() {
        for limit in [0, MAX_FRAME_CEILING + 1] {
            let error = framed(limit, usize::MAX >> 1).check().expect_err("it is not possible");
            let text = format!("a frame limit of {limit} bytes is outside 1 to 16777216");
            assert_eq!(error, ConfigError::Protocol(text));
        }
    }

    #[test]
    fn a_keepalive_time_that_the_kernel_does_not_take_is_refused() {
        for (time, is_taken) in [
            (Duration::ZERO, false),
            (Duration::from_nanos(1), true),
            (MAX_KEEPALIVE, true),
            (MAX_KEEPALIVE + Duration::from_nanos(1), false),
        ] {
            let config = Config { keepalive: Some(time), ..framed(1000, usize::MAX >> 1) };
            assert_eq!(config.check().is_ok(), is_taken, "{time:?}");
        }
    }

    #[test]
    fn addresses_that_cannot_all_be_had_are_refused() {
        let check = |texts: &[&str]| {
            let addresses = texts.iter().map(|text| text.parse().expect("an address"));
            Config::new(addresses.collect()).check().map_err(|error| error.to_string())
        };
        assert_eq!(check(&["127.0.0.1:0", "127.0.0.1:0", "[::]:7", "0.0.0.0:7"]), Ok(()));
        let error = check(&["0.0.0.0:7", "127.0.0.1:7"]).expect_err("they overlap");
        assert!(error.contains("0.0.0.0:7 and 127.0.0.1:7 overlap"), "{error}");
        assert_eq!(check(&["[fe80::1%2]:7", "[fe80::1%3]:7"]), Ok(()));
        for other in ["[fe80::1%2]:7", "[::]:7"] {
            let error = check(&["[fe80::1%2]:7", other]).expect_err("they overlap");
            assert!(error.contains("overlap"), "{error}");
        }
        for address in ["224.0.0.1:7", "255.255.255.255:7", "127.255.255.255:7", "[ff02::1]:7"] {
            let error = check(&[address]).expect_err("nobody can connect to it");
            assert!(error.contains("is a multicast or broadcast address"), "{error}");
        }
        let error = check(&["[::ffff:127.0.0.1]:7"]).expect_err("it is mapped");
        assert!(error.contains("write it as 127.0.0.1"), "{error}");
    }

    #[test]
    fn rings_that_no_kernel_makes_are_refused() {
        let good = RingSize::default();
        for ring in [
            RingSize { buffers: 3, ..good },
            RingSize { buffers: 0, ..good },
            RingSize { buffer_size: 0, ..good },
            RingSize { completions: good.submissions, ..good },
            RingSize { submissions: 100, ..good },
            RingSize { submissions: 1, ..good },
        ] {
            let config = Config { ring, ..framed(1000, usize::MAX >> 1) };
            assert_eq!(config.check(), Err(ConfigError::Ring(ring)));
        }
    }

    #[test]
    fn times_beyond_the_clock_are_never() {
        let mut config = framed(1000, usize::MAX >> 1);
        config.stall_timeout = Duration::MAX;
        config.idle_timeout = Some(Duration::MAX);
        config.drain_timeout = Duration::MAX;
        config.drain_quiet = Duration::MAX;
        let Settings { limits, drain, .. } = config.settings();
        let now = std::time::Instant::now();
        for limit in
            [limits.stall_timeout, limits.idle_timeout.expect("set"), drain.timeout, drain.quiet]
        {
            assert!(now.checked_add(limit + drain.flush).is_some());
        }
    }

    #[test]
    fn a_bound_beyond_what_the_container_may_use_is_told() {
        let config = framed(1000, 64 << 20);
        let bound = config.memory_bound().bytes() as u64;
        assert_eq!(config.warn_beyond_memory(None), None);
        assert_eq!(config.warn_beyond_memory(Some(&MemoryLimit::of_bytes(bound))), None);
        let warning = config.warn_beyond_memory(Some(&MemoryLimit::of_bytes(64 << 20)));
        let warning = warning.expect("the program itself takes memory too");
        assert!(warning.contains("but the limit here is 64 MiB (memory.max)"), "{warning}");
    }

    #[test]
    fn the_bound_adds_up() {
        let bound = MemoryBound {
            workers: 2,
            worker: 7 << 20,
            memory: 5 << 20,
            connections: 1000,
            connection: 4 << 10,
        };
        let expected = 2 * (7 << 20) + 2 * (5 << 20) + 1000 * (4 << 10) + MemoryBound::PROGRAM;
        assert_eq!(bound.bytes(), expected);
        assert!(
            bound
                .to_string()
                .starts_with(&format!("memory: at most {} MiB", expected.div_ceil(1 << 20)))
        );
    }
}
