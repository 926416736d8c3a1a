//! The command line of `ringback`.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::CpuList;
use crate::protocol::{self, FramedConfig};
use crate::server::{Config, usable_cpus, workers_on};

/// A TCP echo server on io_uring.
#[derive(Debug, Parser)]
#[command(name = "ringback", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `ringback` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Echo what peers send until SIGTERM or SIGINT.
    Serve(Serve),
}

/// Options of `ringback serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Addresses to listen on, IPv4 or [IPv6], each with a port; port 0 takes a free one.
    #[arg(value_name = "ADDR", default_value = Config::DEFAULT_ADDRESS)]
    addresses: Vec<SocketAddr>,

    /// What a connection speaks.
    #[arg(long, value_enum, default_value_t = Protocol::Raw)]
    protocol: Protocol,

    /// CPUs to run workers on, such as 0-3,8 [default: all this process may use]
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuList>,

    /// Number of workers, spread over the CPUs in turn [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

/// Protocols as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Every byte comes back (RFC 862).
    Raw,
    /// Frames with sequence and checksum.
    Framed,
}

impl Serve {
    /// The configuration that the options describe.
    pub fn resolve(&self) -> Config {
        let cpus = self.cpus.as_ref().map_or_else(usable_cpus, |list| list.0.clone());
        let workers = self.workers.map_or(cpus.len(), usize::from);
        let protocol = match self.protocol {
            Protocol::Raw => protocol::Config::Raw,
            Protocol::Framed => protocol::Config::Framed(FramedConfig::default()),
        };
        Config { protocol, cpus: workers_on(&cpus, workers), ..Config::new(self.addresses.clone()) }
    }
}
