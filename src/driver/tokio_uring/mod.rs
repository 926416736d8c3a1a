//! The driver of futures: a tokio-uring runtime for each worker, a task for each connection.
//!
//! A task carries out what its connection needs; the accept task, the runtime's main future, sees to
//! listeners, time and shutdown. They wake each other by their [`Waker`]s.
//!
//! Dropping a future of tokio-uring neither cancels its operation nor returns its buffer, so none
//! is dropped: an operation that is to end is unblocked by shutting the socket down, and awaited.

mod accept_task;
mod connection;
mod next_turn;
mod receive_buffer;
mod waker;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Instant;

use ::tokio_uring::Runtime;
use rustix::io::Errno;

use self::accept_task::AcceptTask;
use self::next_turn::NextTurn;
pub(crate) use self::receive_buffer::{LARGE as BUFFER_SIZE, LARGE_BUFFERS_MEMORY};
use self::waker::Waker;
use super::shared_buffer::Span;
use super::{Worker, connections};
use crate::metrics::Counters;
use crate::protocol::Protocol;
use crate::sys;

/// Bytes of memory that a connection takes beside what waits in it: its receive buffer, its task,
/// the operations in flight. Measured with 10,000 connections after one echo each, rounded up.
pub(crate) const CONNECTION_MEMORY: usize = 12 << 10;

/// Descriptors of a worker: its ring; the runtime's epoll instance, the eventfd that wakes it and
/// its end of the signal pipe; both shutdown signals, which the runtime wants to own; the eventfd that
/// announces its next turn.
pub(crate) const DESCRIPTORS: usize = 7;

/// Submissions that can wait for the next system call.
const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 8192;
/// Bytes of the ring: 64 a submission, 16 a completion, as much again for what the runtime
/// remembers of its operations.
pub(crate) const RING_MEMORY: usize = 2 * (SUBMISSIONS as usize * 64 + COMPLETIONS as usize * 16);

type Connections<P> = connections::Connections<P, Span, Rc<Waker>>;

/// A worker whose runtime exists and whose listeners are about to be served.
pub(crate) struct Driver<P: Protocol> {
    accept_task: AcceptTask<P>,
    runtime: Runtime,
}

impl<P: Protocol> Driver<P> {
    /// Makes the runtime on the calling thread and watches what there is.
    pub(crate) fn new(worker: Worker<P>) -> io::Result<Self> {
        for listener in &worker.listeners {
            listener.set_nonblocking(true)?;
        }
        let runtime = build_runtime()?;
        sys::limit_kernel_workers();
        let accept_task = runtime.block_on(async { AcceptTask::new(worker) })?;
        Ok(Self { accept_task, runtime })
    }

    /// Serves until shut down.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to watch; connections that fail are counted, not errors.
    pub(crate) fn run(self) -> io::Result<Counters> {
        let Self { accept_task, runtime } = self;
        runtime.block_on(accept_task.run())
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

/// State that the tasks of a worker share.
struct Shared<P: Protocol> {
    connections: RefCell<Connections<P>>,
    accept_task: Waker,
    next_turn: NextTurn,
    /// When the accept task wakes by itself.
    alarm: Cell<Option<Instant>>,
    large_buffers: Rc<Cell<usize>>,
}

impl<P: Protocol> Shared<P> {
    /// To be called inside the runtime.
    fn new(worker: &Worker<P>) -> io::Result<Self> {
        Ok(Self {
            connections: RefCell::new(Connections::of(worker)),
            accept_task: Waker::default(),
            next_turn: NextTurn::new()?,
            alarm: Cell::new(None),
            large_buffers: Rc::default(),
        })
    }

    /// Before a task sleeps: wakes those of others that something happened to, and the accept task if
    /// it would sleep too long. Those that used their turn up have another when the runtime has. Shows
    /// what was counted.
    fn end_turn(&self) {
        let mut connections = self.connections.borrow_mut();
        while let Some(key) = connections.next_dirty() {
            connections.get(key).expect("who is dirty is there").transport.wake();
        }
        let deadline = connections.deadline();
        if deadline.is_some_and(|time| self.alarm.get().is_none_or(|alarm| time < alarm)) {
            self.accept_task.wake();
        }
        if connections.has_work() {
            self.next_turn.want().expect("a counter far from its limit takes an increment");
        }
        connections.publish(&connections.counters(), 0);
    }
}
