//! The readiness driver: one epoll instance for each worker, one receive buffer for everybody.
//!
//! It is what a server does where io_uring is blocked, and the baseline that the native driver is
//! measured against. Edges are watched, so a connection costs one `epoll_ctl` in its life: what a
//! socket was last seen to be ready for is remembered, and tried when the connection wants it.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest as Readiness, Poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SocketFlags, recv};

use super::connection::{Action, CloseMode};
use super::listeners::Listeners;
use super::pipes::{Pipe, Pipes, TakenIn};
use super::shared_buffer::{SharedBuffer, Span};
use super::slab::Key;
use super::spin::Spinner;
use super::{MAX_WAIT, Urgency, Worker, connections, peer};
use crate::lifecycle::Admission;
use crate::metrics::Counters;
use crate::protocol::Protocol;
use crate::sys::{Operation, Token};

/// Bytes of the receive buffer: with the pages of the sockets it stays in the L2 cache.
pub(crate) const BUFFER_SIZE: usize = 64 << 10;
/// Bytes of memory of the events of one turn (`struct epoll_event`).
pub(crate) const EVENTS_MEMORY: usize = 16 * EVENTS_PER_TURN;
/// Bytes of memory that a connection takes beside what waits in it: its state, its place in slabs
/// and timers. Measured with 10,000 connections after one echo each, rounded up.
pub(crate) const CONNECTION_MEMORY: usize = 2 << 10;
/// Events taken in one turn; the rest come with the next.
const EVENTS_PER_TURN: usize = 512;
/// Receives of one connection before the others have their turn.
const RECEIVES_PER_TURN: usize = 4;

type Connections<P> = connections::Connections<P, Span, Socket>;

/// A worker whose listeners are about to be served.
pub(crate) struct Driver<P: Protocol> {
    poll: Poll,
    connections: Connections<P>,
    listeners: Listeners<TcpListener>,
    buffer: SharedBuffer,
    spinner: Spinner,
    pipes: Pipes,
    worker: Worker<P>,
}

/// A connection's socket and what it was last seen to be ready for.
#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    may_read: bool,
    /// The peer's FIN or urgent data was announced: a read may end before there is nothing left.
    ends_early: bool,
    may_write: bool,
    pipe: Option<Pipe>,
}

impl<P: Protocol> Driver<P> {
    /// Makes the epoll instance and watches what there is.
    pub(crate) fn new(mut worker: Worker<P>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let watch = |token: Token, fd: BorrowedFd<'_>| {
            let token = mio::Token(token.to_user_data() as usize);
            poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), token, Readiness::READABLE)
        };
        for urgency in Urgency::ALL {
            let token = Token::new(Operation::Readable, urgency as u32, 0);
            watch(token, worker.shutdown.descriptor(urgency))?;
        }
        for (index, listener) in (0..).zip(&worker.listeners) {
            listener.set_nonblocking(true)?;
            watch(Token::new(Operation::Accept, index, 0), listener.as_fd())?;
        }
        let listeners = Listeners::new(
            std::mem::take(&mut worker.listeners),
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        );
        Ok(Self {
            poll,
            connections: Connections::of(&worker),
            listeners,
            buffer: SharedBuffer::new(vec![0; BUFFER_SIZE]),
            spinner: Spinner::new(worker.settings.spin),
            pipes: Pipes::new(worker.settings.splice.pipes),
            worker,
        })
    }

    /// Serves until shut down.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to wait; connections that fail are counted, not errors.
    pub(crate) fn run(mut self) -> io::Result<Counters> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        self.settle(Instant::now());
        while !self.connections.is_finished() {
            self.connections.publish(&self.connections.counters(), 0);
            self.wait(&mut events)?;
            let now = Instant::now();
            self.handle_events(now, &events);
            let now = self.handle_deadlines(now, &mut events)?;
            self.settle(now);
        }
        Ok(self.connections.counters())
    }

    /// Waits for events: polling first, where that pays.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let patience = self.patience();
        if patience != Some(Duration::ZERO)
            && let Some(end) = self.spinner.poll_until(Instant::now(), self.connections.deadline())
        {
            let Self { spinner, poll, .. } = self;
            let has_event = spinner.poll(end, || {
                wait_at_most(poll, events, Some(Duration::ZERO))?;
                Ok((!events.is_empty(), Instant::now()))
            })?;
            if has_event {
                return Ok(());
            }
        }
        wait_at_most(&mut self.poll, events, patience)
    }

    fn patience(&self) -> Option<Duration> {
        if self.connections.has_work() || self.listeners.has_more(self.connections.accepting()) {
            return Some(Duration::ZERO);
        }
        let deadline = self.connections.deadline();
        let wait = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        Some(wait.map_or(MAX_WAIT, |wait| wait.min(MAX_WAIT)))
    }

    fn handle_events(&mut self, now: Instant, events: &Events) {
        events.iter().for_each(|event| self.handle(now, event));
    }

    fn handle(&mut self, now: Instant, event: &Event) {
        let token = Token::from_user_data(event.token().0 as u64);
        match token.operation {
            Operation::Accept => self.listeners.set_ready(token.slot as usize),
            Operation::Readable => {
                let urgency = Urgency::ALL[token.slot as usize];
                self.connections.shut_down(now, urgency, &mut self.buffer);
            }
            _ => self.handle_ready(token, event),
        }
    }

    /// A socket may be read, or written, or has ended. An event of a connection that was closed
    /// earlier in the turn names a generation that is gone.
    fn handle_ready(&mut self, token: Token, event: &Event) {
        let key = Key { slot: token.slot, generation: token.generation };
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (socket, failed) = (&mut connection.transport, event.is_error());
        socket.may_read |= event.is_readable() || failed;
        socket.ends_early |= event.is_read_closed() || event.is_priority();
        socket.may_write |= event.is_writable() || failed;
        self.connections.mark(key);
    }

    /// Acts on the deadlines that have passed by `now`, once all that had arrived by then is seen;
    /// returns the time that it is then.
    fn handle_deadlines(&mut self, now: Instant, events: &mut Events) -> io::Result<Instant> {
        let Some(mut overdue) = self.connections.overdue_work(now, EVENTS_PER_TURN) else {
            return Ok(now);
        };
        let mut now = now;
        while overdue.goes_on(now) {
            self.settle(now);
            wait_at_most(&mut self.poll, events, Some(Duration::ZERO))?;
            now = Instant::now();
            if events.is_empty() && !self.connections.has_work() {
                break;
            }
            self.handle_events(now, events);
        }
        self.connections.handle_timeout(overdue.due, &mut self.buffer);
        Ok(now)
    }

    /// Lets everything go on that may.
    fn settle(&mut self, now: Instant) {
        self.connections.begin_turn();
        self.advance_dirty(now);
        let (poll, buffer) = (&self.poll, &mut self.buffer);
        let admission = &self.worker.admission;
        self.listeners.follow(now, &mut self.connections, &mut |connections, fd| {
            adopt(now, connections, admission, poll, buffer, fd);
        });
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
                    let socket = self.socket(key);
                    // See `Sending::try_again` of the native driver.
                    socket.may_write = true;
                    let probe = peer::probe(socket.fd.as_fd());
                    self.connections.handle_probe(now, key, probe);
                }
                Action::SendFin => peer::shut_down_writing(self.socket(key).fd.as_fd()),
                Action::Close(mode) => return self.close(now, key, mode),
                Action::Wait(interest) => {
                    if self.goes_on_splicing(now, key) {
                        continue;
                    }
                    if interest.write && self.socket(key).may_write {
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
        match recv(&socket.fd, &mut **memory, RecvFlags::empty()) {
            Ok((0, _)) => {
                socket.may_read = false;
                self.connections.handle_eof(key);
            }
            Ok((length, _)) => {
                // What arrives later is announced anew.
                socket.may_read = length == BUFFER_SIZE || socket.ends_early;
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
            let pipe = self.pipes.take();
            let is_there = pipe.is_some();
            connection.transport.pipe = pipe;
            self.connections.handle_pipe(key, is_there);
        } else if connection.splicing().is_over() {
            connection.end_splicing();
            let pipe = connection.transport.pipe.take().expect(SPLICES);
            self.pipes.give_back(pipe);
        }
        false
    }

    fn takes_in(&self, key: Key) -> bool {
        self.connections.get(key).is_some_and(|connection| connection.takes_in())
    }

    fn splice_in(&mut self, now: Instant, key: Key) {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        let socket = &mut connection.transport;
        let pipe = socket.pipe.as_ref().expect(SPLICES);
        match pipe.take_in(socket.fd.as_fd()) {
            Ok(TakenIn::Bytes(length)) => self.connections.handle_spliced_in(now, key, length),
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
        let pipe = socket.pipe.as_ref().expect(SPLICES);
        match pipe.give_out(socket.fd.as_fd(), held) {
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
        let sent = retry_on_intr(|| peer::send(socket.fd.as_fd(), &parts, &self.buffer));
        socket.may_write = sent == Ok(parts.len());
        self.connections.handle_sent(now, key, parts, sent, &mut self.buffer);
    }

    fn close(&mut self, now: Instant, key: Key, mode: CloseMode) {
        let unacknowledged = peer::prepare_close(self.socket(key).fd.as_fd(), mode);
        let pipe = self.socket(key).pipe.take();
        let is_empty = self.connections.get(key).is_none_or(|gone| gone.unsent_at_end() == 0);
        match pipe {
            Some(pipe) if is_empty => self.pipes.give_back(pipe),
            Some(pipe) => self.pipes.discard(pipe),
            None => {}
        }
        drop(self.connections.remove(now, key, unacknowledged));
    }

    fn socket(&mut self, key: Key) -> &mut Socket {
        &mut self.connections.get_mut(key).expect(ADVANCED).transport
    }
}

const SPLICES: &str = "who splices has a pipe";
const ADVANCED: &str = "a connection that is advanced is there until it is removed";

/// Takes a non-blocking socket in.
fn adopt<P: Protocol>(
    now: Instant,
    connections: &mut Connections<P>,
    admission: &Admission,
    poll: &Poll,
    buffer: &mut SharedBuffer,
    fd: OwnedFd,
) {
    let (address, raw) = (peer::address_of(fd.as_fd(), admission), fd.as_raw_fd());
    // Both are tried before they are waited for: the first message is often there already.
    let socket = Socket { fd, may_read: true, ends_early: false, may_write: true, pipe: None };
    let Some(key) = connections.admit(now, address, socket, buffer) else { return };
    let token = Token::new(Operation::Receive, key.slot, key.generation);
    let token = mio::Token(token.to_user_data() as usize);
    let interest = Readiness::READABLE | Readiness::WRITABLE | Readiness::PRIORITY;
    if let Err(error) = poll.registry().register(&mut SourceFd(&raw), token, interest) {
        let error = Errno::from_io_error(&error).unwrap_or(Errno::NOMEM);
        connections.handle_failure(key, error);
    }
}

fn wait_at_most(poll: &mut Poll, events: &mut Events, limit: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, limit) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        waited => waited,
    }
}
