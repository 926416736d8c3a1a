//! Configurations that cannot work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::address::format_socket_address;
use crate::cpus::CpusError;
use crate::server::keepalive::MAX_KEEPALIVE;
use crate::sys::RingSize;

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
