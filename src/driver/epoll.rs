//! The readiness driver: one epoll instance for each worker, one receive buffer for everybody.
//!
//! It is what a server does where io_uring is blocked, and the baseline that the native driver is
//! measured against. Edges are watched, so a connection costs one `epoll_ctl` in its life: what a
//! socket was last seen to be ready for is remembered, and tried when the session wants it.

use std::io::{self, IoSlice};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, recv, send, sendmsg};

use super::copying::{Act, Session};
use super::listeners::Listeners;
use super::slab::Key;
use super::spin::Spinner;
use super::{Urgency, Worker, peer};
use crate::lifecycle::Admission;
use crate::metrics::Counters;
use crate::sys::{Operation, Token};

/// Bytes of the receive buffer: with the pages of the sockets it stays in the L2 cache.
pub(crate) const BUFFER_SIZE: usize = 64 << 10;
/// Bytes of memory of the events of one turn (`struct epoll_event`).
pub(crate) const EVENTS_MEMORY: usize = 16 * EVENTS_PER_TURN;
/// Events taken in one turn; the rest come with the next.
const EVENTS_PER_TURN: usize = 512;
/// Receives of one connection before the others have their turn.
const RECEIVES_PER_TURN: usize = 4;
/// Parts that one send gathers: far below IOV_MAX (1024).
const PARTS_PER_SEND: usize = 64;

/// A worker whose listeners are about to be served.
pub(crate) struct Driver {
    poll: Poll,
    session: Session,
    sockets: Vec<Option<Socket>>,
    listeners: Listeners<TcpListener>,
    buffer: Box<[u8]>,
    /// Connections to advance, each once in a turn: those that were not done in the last one, and
    /// those whose socket is ready for something.
    listed: Vec<Key>,
    spinner: Spinner,
    worker: Worker,
}

/// A connection's socket and what it was last seen to be ready for.
struct Socket {
    fd: OwnedFd,
    may_read: bool,
    /// The peer's FIN or urgent data was announced: a read may end before there is nothing left.
    ends_early: bool,
    may_write: bool,
    is_listed: bool,
}

impl Driver {
    /// Makes the epoll instance and watches what there is.
    pub(crate) fn new(mut worker: Worker) -> io::Result<Self> {
        let poll = Poll::new()?;
        let session = Session::new(worker.settings, Arc::clone(&worker.admission));
        let watch = |token: Token, fd: BorrowedFd<'_>| {
            let token = mio::Token(token.to_user_data() as usize);
            poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)
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
        let buffer = vec![0; BUFFER_SIZE].into_boxed_slice();
        Ok(Self {
            poll,
            session,
            sockets: Vec::new(),
            listeners,
            buffer,
            listed: Vec::new(),
            spinner: Spinner::new(worker.settings.spin),
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
        loop {
            let now = Instant::now();
            for event in &events {
                self.handle(now, event);
            }
            self.advance_listed(now);
            self.session.handle_timeout(now);
            self.settle(now);
            if self.session.is_finished() {
                return Ok(self.session.counters());
            }
            self.wait(&mut events)?;
        }
    }

    /// Waits for events: polling first, where that pays.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let patience = self.patience();
        if patience != Some(Duration::ZERO)
            && let Some(end) = self.spinner.poll_until(Instant::now(), self.session.deadline())
        {
            self.wait_at_most(events, Some(Duration::ZERO))?;
            if !events.is_empty() || self.poll_until(end, events)? {
                return Ok(());
            }
        }
        self.wait_at_most(events, patience)
    }

    /// Whether an event came in time.
    fn poll_until(&mut self, end: Instant, events: &mut Events) -> io::Result<bool> {
        while events.is_empty() && Instant::now() < end {
            std::hint::spin_loop();
            self.wait_at_most(events, Some(Duration::ZERO))?;
        }
        let has_found = !events.is_empty();
        self.spinner.polled(has_found);
        Ok(has_found)
    }

    fn wait_at_most(&mut self, events: &mut Events, limit: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, limit) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            waited => waited,
        }
    }

    fn patience(&self) -> Option<Duration> {
        if !self.listed.is_empty() || self.listeners.has_more(&self.session) {
            return Some(Duration::ZERO);
        }
        Some(self.session.deadline()?.saturating_duration_since(Instant::now()))
    }

    fn handle(&mut self, now: Instant, event: &Event) {
        let token = Token::from_user_data(event.token().0 as u64);
        match token.operation {
            Operation::Accept => self.listeners.set_ready(token.slot as usize),
            Operation::Readable => match Urgency::ALL[token.slot as usize] {
                Urgency::Drain => self.session.drain(now),
                Urgency::Stop => self.session.stop(now),
            },
            _ => self.handle_ready(token, event),
        }
    }

    /// A socket may be read, or written, or has ended. An event of a connection that was closed
    /// earlier in the turn names a generation that is gone.
    fn handle_ready(&mut self, token: Token, event: &Event) {
        let key = Key { slot: token.slot, generation: token.generation };
        let Some(socket) = self.socket_mut(key) else { return };
        let failed = event.is_error();
        socket.may_read |= event.is_readable() || failed;
        socket.ends_early |= event.is_read_closed() || event.is_priority();
        socket.may_write |= event.is_writable() || failed;
        self.list(key);
    }

    /// Gives the connection a place in the next round of [`advance_listed`](Self::advance_listed).
    fn list(&mut self, key: Key) {
        let Some(socket) = self.socket_mut(key) else { return };
        if !std::mem::replace(&mut socket.is_listed, true) {
            self.listed.push(key);
        }
    }

    /// Gives those listed a turn; who is not done then is listed for the next.
    fn advance_listed(&mut self, now: Instant) {
        let count = self.listed.len();
        for index in 0..count {
            let key = self.listed[index];
            if let Some(socket) = self.socket_mut(key) {
                socket.is_listed = false;
                self.advance(now, key);
            }
        }
        self.listed.drain(..count);
    }

    /// Lets everything go on that may.
    fn settle(&mut self, now: Instant) {
        let (poll, sockets, admission) = (&self.poll, &mut self.sockets, &self.worker.admission);
        self.listeners.follow(now, &mut self.session, &mut |session, fd| {
            adopt(now, session, admission, poll, sockets, fd);
        });
        while let Some(key) = self.session.next_dirty() {
            self.advance(now, key);
        }
    }

    /// Does what a connection needs until it has to wait.
    fn advance(&mut self, now: Instant, key: Key) {
        let mut receives = 0;
        loop {
            match self.session.advance(now, key) {
                Act::Wait(interest) => {
                    let Some(socket) = self.socket(key) else { return };
                    if interest.write && socket.may_write {
                        self.flush(now, key);
                    } else if interest.read && socket.may_read {
                        if receives == RECEIVES_PER_TURN {
                            self.list(key);
                            return;
                        }
                        receives += 1;
                        self.receive(now, key);
                    } else {
                        return;
                    }
                }
                Act::Probe => {
                    let probe = peer::probe(self.fd(key));
                    self.session.handle_probe(now, key, probe);
                }
                Act::SendFin => peer::shut_down_writing(self.fd(key)),
                Act::Interrupt { .. } => unreachable!("nothing is in flight between two calls"),
                Act::Close(manner) => {
                    let socket = self.sockets[key.slot as usize].take();
                    let Socket { fd, .. } = socket.expect("a connection is closed once");
                    if let Some((account, queued)) = peer::prepare_close(fd.as_fd(), manner) {
                        self.session.handle_left_behind(account, queued);
                    }
                    return;
                }
            }
        }
    }

    fn receive(&mut self, now: Instant, key: Key) {
        let socket = self.sockets[key.slot as usize].as_mut().expect("it was just asked");
        match recv(&socket.fd, &mut *self.buffer, RecvFlags::empty()) {
            Ok((0, _)) => {
                socket.may_read = false;
                self.session.handle_eof(now, key);
            }
            Ok((length, _)) => {
                // What arrives later is announced anew.
                socket.may_read = length == self.buffer.len() || socket.ends_early;
                let Socket { fd, may_write, .. } = socket;
                self.session.handle_received(now, key, &self.buffer[..length], &mut |bytes| {
                    let send = || send(&fd, bytes, SendFlags::NOSIGNAL);
                    let sent = unless_full(retry_on_intr(send))?;
                    *may_write = sent == bytes.len();
                    Ok(sent)
                });
            }
            Err(Errno::AGAIN) => socket.may_read = false,
            Err(Errno::INTR) => {}
            Err(error) => {
                socket.may_read = false;
                self.session.handle_failure(key, error);
            }
        }
    }

    fn flush(&mut self, now: Instant, key: Key) {
        let socket = self.sockets[key.slot as usize].as_mut().expect("it was just asked");
        let mut parts = [IoSlice::new(&[]); PARTS_PER_SEND];
        let (mut count, mut length) = (0, 0);
        for bytes in self.session.outgoing(key).take(PARTS_PER_SEND) {
            parts[count] = IoSlice::new(bytes);
            count += 1;
            length += bytes.len();
        }
        let mut no_control = SendAncillaryBuffer::default();
        let send = || sendmsg(&socket.fd, &parts[..count], &mut no_control, SendFlags::NOSIGNAL);
        match unless_full(retry_on_intr(send)) {
            Ok(sent) => {
                socket.may_write = sent == length;
                self.session.handle_sent(now, key, sent);
            }
            Err(error) => self.session.handle_failure(key, error),
        }
    }

    fn socket(&self, key: Key) -> Option<&Socket> {
        self.sockets.get(key.slot as usize)?.as_ref().filter(|_| self.session.is_alive(key))
    }

    fn socket_mut(&mut self, key: Key) -> Option<&mut Socket> {
        let is_alive = self.session.is_alive(key);
        self.sockets.get_mut(key.slot as usize)?.as_mut().filter(|_| is_alive)
    }

    fn fd(&self, key: Key) -> BorrowedFd<'_> {
        self.socket(key).expect("a connection has a socket until it is closed").fd.as_fd()
    }
}

/// Takes a non-blocking socket in.
fn adopt(
    now: Instant,
    session: &mut Session,
    admission: &Admission,
    poll: &Poll,
    sockets: &mut Vec<Option<Socket>>,
    fd: OwnedFd,
) {
    let Some(key) = session.admit(now, peer::address_of(fd.as_fd(), admission)) else { return };
    let token = Token::new(Operation::Receive, key.slot, key.generation);
    let token = mio::Token(token.to_user_data() as usize);
    let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
    let watched = poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), token, interest);
    if let Err(error) = watched {
        session.handle_failure(key, Errno::from_io_error(&error).unwrap_or(Errno::NOMEM));
    }
    let slot = key.slot as usize;
    if sockets.len() <= slot {
        sockets.resize_with(slot + 1, || None);
    }
    // Both are tried before they are waited for: the first message is often there already.
    sockets[slot] =
        Some(Socket { fd, may_read: true, ends_early: false, may_write: true, is_listed: false });
}

/// A socket that can take nothing now has taken nothing.
fn unless_full(sent: Result<usize, Errno>) -> Result<usize, Errno> {
    match sent {
        Err(Errno::AGAIN) => Ok(0),
        sent => sent,
    }
}
