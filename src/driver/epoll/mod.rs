//! The readiness driver: one epoll instance for each worker, one receive buffer for everybody.
//!
//! It is what a server does where io_uring is blocked, and the baseline that the native driver is
//! measured against. Edges are watched: what a socket was last seen to be ready for is remembered,
//! and tried when the connection wants it. The [kernel](Kernel) is a trait, so that the loop which
//! serves is the one that the simulation runs.

pub(crate) mod kernel;

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use self::kernel::{EVENTS_PER_TURN, Epoll, Kernel, Ready};
use super::connection::{Action, CloseMode};
use super::listeners::{Accepts, Listeners};
use super::pipes::TakenIn;
use super::shared_buffer::{SharedBuffer, Span};
use super::slab::Key;
use super::spin::Spinner;
use super::{MAX_WAIT, Settings, Worker, connections, peer};
use crate::lifecycle::Admission;
use crate::metrics::Counters;
use crate::protocol::Protocol;

/// Bytes of the receive buffer: with the pages of the sockets it stays in the L2 cache.
pub(crate) const BUFFER_SIZE: usize = 64 << 10;
/// Bytes of memory of the events of one turn: `struct epoll_event`, and what is made of it.
pub(crate) const EVENTS_MEMORY: usize = (16 + size_of::<Ready>()) * EVENTS_PER_TURN;
/// Bytes of memory that a connection takes beside what waits in it: its state, its place in slabs
/// and timers. Measured with 10,000 connections after one echo each, rounded up.
pub(crate) const CONNECTION_MEMORY: usize = 2 << 10;
/// Receives of one connection before the others have their turn.
const RECEIVES_PER_TURN: usize = 4;

type Connections<P, K> = connections::Connections<P, Span, Socket<<K as Kernel>::Socket>>;

/// A worker whose listeners are about to be served.
pub(crate) struct Driver<P: Protocol, K: Kernel = Epoll> {
    kernel: K,
    connections: Connections<P, K>,
    listeners: Listeners<K::Listener>,
    buffer: SharedBuffer,
    ready: Vec<Ready>,
    spinner: Spinner,
    admission: Arc<Admission>,
}

/// A connection's socket and what it was last seen to be ready for.
#[derive(Debug)]
struct Socket<S> {
    kernels: S,
    may_read: bool,
    /// A read may end before there is nothing left.
    ends_early: bool,
    may_write: bool,
}

/// Makes the epoll instance of a worker.
pub(crate) fn on_this_host<P: Protocol>(worker: Worker<P>) -> io::Result<Driver<P>> {
    let Worker { protocol, listeners, settings, admission, shutdown, published } = worker;
    let kernel = Epoll::new(shutdown, &listeners, settings.splice.pipes)?;
    let buffer = vec![0; BUFFER_SIZE];
    let mut driver = Driver::new(kernel, listeners, buffer, protocol, settings, admission);
    driver.connections.publish_to(published);
    Ok(driver)
}

impl<P: Protocol, K: Kernel> Driver<P, K> {
    /// A driver that serves these listeners, and receives into this buffer.
    pub(crate) fn new(
        kernel: K,
        listeners: impl IntoIterator<Item = K::Listener>,
        buffer: Vec<u8>,
        protocol: P,
        settings: Settings,
        admission: Arc<Admission>,
    ) -> Self {
        Self {
            kernel,
            connections: Connections::<P, K>::new(protocol, settings, Arc::clone(&admission)),
            listeners: Listeners::new(listeners),
            buffer: SharedBuffer::new(buffer),
            ready: Vec::with_capacity(EVENTS_PER_TURN),
            spinner: Spinner::new(settings.spin),
            admission,
        }
    }

    /// Serves until shut down.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to wait; connections that fail are counted, not errors.
    pub(crate) fn run(mut self) -> io::Result<Counters> {
        while !self.is_finished() {
            self.connections.publish(&self.counters(), 0);
            self.turn()?;
        }
        Ok(self.counters())
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.connections.is_finished()
    }

    pub(crate) fn kernel(&self) -> &K {
        &self.kernel
    }

    pub(crate) fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    pub(crate) fn counters(&self) -> Counters {
        self.connections.counters()
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn spilled_bytes(&self) -> usize {
        self.connections.spilled_bytes()
    }

    /// Waits, and does what there is to do then.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        let now = self.kernel.now();
        self.handle_events(now);
        let now = self.handle_deadlines(now)?;
        self.settle(now);
        Ok(())
    }

    /// Waits for events: polling first, where that pays.
    fn wait(&mut self) -> io::Result<()> {
        let patience = self.patience();
        if !patience.is_zero()
            && let Some(end) =
                self.spinner.poll_until(self.kernel.now(), self.connections.deadline())
        {
            let Self { spinner, kernel, ready, .. } = self;
            let has_event = spinner.poll(end, || {
                kernel.wait(Duration::ZERO, ready)?;
                Ok((!ready.is_empty(), kernel.now()))
            })?;
            if has_event {
                return Ok(());
            }
        }
        self.kernel.wait(patience, &mut self.ready)
    }

    fn patience(&self) -> Duration {
        if self.connections.has_work() || self.listeners.has_more(self.connections.accepting()) {
            return Duration::ZERO;
        }
        let deadline = self.connections.deadline();
        let wait = deadline.map(|deadline| deadline.saturating_duration_since(self.kernel.now()));
        wait.map_or(MAX_WAIT, |wait| wait.min(MAX_WAIT))
    }

    fn handle_events(&mut self, now: Instant) {
        let ready = mem::take(&mut self.ready);
        ready.iter().for_each(|ready| self.handle(now, *ready));
        self.ready = ready; // its memory is used again
    }

    fn handle(&mut self, now: Instant, ready: Ready) {
        match ready {
            Ready::Listener(index) => self.listeners.set_ready(index),
            Ready::Signal(urgency) => self.connections.shut_down(now, urgency, &mut self.buffer),
            Ready::Socket { key, may_read, ends_early, may_write } => {
                // An event of a connection that was closed earlier in the turn names a generation
                // that is gone.
                let Some(connection) = self.connections.get_mut(key) else { return };
                let socket = &mut connection.transport;
                socket.may_read |= may_read;
                socket.ends_early |= ends_early;
                socket.may_write |= may_write;
                self.connections.mark(key);
            }
        }
    }

    /// Acts on the deadlines that have passed by `now`, once all that had arrived by then is seen;
    /// returns the time that it is then.
    fn handle_deadlines(&mut self, now: Instant) -> io::Result<Instant> {
        let Some(mut overdue) = self.connections.overdue_work(now, EVENTS_PER_TURN) else {
            return Ok(now);
        };
        let mut now = now;
        while overdue.goes_on(now) {
            self.settle(now);
            self.kernel.wait(Duration::ZERO, &mut self.ready)?;
            now = self.kernel.now();
            if self.ready.is_empty() && !self.connections.has_work() {
                break;
            }
            self.handle_events(now);
        }
        self.connections.handle_timeout(overdue.due, &mut self.buffer);
        Ok(now)
    }

    /// Lets everything go on that may.
    fn settle(&mut self, now: Instant) {
        self.connections.begin_turn();
        self.advance_dirty(now);
        let Self { kernel, connections, listeners, buffer, admission, .. } = self;
        listeners.follow(now, connections, &mut Host { now, kernel, buffer, admission });
        self.advance_dirty(now);
    }

    fn advance_dirty(&mut self, now: Instant) {
        while let Some(key) = self.connections.next_dirty() {
            self.advance(now, key);
        }
    }

    /// Does what a connection needs until it has to wait.
    fn advance(&mut self, now: Instant, key: Key) {
        let mut receives = 0;
        while let Some(action) = self.connections.advance(now, key, &mut self.buffer) {
            match action {
                Action::Probe => {
                    let (kernel, socket) = self.socket(key);
                    // See `Sending::try_again` of the native driver.
                    socket.may_write = true;
                    let probe = kernel.probe(&socket.kernels);
                    self.connections.handle_probe(now, key, probe);
                }
                Action::SendFin => {
                    let (kernel, socket) = self.socket(key);
                    kernel.shut_down_writing(&socket.kernels);
                }
                Action::Close(mode) => return self.close(now, key, mode),
                Action::Wait(interest) => {
                    if self.goes_on_splicing(now, key) {
                        continue;
                    }
                    if interest.write && self.socket(key).1.may_write {
                        self.send(now, key);
                        continue;
                    }
                    self.connections.settle(now, key, interest.read, &mut self.buffer);
                    if !interest.read || !self.may_read(key) {
                        return;
                    }
                    if receives == RECEIVES_PER_TURN {
                        return self.connections.leave_to_next_turn(key);
                    }
                    receives += 1;
                    if self.takes_in(key) {
                        self.splice_in(now, key);
                    } else {
                        self.receive(now, key);
                    }
                }
            }
        }
    }

    fn may_read(&self, key: Key) -> bool {
        self.connections.get(key).is_some_and(|connection| {
            connection.transport.may_read
                && (connection.takes_in()
                    || connection.is_received(!connection.transport.may_write))
        })
    }

    fn receive(&mut self, now: Instant, key: Key) {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        let socket = &mut connection.transport;
        let memory = self.buffer.memory();
        match self.kernel.receive(&socket.kernels, memory) {
            Ok(0) => {
                socket.may_read = false;
                self.connections.handle_eof(key);
            }
            Ok(length) => {
                // What arrives later is announced anew.
                socket.may_read = length == memory.len() || socket.ends_early;
                let span = self.buffer.lease(length);
                self.connections.handle_received(now, key, span, &mut self.buffer);
            }
            Err(Errno::AGAIN) => socket.may_read = false,
            Err(Errno::INTR) => {}
            Err(error) => {
                socket.may_read = false;
                self.connections.handle_failure(key, error);
            }
        }
    }

    /// Gives a connection a pipe that would pay, empties the one it has as far as that goes, or takes
    /// back one that is done with; returns whether bytes went out of it, or the socket is full.
    fn goes_on_splicing(&mut self, now: Instant, key: Key) -> bool {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        let splicing = connection.splicing();
        if splicing.is_copying() {
            return false;
        }
        if splicing.held() > 0 && connection.transport.may_write {
            self.splice_out(now, key);
            return true;
        }
        if connection.wants_pipe() {
            let is_there = self.kernel.give_pipe(&mut connection.transport.kernels);
            self.connections.handle_pipe(key, is_there);
        } else if connection.splicing().is_over() {
            connection.end_splicing();
            self.kernel.take_pipe_back(&mut connection.transport.kernels, true);
        }
        false
    }

    fn takes_in(&self, key: Key) -> bool {
        self.connections.get(key).is_some_and(|connection| connection.takes_in())
    }

    fn splice_in(&mut self, now: Instant, key: Key) {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        let socket = &mut connection.transport;
        match self.kernel.splice_in(&socket.kernels) {
            Ok(TakenIn::Some(length)) => self.connections.handle_spliced_in(now, key, length),
            Ok(TakenIn::All(length)) => {
                socket.may_read = false;
                self.connections.handle_spliced_in(now, key, length);
            }
            Ok(TakenIn::Nothing) => socket.may_read = false,
            // As in the native driver.
            Ok(TakenIn::Full | TakenIn::Stuck) => self.connections.leave_pipe(key),
            Ok(TakenIn::Fin) => {
                socket.may_read = false;
                self.connections.handle_eof(key);
            }
            Err(error) => {
                socket.may_read = false;
                self.connections.handle_failure(key, error);
            }
        }
    }

    fn splice_out(&mut self, now: Instant, key: Key) {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        let held = connection.splicing().held();
        let socket = &mut connection.transport;
        match self.kernel.splice_out(&socket.kernels, held) {
            Ok(length) => self.connections.handle_spliced_out(now, key, length),
            Err(error) => {
                socket.may_write = false;
                self.connections.handle_failure(key, error);
            }
        }
    }

    fn send(&mut self, now: Instant, key: Key) {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        let parts = connection.take_outgoing(peer::MAX_PARTS);
        let socket = &mut connection.transport;
        let sent = self.kernel.send(&socket.kernels, &parts, &self.buffer);
        socket.may_write = sent == Ok(parts.len());
        self.connections.handle_sent(now, key, parts, sent, &mut self.buffer);
    }

    fn close(&mut self, now: Instant, key: Key, mode: CloseMode) {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        let is_empty = connection.unsent_at_end() == 0;
        let socket = &mut connection.transport.kernels;
        self.kernel.take_pipe_back(socket, is_empty);
        let unacknowledged = self.kernel.prepare_close(socket, mode);
        drop(self.connections.remove(now, key, unacknowledged));
    }

    fn socket(&mut self, key: Key) -> (&mut K, &mut Socket<K::Socket>) {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        (&mut self.kernel, &mut connection.transport)
    }
}

const ADVANCED: &str = "a connection that is advanced is there until it is removed";

/// The means to accept: a kernel, a buffer, and who may come in.
struct Host<'a, K> {
    now: Instant,
    kernel: &'a mut K,
    buffer: &'a mut SharedBuffer,
    admission: &'a Admission,
}

impl<P: Protocol, K: Kernel> Accepts<K::Listener, Connections<P, K>> for Host<'_, K> {
    fn accept(
        &mut self,
        listener: &K::Listener,
        connections: &mut Connections<P, K>,
    ) -> Result<(), Errno> {
        let kernels = self.kernel.accept(listener)?;
        let address = self.kernel.address_of(&kernels, self.admission);
        // Both are tried before they are waited for: the first message is often there already.
        let socket = Socket { kernels, may_read: true, ends_early: false, may_write: true };
        let Some(key) = connections.admit(self.now, address, socket, self.buffer) else {
            return Ok(());
        };
        let connection = connections.get_mut(key).expect("it was just admitted");
        if let Err(error) = self.kernel.watch(&mut connection.transport.kernels, key) {
            connections.handle_failure(key, error);
        }
        Ok(())
    }

    fn hold_off(&mut self, listener: &K::Listener) {
        self.kernel.hold_off(listener);
    }

    fn queue_length(&mut self, listener: &K::Listener) -> usize {
        self.kernel.queue_length(listener)
    }

    fn close(&mut self, listener: K::Listener) {
        self.kernel.close_listener(listener);
    }
}
