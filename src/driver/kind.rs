//! The drivers there are, and what each costs.

use std::fmt;
use std::io;

use super::{Worker, epoll, tokio_uring, uring};
use crate::metrics::Counters;
use crate::protocol::Protocol;
use crate::sys::{self, RingSize};

/// How workers move bytes: each kind is a model of I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverKind {
    /// Completions: io_uring as the kernel offers it. The fastest.
    Uring,
    /// Futures: tokio-uring, a runtime over one-shot operations of io_uring.
    TokioUring,
    /// Readiness: epoll. Works where io_uring is blocked.
    Epoll,
}

/// Serves until shut down, on the thread that it was prepared on. Fails when the kernel refuses to
/// go on; connections that fail are counted.
pub(crate) type Serve = Box<dyn FnOnce() -> io::Result<Counters>>;

impl DriverKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Uring, Self::TokioUring, Self::Epoll];

    /// The driver that serves where io_uring is refused.
    pub(crate) const FALLBACK: Self = Self::Epoll;

    /// The name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::TokioUring => "tokio-uring",
            Self::Epoll => "epoll",
        }
    }

    /// Makes what the kernel has to give for a worker on the calling thread.
    ///
    /// # Errors
    ///
    /// Names cause and fix when it does not give it.
    pub(crate) fn prepare<P: Protocol>(self, worker: Worker<P>) -> Result<Serve, String> {
        Ok(match self {
            Self::Uring => {
                let driver = uring::on_this_host(worker).map_err(|error| error.to_string())?;
                Box::new(|| driver.run())
            }
            Self::TokioUring => {
                let driver =
                    tokio_uring::Driver::new(worker).map_err(|error| sys::explain_ring(&error))?;
                Box::new(|| driver.run())
            }
            Self::Epoll => {
                let driver =
                    epoll::on_this_host(worker).map_err(|error| sys::explain_resources(&error))?;
                Box::new(|| driver.run())
            }
        })
    }

    /// Returns whether workers can poll before they sleep.
    pub(crate) fn can_spin(self) -> bool {
        match self {
            Self::Uring | Self::Epoll => true,
            Self::TokioUring => false,
        }
    }

    /// Returns whether bytes can go past memory, through a pipe.
    pub(crate) fn can_splice(self) -> bool {
        match self {
            Self::Uring | Self::Epoll => true,
            Self::TokioUring => false,
        }
    }

    /// Descriptors that a worker takes beside its listeners and connections.
    pub(crate) fn worker_descriptors(self) -> usize {
        match self {
            Self::Uring | Self::Epoll => 1,
            Self::TokioUring => tokio_uring::DESCRIPTORS,
        }
    }

    /// Bytes of memory that a worker takes beside its connections.
    ///
    /// The native driver takes its ring and buffers, and as much again: what arrives in one turn
    /// fits the buffers, so copies of it or answers to it are no longer, and they may exist before
    /// what they take the place of has gone. The same holds of the one buffer of the others.
    pub(crate) fn worker_memory(self, ring: RingSize) -> usize {
        match self {
            Self::Uring => 2 * ring.memory(),
            Self::TokioUring => tokio_uring::LARGE_BUFFERS_MEMORY + tokio_uring::RING_MEMORY,
            Self::Epoll => 2 * epoll::BUFFER_SIZE + epoll::EVENTS_MEMORY,
        }
    }

    /// Bytes of memory that a connection takes beside what waits in it.
    pub(crate) fn connection_memory(self) -> usize {
        match self {
            Self::Uring => uring::CONNECTION_MEMORY,
            Self::TokioUring => tokio_uring::CONNECTION_MEMORY,
            Self::Epoll => epoll::CONNECTION_MEMORY,
        }
    }

    /// Bytes of a receive buffer.
    pub(crate) fn buffer_size(self, ring: RingSize) -> usize {
        match self {
            Self::Uring => ring.buffer_size as usize,
            Self::TokioUring => tokio_uring::BUFFER_SIZE,
            Self::Epoll => epoll::BUFFER_SIZE,
        }
    }

    /// Receive buffers that one connection can fill before anybody looks.
    pub(crate) fn buffers_in_one_turn(self, ring: RingSize) -> usize {
        match self {
            Self::Uring => uring::BUFFERS_IN_ONE_TURN.min(ring.buffers.into()),
            Self::TokioUring | Self::Epoll => 1,
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
