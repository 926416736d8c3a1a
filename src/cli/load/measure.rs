//! The options of a measurement, the same for every command that measures.

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Arg, Args};
use tracing::warn;

use super::super::addresses::parse_addresses;
use super::super::placement::{Placement, ServerPlace};
use super::super::rates::parse_per_s;
use super::bounds::{check_times, within};
use super::error::LoadError;
use super::sharing::Sharing;
use super::target;
use crate::address::Address;
use crate::cpus::{self, PinningRefusal};
use crate::load::{
    Arrival, Assertion, Config, Interrupt, Load, MAX_RATE, Part, Protocol, Server, Sizes, Target,
    allow_descriptors, check_sources, server_cpus,
};
use crate::units::{parse_count, parse_duration};

/// Descriptors for everything but connections: standard streams, an event loop, logs, rings.
const OTHER_DESCRIPTORS: u64 = 64;
/// Descriptors of each further generator thread: its event loop, and both ends of its waker.
const THREAD_DESCRIPTORS: u64 = 3;
/// A generator with more is out of ports long before.
const MAX_CONNECTIONS: u64 = 1_000_000;
/// A bound on what a connection remembers: 24 bytes a message in flight.
const MAX_DEPTH: usize = 65_536;

/// Load, length and generator of a measurement.
#[derive(Debug, Clone, Args)]
pub struct Measuring {
    /// Open loop: messages a second over all connections, sent on time whatever the server does
    /// [default: closed loop, each connection sends when it has been answered]
    #[arg(short, long, value_name = "N", value_parser = parse_per_s, help_heading = LOAD)]
    pub(super) rate: Option<u64>,
    /// With --rate: how messages are spread over time [default: uniform]
    #[arg(long, value_enum, value_name = "HOW", help_heading = LOAD)]
    #[arg(hide_short_help = true)]
    arrival: Option<Arrival>,
    /// Connections, all made before the run begins
    #[arg(short, long, value_name = "N", default_value = "64", value_parser = parse_count)]
    #[arg(help_heading = LOAD)]
    connections: u64,
    /// How long to take for connecting, before the warm-up [default: as fast as they are accepted]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = LOAD)]
    #[arg(hide_short_help = true)]
    ramp_up: Option<Duration>,
    /// Messages in flight per connection [default: 1; with --rate as many as are due, up to
    /// 1024]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = LOAD)]
    #[arg(hide_short_help = true)]
    depth: Option<u64>,
    /// Messages per connection; then it is closed and a new one is made, and so it is when one
    /// fails [default: no limit]. Each leaves its port in TIME_WAIT: a second on loopback, where
    /// Linux uses it again, a minute elsewhere, which is 470 connections/s for each --source
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = LOAD)]
    #[arg(hide_short_help = true)]
    reconnect: Option<u64>,
    /// How long to measure, after the warm-up
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    #[arg(help_heading = LOAD)]
    duration: Duration,
    /// How long to load the server before measuring
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    #[arg(help_heading = LOAD)]
    warmup: Duration,
    /// How long to wait for replies after the measured window, and for the server's FIN after ours
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    #[arg(help_heading = LOAD)]
    #[arg(hide_short_help = true)]
    timeout: Duration,
    /// No message on a connection of its own before the load: it tells within 2 s that the target
    /// is no echo server
    #[arg(long, help_heading = LOAD)]
    #[arg(hide_short_help = true)]
    no_preflight: bool,
    /// Bytes of a message, up to 16MiB: one size, a range drawn from evenly (64..1024, both ends
    /// included), or sizes with weights (64:90,4KiB:10)
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = Sizes::from_str)]
    #[arg(help_heading = MESSAGES)]
    size: Sizes,
    /// Protocol of the server
    #[arg(long, value_enum, default_value_t = Protocol::Raw, help_heading = MESSAGES)]
    protocol: Protocol,
    /// Chooses the bytes and the sizes that are sent, and with --arrival poisson the times
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = MESSAGES)]
    #[arg(hide_short_help = true)]
    seed: u64,
    /// Assertion on the measurement, as in 'p99<200us' or 'throughput>=100k'; may be repeated.
    /// Latencies are response times with --rate, else service times
    #[arg(long = "assert", value_name = "ASSERTION", value_parser = Assertion::from_str)]
    #[arg(help_heading = ASSERTIONS)]
    assertions: Vec<Assertion>,
    /// Generator threads [default: 1, or one for each of --cpus]
    #[arg(short, long, value_name = "N", value_parser = parse_count, help_heading = GENERATOR)]
    #[arg(hide_short_help = true)]
    threads: Option<u64>,
    /// CPUs of the generator threads, as in 0-3,8
    #[arg(long, value_name = "LIST", value_parser = cpus::parse_list, help_heading = GENERATOR)]
    cpus: Option<CpuList>,
    /// Addresses of this host to connect from in turn, as in 127.0.0.2-127.0.0.9: each has 28,232
    /// ports by default
    #[arg(long, value_name = "LIST", value_parser = parse_addresses, help_heading = GENERATOR)]
    #[arg(hide_short_help = true)]
    source: Option<AddressList>,
}

/// An option as it is where a command chooses the rates.
pub(super) fn of_chosen_rates(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "rate" => option.hide(true),
        "arrival" => option.help("How messages are spread over time [default: uniform]"),
        "depth" => option.help(
            "Messages in flight per connection, at most [default: as many as are due, up to 1024]",
        ),
        "assertions" => option.help(
            "Assertion on the measurement, as in 'p99<200us'; may be repeated. Latencies are response \
             times",
        ),
        _ => option,
    }
}

const LOAD: &str = "Load";
const MESSAGES: &str = "Messages";
const ASSERTIONS: &str = "Assertions";
const GENERATOR: &str = "Generator";

#[derive(Debug)]
pub(super) struct Setup {
    pub(super) config: Config,
    /// The CPU of the server to start first, if the command line names none.
    pub(super) server_cpu: Option<usize>,
}

/// The rates of a command that chooses them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChosenRates<'a> {
    pub(super) first: u64,
    /// Whose matter they are, in words.
    pub(super) by: &'a str,
}

/// The loads that are measured with the options.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// One load, or this generator's part of it.
    Load(Sharing),
    /// A load at each of several rates.
    Rates(ChosenRates<'a>),
}

/// Named, or clap would take them for many values.
pub(super) type CpuList = Vec<usize>;
type AddressList = Vec<Address>;

impl Measuring {
    /// Checks the options against each other and against this host; without a target there will
    /// be an embedded server.
    pub(super) fn resolve(
        &self,
        target: Option<&str>,
        scope: Scope<'_>,
    ) -> Result<Setup, LoadError> {
        let target = target.map(target::resolve).transpose()?;
        let running = target.as_ref().map(server_cpus);
        let place = running.as_deref().map_or(ServerPlace::Any, ServerPlace::Running);
        let (mut config, server_cpus) = self.resolve_beside(place, target, scope)?;
        let server_cpu = server_cpus.first().copied();
        if server_cpu.is_some() {
            // It is known to echo.
            config.preflight = false;
            self.allow_descriptors(true, config.connections, config.threads)?;
        }
        Ok(Setup { config, server_cpu })
    }

    /// As [`resolve`](Self::resolve), for a server in this place; without a target its address is
    /// not known yet. Returns the CPUs that the server is to have, if it is ours to place.
    pub(super) fn resolve_beside(
        &self,
        server: ServerPlace<'_>,
        target: Option<Target>,
        scope: Scope<'_>,
    ) -> Result<(Config, Vec<usize>), LoadError> {
        let sharing = match scope {
            Scope::Load(sharing) => sharing,
            Scope::Rates(_) => Sharing::default(),
        };
        let part = sharing.part.unwrap_or(Part::WHOLE);
        let most = MAX_CONNECTIONS * part.of as u64;
        let connections = within("--connections", self.connections, 1, most)?;
        let ramp_up = self.ramp_up.unwrap_or_default();
        check_times(self.duration, self.warmup, ramp_up, self.timeout)?;
        let load = self.load(scope)?;
        sharing.check(target.is_some(), connections, load, self.duration)?;
        let own_connections = part.share(connections);
        let depth = self.depth(load)?;
        let place = self.place(server, own_connections)?;
        self.allow_descriptors(false, own_connections, place.threads)?;
        // That of a server to come is any port of loopback, until it has one.
        let target = target.unwrap_or_else(|| Target::at((Ipv4Addr::LOCALHOST, 0).into()));
        let config = Config {
            sources: self.sources(&target)?,
            target,
            server: Server::External,
            protocol: self.protocol,
            connections,
            ramp_up,
            reconnect: self.reconnect()?,
            sizes: self.size.clone(),
            duration: self.duration,
            warmup: self.warmup,
            load,
            depth,
            threads: place.threads,
            cpus: place.generator,
            seed: self.seed,
            spin: if place.may_spin { Config::SPIN } else { Duration::ZERO },
            timeout: self.timeout,
            preflight: !self.no_preflight,
            part: sharing.part,
            start_at: sharing.start_at,
            assertions: self.assertions.clone(),
            interrupt: Interrupt::default(),
        };
        Ok((config, place.server))
    }

    fn sources(&self, target: &Target) -> Result<Vec<Address>, LoadError> {
        let sources = self.source.clone().unwrap_or_default();
        check_sources(&sources, &target.addresses)
            .map_err(|error| LoadError::usage(format!("--source: {error}")))?;
        Ok(sources)
    }

    fn reconnect(&self) -> Result<Option<u64>, LoadError> {
        self.reconnect
            .map(|messages| within("--reconnect", messages, 1, 1_000_000_000).map(|_| messages))
            .transpose()
    }

    /// The embedded server has the other end of every connection, and may still have the old one
    /// when the new one comes.
    fn allow_descriptors(
        &self,
        is_embedded: bool,
        connections: usize,
        threads: usize,
    ) -> Result<(), LoadError> {
        let ends = match (is_embedded, self.reconnect) {
            (false, _) => 1,
            (true, None) => 2,
            (true, Some(_)) => 3,
        };
        let of_threads = THREAD_DESCRIPTORS * (threads as u64 - 1);
        let needed = ends * connections as u64 + of_threads + OTHER_DESCRIPTORS;
        let remedy = match is_embedded {
            true => "; or start the server in a process of its own and name it as TARGET",
            false => "",
        };
        allow_descriptors(needed).map_err(|error| LoadError::nothing(format!("{error}{remedy}")))
    }

    fn load(&self, scope: Scope<'_>) -> Result<Load, LoadError> {
        let rate = match (self.rate, scope) {
            (Some(_), Scope::Rates(ChosenRates { by, .. })) => {
                return Err(LoadError::usage(format!("--rate is one rate: {by}")));
            }
            (None, Scope::Rates(ChosenRates { first, .. })) => Some(first),
            (rate, Scope::Load(_)) => rate,
        };
        let Some(rate) = rate else {
            return match self.arrival {
                None => Ok(Load::Closed),
                Some(_) => Err(LoadError::usage(
                    "--arrival is of the open loop: give it a --rate, as in -r 10k",
                )),
            };
        };
        within("--rate", rate, 1, MAX_RATE)?;
        Ok(Load::Open { rate, arrival: self.arrival.unwrap_or_default() })
    }

    fn depth(&self, load: Load) -> Result<usize, LoadError> {
        match (self.depth, load) {
            (Some(depth), _) => within("--depth", depth, 1, MAX_DEPTH as u64),
            (None, Load::Closed) => Ok(Config::CLOSED_LOOP_DEPTH),
            (None, Load::Open { .. }) => Ok(Config::OPEN_LOOP_DEPTH),
        }
    }

    fn check_threads(&self, threads: u64, own_connections: usize) -> Result<usize, LoadError> {
        const MAX_THREADS: u64 = 1024;
        if (own_connections as u64 + 1..=MAX_THREADS).contains(&threads) {
            let of_part = match own_connections as u64 == self.connections {
                true => String::new(),
                false => format!(", this part's of {}", self.connections),
            };
            return Err(LoadError::usage(format!(
                "--threads {threads} are more than --connections {own_connections}{of_part}, of \
                 which each needs one: use --threads {own_connections} or more --connections",
            )));
        }
        within("--threads", threads, 1, MAX_THREADS)
    }

    fn place(&self, server: ServerPlace<'_>, connections: usize) -> Result<Placement, LoadError> {
        let check = |threads| self.check_threads(threads, connections);
        let threads = self.threads.map(check).transpose()?;
        let allowed = cpus::allowed();
        let wanted = self.cpus.as_deref();
        cpus::check_allowed(wanted.unwrap_or_default(), &allowed)
            .map_err(|error| LoadError::usage(format!("--cpus: {}", cpus::with_option(&error))))?;
        let mut place = Placement::choose(&allowed, server, wanted, threads, connections);
        if let Some(refusal) = PinningRefusal::detect()
            && !place.generator.is_empty()
        {
            warn!("{}", refusal.warning());
            place.generator.clear();
        }
        Ok(place)
    }
}
