//! The main future of a worker: listeners, time and shutdown.

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use tokio::time::{Sleep, sleep_until};

use super::connection::Connection;
use super::{Connections, Shared, Worker};
use crate::driver::listeners::{Accepts, Listeners};
use crate::driver::shared_buffer::SharedBuffer;
use crate::driver::{MAX_WAIT, Urgency, handshake, peer};
use crate::lifecycle::Admission;
use crate::metrics::Counters;
use crate::protocol::Protocol;
use crate::sys::{Watched, sockopt};

/// Turns of the runtime before a deadline is acted on: one in which it sees what the kernel
/// completed, one in which the tasks take it, and those for what a second receive brings.
const TURNS_BEFORE_DEADLINES: usize = 8;

/// The runtime hands submissions over when it goes to sleep, and does not look whether the kernel took
/// them. Where it did not (EAGAIN, EINTR of `io_uring_enter(2)`) they lie there until it sleeps again.
const RESUBMISSION_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct AcceptTask<P: Protocol> {
    shared: Rc<Shared<P>>,
    admission: Arc<Admission>,
    listeners: Listeners<Watched<TcpListener>>,
    /// Signals that were not raised yet.
    signals: Vec<(Urgency, Watched<OwnedFd>)>,
    alarm: Pin<Box<Sleep>>,
}

impl<P: Protocol> AcceptTask<P> {
    /// Watches what there is; to be called inside the runtime.
    pub(super) fn new(mut worker: Worker<P>) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for listener in std::mem::take(&mut worker.listeners) {
            listeners.push(Watched::listener(listener)?);
        }
        let mut signals = Vec::new();
        for urgency in Urgency::ALL {
            let descriptor = worker.shutdown.descriptor(urgency).try_clone_to_owned()?;
            signals.push((urgency, Watched::descriptor(descriptor)?));
        }
        Ok(Self {
            shared: Rc::new(Shared::new(&worker)?),
            admission: worker.admission,
            listeners: Listeners::new(listeners),
            signals,
            alarm: Box::pin(sleep_until(Instant::now().into())),
        })
    }

    pub(super) async fn run(mut self) -> io::Result<Counters> {
        while !self.shared.connections.borrow().is_finished() {
            self.act_on_deadlines().await?;
            self.turn();
            self.shared.end_turn();
            if self.shared.connections.borrow().is_finished() {
                break;
            }
            if self.listeners.has_more(self.shared.connections.borrow().accepting()) {
                self.shared.next_turn.want()?;
            }
            poll_fn(|context| self.poll_event(context)).await?;
        }
        Ok(self.shared.connections.borrow().counters())
    }

    /// Acts on the deadlines that have passed, once all that had arrived by then is seen: the process
    /// may have stood still, and its peers were in time.
    async fn act_on_deadlines(&self) -> io::Result<()> {
        let now = Instant::now();
        if self.shared.connections.borrow().deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        for _ in 0..TURNS_BEFORE_DEADLINES {
            self.shared.next_turn.want()?;
            poll_fn(|context| self.shared.next_turn.poll(context)).await?;
        }
        self.shared.connections.borrow_mut().handle_timeout(now, &mut SharedBuffer::default());
        Ok(())
    }

    fn turn(&mut self) {
        let mut connections = self.shared.connections.borrow_mut();
        connections.begin_turn();
        let now = Instant::now();
        let mut host = Host { now, shared: &self.shared, admission: &self.admission };
        self.listeners.follow(now, &mut connections, &mut host);
    }

    /// Ready when there is something to do.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let has_time_come = self.poll_alarm(context).is_ready();
        let is_woken = self.shared.accept_task.poll(context).is_ready();
        let is_turn = self.shared.next_turn.poll(context)?.is_ready();
        let is_signalled = self.poll_signals(context)?.is_ready();
        let is_visited = self.poll_listeners(context)?.is_ready();
        if has_time_come || is_woken || is_turn || is_signalled || is_visited {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let connections = self.shared.connections.borrow();
        let wait = if connections.len() > 0 { RESUBMISSION_INTERVAL } else { MAX_WAIT };
        let latest = Instant::now() + wait;
        let deadline = connections.deadline().map_or(latest, |deadline| deadline.min(latest));
        self.shared.alarm.set(Some(deadline));
        if self.alarm.deadline() != deadline.into() {
            self.alarm.as_mut().reset(deadline.into());
        }
        self.alarm.as_mut().poll(context)
    }

    fn poll_signals(&mut self, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        let mut raised = Poll::Pending;
        for (urgency, signal) in std::mem::take(&mut self.signals) {
            match signal.poll_readable(context)? {
                Poll::Pending => self.signals.push((urgency, signal)),
                Poll::Ready(_) => {
                    raised = Poll::Ready(());
                    let mut connections = self.shared.connections.borrow_mut();
                    let nothing = &mut SharedBuffer::default();
                    connections.shut_down(Instant::now(), urgency, nothing);
                }
            }
        }
        Ok(raised)
    }

    fn poll_listeners(&mut self, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        let mut visited = Vec::new();
        for (index, listener) in self.listeners.exhausted() {
            if listener.poll_readable(context)?.is_ready() {
                visited.push(index);
            }
        }
        visited.iter().for_each(|index| self.listeners.set_ready(*index));
        Ok(if visited.is_empty() { Poll::Pending } else { Poll::Ready(()) })
    }
}

/// The means to accept: where connections have their tasks, and who may come in.
struct Host<'a, P: Protocol> {
    now: Instant,
    shared: &'a Rc<Shared<P>>,
    admission: &'a Admission,
}

impl<P: Protocol> Accepts<Watched<TcpListener>, Connections<P>> for Host<'_, P> {
    fn accept(
        &mut self,
        listener: &Watched<TcpListener>,
        connections: &mut Connections<P>,
    ) -> Result<(), Errno> {
        let socket = accept_with(listener.get(), SocketFlags::CLOEXEC)?;
        adopt(self.now, connections, self.admission, self.shared, socket);
        Ok(())
    }

    fn hold_off(&mut self, listener: &Watched<TcpListener>) {
        handshake::hold_off(listener.get().as_fd());
    }

    fn queue_length(&mut self, listener: &Watched<TcpListener>) -> usize {
        sockopt::accept_queue_length(listener.get().as_fd())
    }

    fn close(&mut self, listener: Watched<TcpListener>) {
        drop(listener);
    }
}

/// Gives a connection its task.
fn adopt<P: Protocol>(
    now: Instant,
    connections: &mut Connections<P>,
    admission: &Admission,
    shared: &Rc<Shared<P>>,
    socket: OwnedFd,
) {
    let (address, waker) = (peer::address_of(socket.as_fd(), admission), Rc::default());
    let nothing = &mut SharedBuffer::default();
    let Some(key) = connections.admit(now, address, Rc::clone(&waker), nothing) else { return };
    ::tokio_uring::spawn(Connection::new(Rc::clone(shared), key, waker, socket).serve());
}
