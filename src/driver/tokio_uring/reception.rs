//! The main future of a worker: listeners, time and shutdown.

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use rustix::net::SocketFlags;
use tokio::time::{Sleep, sleep_until};

use super::bell::Bell;
use super::connection::Connection;
use super::{Shared, Worker};
use crate::driver::copying::Session;
use crate::driver::listeners::Listeners;
use crate::driver::{Urgency, peer};
use crate::lifecycle::Admission;
use crate::metrics::Counters;
use crate::sys::Watched;

pub(super) struct Reception {
    shared: Rc<Shared>,
    admission: Arc<Admission>,
    listeners: Listeners<Watched<TcpListener>>,
    /// What was not raised yet.
    signals: Vec<(Urgency, Watched<OwnedFd>)>,
    alarm: Pin<Box<Sleep>>,
}

impl Reception {
    /// Watches what there is; to be called inside the runtime.
    pub(super) fn new(mut worker: Worker) -> io::Result<Self> {
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
            shared: Rc::new(Shared::new(&worker)),
            admission: worker.admission,
            listeners: Listeners::new(listeners, SocketFlags::CLOEXEC),
            signals,
            alarm: Box::pin(sleep_until(Instant::now().into())),
        })
    }

    pub(super) async fn run(mut self) -> io::Result<Counters> {
        loop {
            self.turn();
            self.shared.wake_others();
            if self.shared.session.borrow().is_finished() {
                return Ok(self.shared.session.borrow().counters());
            }
            if !self.listeners.has_more(&self.shared.session.borrow()) {
                poll_fn(|context| self.poll_event(context)).await?;
            }
            // What has arrived by now is seen before deadlines are.
            tokio::task::yield_now().await;
        }
    }

    fn turn(&mut self) {
        let mut session = self.shared.session.borrow_mut();
        let now = Instant::now();
        session.handle_timeout(now);
        let (shared, admission) = (&self.shared, &self.admission);
        self.listeners.follow(now, &mut session, &mut |session, socket| {
            adopt(now, session, admission, shared, socket);
        });
    }

    /// Ready when there is something to do.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let has_time_come = self.poll_alarm(context).is_ready();
        let is_called = self.shared.reception.poll(context).is_ready();
        let is_signalled = self.poll_signals(context)?.is_ready();
        let is_visited = self.poll_listeners(context)?.is_ready();
        if has_time_come || is_called || is_signalled || is_visited {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.shared.session.borrow().deadline();
        self.shared.alarm.set(deadline);
        let Some(deadline) = deadline else { return Poll::Pending };
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
                    let mut session = self.shared.session.borrow_mut();
                    match urgency {
                        Urgency::Drain => session.drain(Instant::now()),
                        Urgency::Stop => session.stop(Instant::now()),
                    }
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

/// Gives a connection its task.
fn adopt(
    now: Instant,
    session: &mut Session,
    admission: &Admission,
    shared: &Rc<Shared>,
    socket: OwnedFd,
) {
    let address = peer::address_of(socket.as_fd(), admission);
    let Some(key) = session.admit(now, address) else { return };
    let bell = Rc::new(Bell::default());
    let mut bells = shared.bells.borrow_mut();
    let slot = key.slot as usize;
    if bells.len() <= slot {
        bells.resize_with(slot + 1, Rc::default);
    }
    bells[slot] = Rc::clone(&bell);
    ::tokio_uring::spawn(Connection::new(Rc::clone(shared), key, bell, socket).serve());
}
