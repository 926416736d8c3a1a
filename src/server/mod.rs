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

mod listener;
mod placement;
mod signals;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::{Settings, ShutdownSignal, Urgency};
use crate::metrics::Counters;
use crate::protocol;

pub use placement::{PlacementError, usable_cpus, workers_on};
pub use signals::shut_down_on_signals;
use worker::Workers;

/// What to serve, where, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses to listen on; port 0 asks for a free one.
    pub addresses: Vec<SocketAddr>,
    /// The protocol of every connection.
    pub protocol: protocol::Config,
    /// One worker for each entry, pinned to that CPU; a CPU may be named again.
    pub cpus: Vec<usize>,
    /// How long a connection must be silent during shutdown to count as finished.
    pub drain_quiet: Duration,
    /// How long a shutdown may go on receiving.
    pub drain_timeout: Duration,
}

impl Config {
    /// Default address: the textbook's echo server.
    pub const DEFAULT_ADDRESS: &str = "127.0.0.1:65432";

    /// The raw protocol on these addresses, one worker on every CPU this process may use.
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        let settings = Settings::default();
        Self {
            addresses,
            protocol: settings.protocol,
            cpus: usable_cpus(),
            drain_quiet: settings.drain.quiet,
            drain_timeout: settings.drain.timeout,
        }
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings { protocol: self.protocol, ..Settings::default() };
        settings.drain.quiet = self.drain_quiet;
        settings.drain.timeout = self.drain_timeout;
        settings
    }
}

/// Why a server did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There was nothing to listen on.
    #[error("no address to listen on: give at least one")]
    NoAddress,
    /// There was no worker to start.
    #[error("no CPU for a worker: give at least one")]
    NoWorker,
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {}", listener::explain(source))]
    Listen {
        /// The address as asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A CPU is not one that this process may use.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A worker could not begin.
    #[error("worker {worker} on CPU {cpu} cannot start: {reason}")]
    Worker {
        /// Its number, from 0.
        worker: usize,
        /// Its CPU.
        cpu: usize,
        /// Cause and fix.
        reason: String,
    },
    /// The kernel refused a descriptor or a thread.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// Why a server that was running ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("worker {worker} failed: {reason}")]
pub struct ServeError {
    /// Number of the worker that failed first.
    pub worker: usize,
    /// What happened.
    pub reason: String,
}

/// A server whose workers all listen.
///
/// Dropping it stops the workers without waiting for their peers.
#[derive(Debug)]
pub struct Server {
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
    pub fn start(config: &Config) -> Result<Self, StartError> {
        if config.addresses.is_empty() {
            return Err(StartError::NoAddress);
        }
        if config.cpus.is_empty() {
            return Err(StartError::NoWorker);
        }
        placement::check(&config.cpus)?;
        let shutdown = Arc::new(ShutdownSignal::new()?);
        let listeners = listener::listen(&config.addresses, config.cpus.len())?;
        let local_addresses = listeners.local_addresses;
        let workers =
            Workers::start(&config.cpus, listeners.of_workers, config.settings(), &shutdown)?;
        Ok(Self { local_addresses, workers, shutdown })
    }

    /// The addresses listened on, in the order asked for, ports resolved.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.local_addresses
    }

    /// The kernel's ids of the worker threads, for accounting from outside.
    pub fn thread_ids(&self) -> Vec<i32> {
        self.workers.thread_ids()
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
