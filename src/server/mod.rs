//! A running server: listeners, pinned workers, shutdown.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use ringback::server::{Config, Server};
//!
//! let server = Server::start(&Config::new(vec!["127.0.0.1:0".parse()?]))?;
//! let mut client = TcpStream::connect(server.local_addresses()[0])?;
//! client.write_all(b"Hello, world")?;
//! let mut reply = [0; 12];
//! client.read_exact(&mut reply)?;
//! assert_eq!(&reply, b"Hello, world");
//! drop(client);
//! server.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod inherited;
mod keepalive;
mod limits;
mod listener;
mod placement;
mod refusal;
mod start;
mod worker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::driver::{ShutdownSignal, Urgency};
use crate::metrics::{Counters, Metrics};
use crate::protocol::Protocol;

pub(crate) use crate::driver::{BACKLOG, try_hold_off};
pub(crate) use config::FEW_CONNECTIONS;
pub use placement::{default_cpus, workers_on};
pub use start::Notice;
use worker::Workers;

use crate::address::format_socket_address;

pub use crate::driver::{Choice, DriverKind};
pub use crate::sys::RingSize;
pub use config::{Config, ConfigError, MemoryBound};

/// Why a server did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address could not be listened on.
    #[error("cannot listen on {}: {reason}", format_socket_address(*.address))]
    Listen {
        /// The address as asked for.
        address: SocketAddr,
        /// Cause and fix.
        reason: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// A listener that the server was given is none.
    #[error(
        "inherited descriptor {descriptor} is no TCP listener{}: a socket unit needs \
         ListenStream= with an address and a port, and Accept=no",
        source.as_ref().map_or_else(String::new, |source| format!(" ({source})"))
    )]
    Inherited {
        /// Its number in this process.
        descriptor: i32,
        /// The kernel's error, if it cannot even be asked.
        source: Option<io::Error>,
    },
    /// The driver that was asked for cannot work on this host.
    #[error("the {driver} driver cannot run here: {obstacle}")]
    Driver {
        /// The driver that was asked for.
        driver: DriverKind,
        /// Cause and fix.
        obstacle: String,
    },
    /// A worker may not run on its CPU.
    #[error(
        "worker {worker} on CPU {cpu} cannot start: it cannot be pinned there: {}",
        crate::cpus::explain(.source)
    )]
    Pin {
        /// Its number, from 0.
        worker: usize,
        /// Its CPU.
        cpu: usize,
        /// The kernel's error.
        source: io::Error,
    },
    /// A worker's driver could not begin.
    #[error("worker {worker} on CPU {cpu} cannot start: {reason}")]
    Worker {
        /// Its number, from 0.
        worker: usize,
        /// Its CPU.
        cpu: usize,
        /// Cause and fix.
        reason: String,
    },
    /// Everything started, but no connection could be accepted.
    #[error(
        "no descriptor is left for a connection: {0}; raise the limit: ulimit -n 1024 (docker run \
         --ulimit nofile=1024, in a systemd unit LimitNOFILE=1024)"
    )]
    NoDescriptor(io::Error),
    /// The kernel refused a descriptor or a thread.
    #[error("cannot start: {}", refusal::explain(_0))]
    System(#[from] io::Error),
}

/// Why a server that was running ended before it was ordered to.
#[derive(Debug, thiserror::Error)]
#[error("worker {worker} failed: {reason}")]
pub struct ServeError {
    /// Number of the worker that failed first.
    pub worker: usize,
    /// Cause.
    pub reason: String,
    /// Counters of the other workers.
    pub counters: Box<Counters>,
}

/// A server whose workers all listen.
///
/// Dropping it stops the workers without waiting for their peers.
#[derive(Debug)]
pub struct Server {
    driver: DriverKind,
    notices: Vec<Notice>,
    cpus: Vec<usize>,
    is_pinned: bool,
    local_addresses: Vec<SocketAddr>,
    workers: Workers,
    shutdown: Arc<ShutdownSignal>,
}

/// Ends a server from another thread.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<ShutdownSignal>);

impl Shutdown {
    /// Stop accepting, finish what was received, then end.
    pub fn drain(&self) {
        self.0.raise(Urgency::Drain);
    }

    /// End at once.
    pub fn stop(&self) {
        self.0.raise(Urgency::Stop);
    }
}

impl Server {
    /// Listens on every address, then starts the workers. Returns when all of them serve.
    ///
    /// # Errors
    ///
    /// When anything that was asked for cannot be had.
    pub fn start<P: Protocol>(config: &Config<P>) -> Result<Self, StartError> {
        start::start(config, Vec::new())
    }

    /// As [`start`](Self::start), on listeners that somebody else keeps, such as those of socket
    /// activation, instead of the configured addresses. Several on one address are dealt to the
    /// workers in turn; workers share one where there are fewer. A shutdown leaves who waits in their
    /// queues to whoever listens there next.
    ///
    /// # Errors
    ///
    /// When one of them is no TCP listener, or anything else that was asked for cannot be had.
    pub fn start_on<P: Protocol>(
        config: &Config<P>,
        listeners: Vec<TcpListener>,
    ) -> Result<Self, StartError> {
        start::start(config, listeners)
    }

    /// Notices to an operator of how it serves.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The driver that moves its bytes.
    pub fn driver(&self) -> DriverKind {
        self.driver
    }

    /// The CPU of each worker; none if a sandbox forbids to pin them.
    pub fn cpus(&self) -> &[usize] {
        if self.is_pinned { &self.cpus } else { &[] }
    }

    /// The addresses listened on, in the order asked for, ports resolved.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.local_addresses
    }

    /// One line: how many workers serve, where, and by which driver.
    pub fn description(&self) -> String {
        format!("{}, driver {}", placement::describe(&self.cpus, self.is_pinned), self.driver)
    }

    /// The kernel's ids of the worker threads, for accounting from outside.
    pub fn thread_ids(&self) -> Vec<i32> {
        self.workers.thread_ids()
    }

    /// Counts of its workers, to be read from any thread while they serve and after.
    pub fn metrics(&self) -> Metrics {
        self.workers.metrics()
    }

    /// A way to end this server from elsewhere.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(Arc::clone(&self.shutdown))
    }

    /// Waits until the server was shut down; returns the sum of what its workers counted.
    ///
    /// # Errors
    ///
    /// When a worker failed. The others are stopped then.
    pub fn wait(mut self) -> Result<Counters, ServeError> {
        self.workers.wait(&self.shutdown)
    }

    /// Drains, then waits.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait).
    pub fn stop(self) -> Result<Counters, ServeError> {
        self.shutdown.raise(Urgency::Drain);
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.raise(Urgency::Stop);
        self.workers.join();
    }
}
