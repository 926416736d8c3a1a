//! The native driver: one io_uring, one pool of receive buffers and one slab of connections for
//! each worker, all made on the worker's own thread.
//!
//! [`Driver::turn`] is the loop: it waits, takes completions, acts on deadlines, and lets every
//! connection that something happened to go on. It runs over a [`Kernel`], the real one or that of
//! the simulation.

mod acceptor;
pub(crate) mod kernel;
mod parked;
mod readiness;
pub(crate) mod receiving;
mod sending;
mod splice;
mod watch;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;

use self::acceptor::{Acceptor, Request as ListenerRequest};
use self::kernel::{Host, Kernel};
use self::parked::Parked;
use self::readiness::Readiness;
use self::receiving::{Receiving, Request as ReceiveRequest};
use self::sending::{Request as SendRequest, Sending};
use self::splice::SPLICES_PER_TURN;
use super::connection::{Action, CloseMode, Interest};
use super::connections::Connections;
use super::handshake::{self, Remainder};
use super::slab::Key;
use super::spin::Spinner;
use super::{Settings, Urgency, Worker};
use crate::lifecycle::Admission;
use crate::metrics::Counters;
use crate::protocol::Protocol;
use crate::sys::{
    Activity, Completion, Lease, Notify, Operation, Outcome, Parts, Ring, RingError, Token, Wait,
};

/// Buffers that one multishot receive can fill before anybody looks: 33 while it is submitted or
/// polled, and as many from task work (`MULTISHOT_MAX_RETRY` in the kernel's `io_uring/net.c`; seen
/// on 6.18).
pub(crate) const BUFFERS_IN_ONE_TURN: usize = 66;

/// Bytes of memory that a connection takes beside its share of the buffers: its state, the queues
/// of its parts, its place in slabs, timers and the ring. Measured with 10,000 connections after
/// one echo each, rounded up.
pub(crate) const CONNECTION_MEMORY: usize = 4 << 10;

/// Receives that are ready and that one entry of the kernel runs: half of what it runs at all
/// (`IO_LOCAL_TW_DEFAULT_MAX` in the kernel's `io_uring/io_uring.c`), since each has a poll before it.
const RECEIVES_PER_PASS: usize = 10;

/// Entries of the kernel in a row that complete nothing once nothing is ready: the first may have run
/// polls alone.
const MAX_EMPTY_PASSES: u32 = 2;

/// A worker whose ring exists and whose listeners are about to be served.
pub(crate) struct Driver<P: Protocol, K> {
    kernel: K,
    connections: Connections<P, Lease, Operations>,
    acceptor: Acceptor,
    parked: Parked,
    spinner: Spinner,
    /// A queue of a closing listener was not emptied in this turn.
    has_queue_left: bool,
}

/// Operations that are in flight for one connection.
#[derive(Debug)]
struct Operations {
    receiving: Receiving,
    sending: Sending,
    readiness: Readiness,
}

/// Makes the ring for the calling thread.
pub(crate) fn on_this_host<P: Protocol>(
    mut worker: Worker<P>,
) -> Result<Driver<P, impl Kernel>, RingError> {
    let mut ring = Ring::new(worker.settings.ring)?;
    let listeners = std::mem::take(&mut worker.listeners);
    let count = listeners.len();
    listeners.into_iter().for_each(|listener| ring.sockets_mut().attach_listener(listener.into()));
    let pipes = worker.settings.splice.pipes;
    let host = Host::new(ring, pipes, Arc::clone(&worker.admission), worker.shutdown);
    let mut driver = Driver::new(host, count, worker.protocol, worker.settings, worker.admission);
    driver.connections.publish_to(worker.published);
    Ok(driver)
}

impl<P: Protocol, K: Kernel> Driver<P, K> {
    /// A driver that serves the kernel's listeners, which are numbered from 0.
    pub(crate) fn new(
        mut kernel: K,
        listeners: usize,
        protocol: P,
        settings: Settings,
        admission: Arc<Admission>,
    ) -> Self {
        for urgency in Urgency::ALL {
            let token = Token::new(Operation::Readable, urgency as u32, 0);
            kernel.watch_signal(token, urgency);
        }
        let mut driver = Self {
            kernel,
            connections: Connections::new(protocol, settings, admission),
            acceptor: Acceptor::new(listeners),
            parked: Parked::default(),
            spinner: Spinner::new(settings.spin),
            has_queue_left: false,
        };
        driver.settle(driver.kernel.now());
        driver
    }

    /// Serves until shut down.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the ring's work as a whole; single operations that fail are the
    /// business of their connection.
    pub(crate) fn run(mut self) -> io::Result<Counters> {
        while !self.is_finished() {
            self.connections.publish(&self.counters(), self.kernel.free_buffers());
            self.turn()?;
        }
        Ok(self.counters())
    }

    /// Returns whether the worker was shut down and nothing is left of it.
    pub(crate) fn is_finished(&self) -> bool {
        self.connections.is_finished()
    }

    /// Waits until something happens, and acts on it.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        let now = self.kernel.now();
        self.handle_completions(now);
        let now = self.handle_deadlines(now)?;
        self.settle(now);
        Ok(())
    }

    pub(crate) fn kernel(&self) -> &K {
        &self.kernel
    }

    pub(crate) fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    pub(crate) fn counters(&self) -> Counters {
        let Activity { submissions, completions, enters, overflows } = self.kernel.activity();
        let mut counters = self.connections.counters();
        counters.ring_submissions = submissions;
        counters.ring_completions = completions;
        counters.ring_enters = enters;
        counters.ring_overflows = overflows;
        counters
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Bytes in memory of our own.
    pub(crate) fn spilled_bytes(&self) -> usize {
        self.connections.spilled_bytes()
    }

    /// Hands submissions to the kernel and waits for completions: polling first, where that pays.
    fn wait(&mut self) -> io::Result<()> {
        let wait = self.patience();
        if wait != Wait::Poll
            && let Some(end) =
                self.spinner.poll_until(self.kernel.now(), self.connections.deadline())
        {
            self.kernel.submit(Wait::Poll)?;
            let Self { spinner, kernel, .. } = self;
            if spinner.poll(end, || Ok((kernel.has_completion()?, kernel.now())))? {
                return Ok(());
            }
        }
        self.kernel.submit(wait)
    }

    fn patience(&self) -> Wait {
        let can_unpark = self.parked.len() > 0 && self.kernel.free_buffers() > 0;
        if self.connections.has_work() || self.has_queue_left || can_unpark {
            return Wait::Poll;
        }
        self.connections.deadline().map_or(Wait::Forever, |deadline| {
            Wait::AtMost(deadline.saturating_duration_since(self.kernel.now()))
        })
    }

    /// Takes what completed; returns whether anything did.
    fn handle_completions(&mut self, now: Instant) -> bool {
        let mut has_any = false;
        while let Some(completion) = self.kernel.next_completion() {
            self.handle(now, completion);
            has_any = true;
        }
        has_any
    }

    /// Acts on the deadlines that have passed by `now`, once all that had arrived by then is seen;
    /// returns the time that it is then.
    fn handle_deadlines(&mut self, now: Instant) -> io::Result<Instant> {
        let Some(mut overdue) = self.connections.overdue_work(now, RECEIVES_PER_PASS) else {
            return Ok(now);
        };
        let (mut now, mut empty_passes) = (now, 0);
        while empty_passes < MAX_EMPTY_PASSES && overdue.goes_on(now) {
            self.settle(now);
            self.kernel.submit(Wait::Poll)?;
            now = self.kernel.now();
            empty_passes = if self.handle_completions(now) { 0 } else { empty_passes + 1 };
        }
        self.connections.handle_timeout(overdue.due, &mut self.kernel);
        Ok(now)
    }

    fn handle(&mut self, now: Instant, completion: Completion<K::Socket>) {
        let Completion { token, more, outcome } = completion;
        let key = Key { slot: token.slot, generation: token.generation };
        match outcome {
            Outcome::Accepted(result) => self.handle_accepted(now, token.slot, more, result),
            Outcome::Received(result) => self.handle_received(now, key, more, result),
            Outcome::Sent(parts, result) => self.handle_sent(now, key, parts, result),
            Outcome::Writable(result) => {
                self.operations(key).sending.handle_writable(more, result);
                if let Err(error) = result {
                    self.connections.handle_failure(key, error);
                }
                self.connections.mark(key);
            }
            Outcome::Ready => self.handle_ready(key, more),
            Outcome::Readable(result) => {
                let urgency = Urgency::ALL[token.slot as usize];
                match result {
                    Ok(()) => self.connections.shut_down(now, urgency, &mut self.kernel),
                    // For want of memory.
                    Err(_) => self.kernel.watch_signal(token, urgency),
                }
            }
            Outcome::Cancelled(Ok(())) => {}
            Outcome::Cancelled(Err(_)) => self.handle_missed_cancel(token, key),
        }
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        listener: u32,
        more: bool,
        result: Result<K::Socket, Errno>,
    ) {
        if !more {
            self.acceptor.ended(listener);
        }
        match result {
            Ok(socket) => self.admit(now, socket),
            Err(error) => self.connections.handle_accept_failure(now, error),
        }
    }

    fn admit(&mut self, now: Instant, socket: K::Socket) {
        let address = self.kernel.address_of(&socket);
        let operations = Operations {
            receiving: Receiving::new(),
            sending: Sending::default(),
            readiness: Readiness::default(),
        };
        let admitted = self.connections.admit(now, address, operations, &mut self.kernel);
        if let Some(key) = admitted {
            self.kernel.adopt(key.slot, socket);
        }
    }

    fn handle_received(
        &mut self,
        now: Instant,
        key: Key,
        more: bool,
        result: Result<Option<Lease>, Errno>,
    ) {
        let receiving = &mut self.operations(key).receiving;
        if !more {
            receiving.ended(result.as_ref().err().copied());
        }
        match result {
            Ok(Some(lease)) => {
                receiving.took(lease.len());
                self.connections.handle_received(now, key, lease, &mut self.kernel);
            }
            Ok(None) => self.connections.handle_eof(key),
            Err(Errno::NOBUFS) => self.park(key),
            Err(error) => self.connections.handle_failure(key, error),
        }
    }

    fn park(&mut self, key: Key) {
        let connection = self.connections.get_mut(key).expect(OUTLIVES);
        let receiving = &mut connection.transport.receiving;
        receiving.park();
        self.parked.insert(key, &mut receiving.ticket);
        self.connections.counters_mut().buffer_waits += 1;
        self.connections.mark(key);
    }

    fn handle_sent(&mut self, now: Instant, key: Key, parts: Parts, result: Result<usize, Errno>) {
        self.operations(key).sending.ended(parts.len(), result);
        self.connections.handle_sent(now, key, parts, result, &mut self.kernel);
    }

    /// A failure of the socket or of the poll shows in what is tried next.
    fn handle_ready(&mut self, key: Key, more: bool) {
        self.operations(key).readiness.handle_ready(more);
        self.connections.mark(key);
    }

    /// The operation that was to be cancelled may still be out: it is asked for again.
    fn handle_missed_cancel(&mut self, target: Token, key: Key) {
        if target.operation == Operation::Accept {
            self.acceptor.cancel_missed(target.slot);
        } else if let Some(connection) = self.connections.get_mut(key) {
            match target.operation {
                Operation::Receive => connection.transport.receiving.cancel_missed(),
                Operation::Ready => connection.transport.readiness.watch.cancel_missed(),
                _ => connection.transport.sending.cancel_missed(),
            }
            self.connections.mark(key);
        }
    }

    fn operations(&mut self, key: Key) -> &mut Operations {
        &mut self.connections.get_mut(key).expect(OUTLIVES).transport
    }

    /// Lets everything that something happened to go on.
    fn settle(&mut self, now: Instant) {
        self.connections.begin_turn();
        self.unpark();
        while let Some(key) = self.connections.next_dirty() {
            self.advance(now, key);
        }
        self.advance_listeners(now);
        // Whoever was admitted just now receives in this turn.
        while let Some(key) = self.connections.next_dirty() {
            self.advance(now, key);
        }
    }

    /// Lets as many connections receive again as there are free buffers. One that finds none left
    /// is parked anew; one that has nothing to receive leaves its buffer to the next turn.
    fn unpark(&mut self) {
        for _ in 0..self.kernel.free_buffers().min(self.parked.len()) {
            let key = self.parked.pop().expect("no more are taken than there are");
            self.operations(key).receiving.unpark();
            self.connections.mark(key);
        }
    }

    /// Does what a connection needs until it has to wait.
    fn advance(&mut self, now: Instant, key: Key) {
        let mut splices = 0;
        while let Some(action) = self.connections.advance(now, key, &mut self.kernel) {
            match action {
                Action::Probe => {
                    let probe = self.kernel.probe(key.slot);
                    let Operations { sending, readiness, .. } = self.operations(key);
                    sending.try_again();
                    readiness.begin();
                    self.connections.handle_probe(now, key, probe);
                }
                Action::SendFin => self.kernel.shut_down_write(key.slot),
                Action::Wait(interest) => {
                    let splice = self.next_splice(key, interest);
                    if let Some(splice) = splice.filter(|_| splices < SPLICES_PER_TURN) {
                        self.splice(now, key, splice);
                        splices += 1;
                        continue;
                    }
                    let is_reading = self.submit(now, key, interest);
                    self.connections.settle(now, key, is_reading, &mut self.kernel);
                    if splice.is_some() {
                        self.connections.leave_to_next_turn(key);
                    }
                    return;
                }
                Action::Close(mode) => return self.close(now, key, mode),
            }
        }
    }

    /// Submits what the interest calls for; returns whether the peer is being read.
    fn submit(&mut self, now: Instant, key: Key, interest: Interest) -> bool {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        if interest.write && connection.transport.sending.may_send() {
            let parts = connection.take_outgoing(Ring::MAX_PARTS);
            let nobody_waits = connection.may_assume_sent() && self.parked.len() == 0;
            let notify = if nobody_waits { Notify::OnFailure } else { Notify::Always };
            if nobody_waits {
                connection.assume_sent(now);
            }
            connection.transport.sending.submitted(notify);
            self.kernel.send(token(Operation::Send, key), parts, notify);
        }
        let is_full = connection.transport.sending.is_full();
        let (has_pipe, is_received) =
            (connection.splicing().has_pipe(), connection.is_received(is_full));
        let Operations { receiving, sending, readiness } = &mut connection.transport;
        if let Some(SendRequest::WatchWritable) = sending.advance() {
            self.kernel.watch_writable(token(Operation::Writable, key));
        }
        if has_pipe && readiness.watch.arm() {
            self.kernel.watch_ready(token(Operation::Ready, key));
        } else if !has_pipe && readiness.watch.cancel() {
            self.kernel.cancel(token(Operation::Ready, key));
        }
        match receiving.advance(interest.read && is_received, has_pipe) {
            Some(ReceiveRequest::Receive(amount)) => {
                self.kernel.receive(token(Operation::Receive, key), amount);
            }
            Some(ReceiveRequest::Cancel) => self.kernel.cancel(token(Operation::Receive, key)),
            None => {}
        }
        let is_reading = receiving.is_armed() || (interest.read && has_pipe);
        if sending.is_silent() && !connection.may_assume_sent() {
            self.connections.leave_to_next_turn(key);
        }
        is_reading
    }

    /// Cancels what is in flight; once nothing is, closes the socket.
    fn close(&mut self, now: Instant, key: Key, mode: CloseMode) {
        let Operations { receiving, sending, readiness } = self.operations(key);
        let (receive, watch) = (receiving.cancel(), sending.cancel());
        let ready = readiness.watch.cancel();
        let is_in_flight =
            receiving.is_in_flight() || sending.is_in_flight() || readiness.watch.is_in_flight();
        let is_silent = sending.is_silent();
        if receive.is_some() {
            self.kernel.cancel(token(Operation::Receive, key));
        }
        if watch.is_some() {
            self.kernel.cancel(token(Operation::Writable, key));
        }
        if ready {
            self.kernel.cancel(token(Operation::Ready, key));
        }
        if is_silent {
            self.connections.leave_to_next_turn(key);
        }
        if is_in_flight {
            return self.connections.settle(now, key, false, &mut self.kernel);
        }
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        if connection.splicing().has_pipe() {
            self.kernel.take_pipe_back(key.slot, connection.unsent_at_end() == 0);
        }
        let unacknowledged = self.kernel.close(key.slot, mode);
        let Operations { receiving, .. } = self.connections.remove(now, key, unacknowledged);
        self.parked.remove(receiving.ticket);
    }

    fn advance_listeners(&mut self, now: Instant) {
        if self.connections.accepting_mut().take_hold_off() {
            self.acceptor.numbers().for_each(|number| self.kernel.hold_off(number));
        }
        self.has_queue_left = false;
        for number in self.acceptor.numbers() {
            let accept = Token::new(Operation::Accept, number, 0);
            match self.acceptor.advance(number, self.connections.accepting()) {
                Some(ListenerRequest::Accept) => self.kernel.accept(accept),
                Some(ListenerRequest::Cancel) => self.kernel.cancel(accept),
                Some(ListenerRequest::Close { at_any_rate }) => {
                    self.close_listener(now, number, at_any_rate);
                }
                Some(ListenerRequest::Leave) => {
                    self.kernel.close_listener(number);
                    self.acceptor.closed(number);
                }
                None => {}
            }
        }
        if self.acceptor.is_closed() {
            self.connections.accepting_mut().finish();
        }
    }

    /// Closing a listener resets what waits in its queue, so that is accepted first.
    fn close_listener(&mut self, now: Instant, number: u32, at_any_rate: bool) {
        let remainder = handshake::take_queue(at_any_rate, || {
            let socket = self.kernel.accept_queued(number)?;
            self.admit(now, socket);
            Ok(())
        });
        match remainder {
            Remainder::Nobody => {
                self.kernel.close_listener(number);
                self.acceptor.closed(number);
            }
            Remainder::More | Remainder::OutOfDescriptors if at_any_rate => {
                let left = self.kernel.close_listener(number);
                self.connections.handle_queue_dropped(left);
                self.acceptor.closed(number);
            }
            Remainder::More => self.has_queue_left = true,
            Remainder::OutOfDescriptors => self.connections.pause_accepting(now),
        }
    }
}

const ADVANCED: &str = "a connection that is advanced is there until it is removed";
const OUTLIVES: &str = "a connection outlives its operations";

fn token(operation: Operation, key: Key) -> Token {
    Token::new(operation, key.slot, key.generation)
}

#[cfg(test)]
mod tests;
