//! The driver of futures: a tokio-uring runtime for each worker, a task for each connection.
//!
//! The session decides, as for the readiness driver; a task carries out what it says of its
//! connection, and the *reception*, the runtime's main future, sees to listeners, time and
//! shutdown. They ring each other's [`Bell`].
//!
//! Dropping a future of tokio-uring neither cancels its operation nor returns its buffer, so none
//! is dropped: an operation that is to end is unblocked by shutting the socket down, and awaited.

mod bell;
mod buffer;
mod connection;
mod reception;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ::tokio_uring::Runtime;
use rustix::io::Errno;

use self::bell::Bell;
pub(crate) use self::buffer::{LARGE as BUFFER_SIZE, LARGE_BUFFERS_MEMORY};
use self::reception::Reception;
use super::Worker;
use super::copying::Session;
use crate::metrics::Counters;

/// Bytes of memory that a connection takes beside what waits in it: its receive buffer, its task,
/// the operations in flight. Measured with 10,000 connections after one echo each, rounded up.
pub(crate) const CONNECTION_MEMORY: usize = 12 << 10;

/// Descriptors of a worker: its ring; the runtime's epoll instance, the eventfd that wakes it and
/// its end of the signal pipe; both shutdown signals, which the runtime wants to own.
pub(crate) const DESCRIPTORS: usize = 6;

/// Submissions that can wait for the next system call.
const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 8192;
/// Bytes of the ring: 64 a submission, 16 a completion, as much again for what the runtime
/// remembers of its operations.
pub(crate) const RING_MEMORY: usize = 2 * (SUBMISSIONS as usize * 64 + COMPLETIONS as usize * 16);

/// A worker whose runtime exists and whose listeners are about to be served.
pub(crate) struct Driver {
    reception: Reception,
    runtime: Runtime,
}

impl Driver {
    /// Makes the runtime on the calling thread and watches what there is.
    pub(crate) fn new(worker: Worker) -> io::Result<Self> {
        for listener in &worker.listeners {
            listener.set_nonblocking(true)?;
        }
        let runtime = build_runtime()?;
        let reception = runtime.block_on(async { Reception::new(worker) })?;
        Ok(Self { reception, runtime })
    }

    /// Serves until shut down.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to watch; connections that fail are counted, not errors.
    pub(crate) fn run(self) -> io::Result<Counters> {
        let Self { reception, runtime } = self;
        runtime.block_on(reception.run())
    }
}

/// Tries the cheapest ring first. DEFER_TASKRUN is not among them: the runtime never asks for the
/// work that it defers.
fn build_runtime() -> io::Result<Runtime> {
    let mut plain = ::tokio_uring::uring_builder();
    plain.setup_cqsize(COMPLETIONS);
    let mut cheap = plain.clone();
    cheap.setup_single_issuer().setup_coop_taskrun();
    let build =
        |ring| Runtime::new(::tokio_uring::builder().entries(SUBMISSIONS).uring_builder(ring));
    match build(&cheap) {
        // Linux 5.19 knows one of the two, earlier ones neither.
        Err(error) if errno_of(&error) == Errno::INVAL => build(&plain),
        built => built,
    }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// What the tasks of a worker share.
struct Shared {
    session: RefCell<Session>,
    /// By slot: how to call the task of a connection.
    bells: RefCell<Vec<Rc<Bell>>>,
    /// Calls the reception.
    reception: Bell,
    /// When the reception wakes by itself.
    alarm: Cell<Option<Instant>>,
    large_buffers: Cell<usize>,
}

impl Shared {
    fn new(worker: &Worker) -> Self {
        Self {
            session: RefCell::new(Session::new(worker.settings, Arc::clone(&worker.admission))),
            bells: RefCell::default(),
            reception: Bell::default(),
            alarm: Cell::new(None),
            large_buffers: Cell::new(0),
        }
    }

    /// Calls the tasks of those that something happened to, and the reception if it would sleep too
    /// long.
    fn wake_others(&self) {
        let mut session = self.session.borrow_mut();
        while let Some(key) = session.next_dirty() {
            self.bells.borrow()[key.slot as usize].ring();
        }
        let deadline = session.deadline();
        if deadline.is_some_and(|time| self.alarm.get().is_none_or(|alarm| time < alarm)) {
            self.reception.ring();
        }
    }
}
