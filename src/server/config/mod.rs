//! Configuration of a server: protocol, addresses, limits.

mod addresses;
mod error;
mod memory_bound;

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

pub use self::error::ConfigError;
pub use self::memory_bound::MemoryBound;
use super::keepalive::MAX_KEEPALIVE;
use super::{limits, placement};
use crate::cgroup::MemoryLimit;
use crate::cpus::{self, PinningRefusal};
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
        addresses::check(&self.addresses)?;
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
}
