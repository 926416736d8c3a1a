//! The native driver: one io_uring, one pool of receive buffers and one slab of connections for
//! each worker, all made on the worker's own thread.
//!
//! [`session`] decides, `sys::Ring` carries out, the loop in [`Driver::run`] is between them.

mod acceptor;
mod connection;
pub(crate) mod outbox;
pub(crate) mod receiving;
pub(crate) mod session;

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::SocketFlags;

use self::outbox::Submission;
use self::receiving::Amount;
use self::session::Session;
use super::handshake::{self, BACKLOG, Remainder};
use super::spin::Spinner;
use super::{Manner, ShutdownSignal, Urgency, Worker, peer};
use crate::metrics::Counters;
use crate::sys::{Completion, Operation, Outcome, Ring, RingError, Token, Wait, sockopt};

/// Buffers that one multishot receive fills at most before anybody looks
/// (`MULTISHOT_MAX_RETRY` in the kernel's `io_uring/net.c`).
pub(crate) const BUFFERS_IN_ONE_TURN: usize = 32;

/// Bytes of memory that a connection takes beside its share of the buffers: its state, the queues
/// of its parts, its place in slabs, timers and the ring. Measured with 10,000 connections after
/// one echo each, rounded up.
pub(crate) const CONNECTION_MEMORY: usize = 4 << 10;

/// A worker whose ring exists and whose listeners are about to be served.
pub(crate) struct Driver {
    ring: Ring,
    session: Session,
    sockets: Vec<Option<OwnedFd>>,
    listeners: Vec<Option<TcpListener>>,
    spinner: Spinner,
    worker: Worker,
}

impl Driver {
    /// Makes the ring for the calling thread.
    pub(crate) fn new(mut worker: Worker) -> Result<Self, RingError> {
        let listeners: Vec<_> =
            std::mem::take(&mut worker.listeners).into_iter().map(Some).collect();
        let ring = Ring::new(worker.settings.ring)?;
        Ok(Self {
            ring,
            session: Session::new(
                worker.settings,
                Arc::clone(&worker.admission),
                listeners.len(),
                usize::from(worker.settings.ring.buffers),
            ),
            sockets: Vec::new(),
            listeners,
            spinner: Spinner::new(worker.settings.spin),
            worker,
        })
    }

    /// Serves until shut down.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the ring's work as a whole; single operations that fail are the
    /// business of their connection.
    pub(crate) fn run(mut self) -> io::Result<Counters> {
        for urgency in Urgency::ALL {
            self.watch(urgency);
        }
        let mut now = Instant::now();
        self.session.settle(now);
        loop {
            self.carry_out_submissions(now);
            if self.session.is_finished() {
                return Ok(self.session.counters());
            }
            self.wait()?;
            now = Instant::now();
            while let Some(completion) = self.ring.next_completion() {
                self.handle(now, completion);
            }
            self.session.handle_timeout(now);
            self.session.settle(now);
        }
    }

    /// Hands submissions to the kernel and waits for completions: polling first, where that pays.
    fn wait(&mut self) -> io::Result<()> {
        let patience = self.patience();
        if patience != Wait::Poll
            && let Some(end) = self.spinner.poll_until(Instant::now(), self.session.deadline())
        {
            self.ring.submit(Wait::Poll)?;
            if self.ring.has_completion()? || self.poll_until(end)? {
                return Ok(());
            }
        }
        self.ring.submit(patience)
    }

    /// Whether a completion came in time.
    fn poll_until(&mut self, end: Instant) -> io::Result<bool> {
        let mut has_found = false;
        while !has_found && Instant::now() < end {
            std::hint::spin_loop();
            has_found = self.ring.has_completion()?;
        }
        self.spinner.polled(has_found);
        Ok(has_found)
    }

    fn patience(&self) -> Wait {
        if self.session.wants_turn() {
            return Wait::Poll;
        }
        self.session.deadline().map_or(Wait::Forever, |deadline| {
            Wait::AtMost(deadline.saturating_duration_since(Instant::now()))
        })
    }

    fn handle(&mut self, now: Instant, completion: Completion) {
        let Completion { token, more, outcome } = completion;
        match outcome {
            Outcome::Accepted(Ok(socket)) => {
                let address = peer::address_of(socket.as_fd(), &self.worker.admission);
                let slot = self.session.handle_accepted(now, token, more, Ok(address));
                self.adopt(slot, socket);
            }
            Outcome::Accepted(Err(error)) => {
                self.session.handle_accepted(now, token, more, Err(error));
            }
            Outcome::Received(result) => {
                let result = result.map(|lease| {
                    lease.map(|lease| {
                        let bytes = self.ring.bytes(&lease);
                        (lease, bytes)
                    })
                });
                self.session.handle_received(now, token, more, result);
            }
            Outcome::Sent(batch, result) => self.session.handle_sent(now, token, batch, result),
            Outcome::Cancelled => {}
            Outcome::Readable(result) => self.handle_signal(now, token, result),
        }
    }

    fn adopt(&mut self, slot: Option<u32>, socket: OwnedFd) {
        let Some(slot) = slot else { return };
        let slot = slot as usize;
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
        }
        self.sockets[slot] = Some(socket);
    }

    fn handle_signal(&mut self, now: Instant, token: Token, result: Result<(), Errno>) {
        result.expect("a descriptor that is open for the worker's life can be watched");
        match Urgency::ALL[token.slot as usize] {
            Urgency::Drain => self.session.drain(now),
            Urgency::Stop => self.session.stop(now),
        }
    }

    fn watch(&mut self, urgency: Urgency) {
        let token = Token::new(Operation::Readable, urgency as u32, 0);
        let shutdown: &ShutdownSignal = &self.worker.shutdown;
        self.ring.watch_readable(token, shutdown.descriptor(urgency));
    }

    fn carry_out_submissions(&mut self, now: Instant) {
        while let Some(submission) = self.session.poll_submission() {
            match submission {
                Submission::Accept(token) => {
                    self.ring.accept(token, listener(&self.listeners, token.slot).as_fd());
                }
                Submission::Receive(token, Amount::One) => {
                    self.ring.receive_one(token, socket(&self.sockets, token.slot));
                }
                Submission::Receive(token, Amount::Many) => {
                    self.ring.receive_many(token, socket(&self.sockets, token.slot));
                }
                Submission::Send(token, batch) => {
                    self.ring.send(token, socket(&self.sockets, token.slot), batch);
                }
                Submission::Cancel(target) => {
                    let token = Token::new(Operation::Cancel, target.slot, target.generation);
                    self.ring.cancel(token, target);
                }
                Submission::Probe { slot } => {
                    let probe = peer::probe(socket(&self.sockets, slot));
                    self.session.handle_probe(now, slot, probe);
                }
                Submission::ShutdownWrite { slot } => {
                    peer::shut_down_writing(socket(&self.sockets, slot));
                }
                Submission::Close { slot, manner } => self.close(slot, manner),
                Submission::HoldOff { index } => {
                    handshake::hold_off(listener(&self.listeners, index));
                }
                Submission::CloseListener { index, at_any_rate } => {
                    self.close_listener(now, index, at_any_rate);
                }
                Submission::Recycle(lease) => {
                    if self.ring.recycle(lease) {
                        self.session.handle_buffer_returned();
                    }
                }
            }
        }
    }

    fn close(&mut self, slot: u32, manner: Manner) {
        let socket = self.sockets[slot as usize].take().expect("a connection is closed once");
        if let Some((account, queued)) = peer::prepare_close(socket.as_fd(), manner) {
            self.session.handle_left_behind(account, queued);
        }
    }

    /// Closing a listener resets what waits in its queue, so that is accepted first.
    fn close_listener(&mut self, now: Instant, index: u32, at_any_rate: bool) {
        let listener = self.listeners[index as usize].take().expect("a listener is closed once");
        let (flags, limit) = (SocketFlags::CLOEXEC, usize::from(BACKLOG));
        let remainder = handshake::take_queue(&listener, flags, limit, |socket| {
            let address = peer::address_of(socket.as_fd(), &self.worker.admission);
            let slot = self.session.handle_last_accepted(now, address);
            self.adopt(slot, socket);
        });
        if remainder == Remainder::Nobody {
            return;
        }
        if at_any_rate {
            self.session.handle_queue_dropped(sockopt::accept_queue_length(listener.as_fd()));
        } else {
            self.listeners[index as usize] = Some(listener);
            self.session.handle_queue_left(now, index);
        }
    }
}

fn socket(sockets: &[Option<OwnedFd>], slot: u32) -> BorrowedFd<'_> {
    sockets[slot as usize].as_ref().expect("a slot has a socket until it is closed").as_fd()
}

fn listener(listeners: &[Option<TcpListener>], index: u32) -> &TcpListener {
    listeners[index as usize].as_ref().expect("a listener is closed after its last accept")
}
