//! Operations that the readiness driver asks of a kernel, and the real one: an epoll instance and
//! sockets. The other is the simulation's.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SocketFlags, accept_with, recv};

use crate::driver::handshake;
use crate::driver::peer;
use crate::driver::pipes::{Pipe, Pipes, TakenIn};
use crate::driver::shared_buffer::{SharedBuffer, Span};
use crate::driver::slab::Key;
use crate::driver::{CloseMode, ShutdownSignal, Urgency};
use crate::lifecycle::{Admission, Probe};
use crate::sys::{Operation, Parts, Token, sockopt};

/// Events taken in one turn; the rest come with the next.
pub(crate) const EVENTS_PER_TURN: usize = 512;
const SPLICES: &str = "who splices has a pipe";

/// Operations of a kernel that tells what is ready. None of them waits but [`wait`](Self::wait).
pub(crate) trait Kernel {
    type Listener;
    type Socket;

    fn now(&self) -> Instant;

    /// Waits until something changes, at most so long, and replaces `ready` by what has.
    fn wait(&mut self, limit: Duration, ready: &mut Vec<Ready>) -> io::Result<()>;

    fn accept(&mut self, listener: &Self::Listener) -> Result<Self::Socket, Errno>;

    /// From now on no handshake begins on this listener.
    fn hold_off(&mut self, listener: &Self::Listener);

    /// Connections that wait to be accepted.
    fn queue_length(&mut self, listener: &Self::Listener) -> usize;

    fn close_listener(&mut self, listener: Self::Listener);

    /// The peer's address, where somebody counts by it.
    fn address_of(&self, socket: &Self::Socket, admission: &Admission) -> Option<IpAddr>;

    /// From now on changes of this socket are told, as those of a connection.
    fn watch(&mut self, socket: &mut Self::Socket, key: Key) -> Result<(), Errno>;

    /// Receives what has arrived; 0 bytes are the peer's FIN.
    fn receive(&mut self, socket: &Self::Socket, memory: &mut [u8]) -> Result<usize, Errno>;

    /// Sends what the socket takes.
    fn send(
        &mut self,
        socket: &Self::Socket,
        parts: &Parts<Span>,
        buffer: &SharedBuffer,
    ) -> Result<usize, Errno>;

    /// Gives the socket a pipe, if there is one left.
    fn give_pipe(&mut self, socket: &mut Self::Socket) -> bool;

    /// Takes the socket's pipe back, if it has one.
    fn take_pipe_back(&mut self, socket: &mut Self::Socket, is_empty: bool);

    /// Moves what has arrived into the socket's pipe.
    fn splice_in(&mut self, socket: &Self::Socket) -> Result<TakenIn, Errno>;

    /// Moves bytes out of the pipe, which holds so many, to the peer.
    fn splice_out(&mut self, socket: &Self::Socket, held: usize) -> Result<usize, Errno>;

    fn probe(&mut self, socket: &Self::Socket) -> Probe;

    /// Sends FIN.
    fn shut_down_writing(&mut self, socket: &Self::Socket);

    /// Prepares a socket for being dropped, which closes it; returns how many bytes its peer has not
    /// acknowledged, where that is accounted for.
    fn prepare_close(&mut self, socket: &Self::Socket, mode: CloseMode) -> usize;
}

/// Something that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Somebody may wait at the listener with this number.
    Listener(usize),
    Signal(Urgency),
    Socket {
        key: Key,
        may_read: bool,
        /// The peer's FIN or urgent data: a read may end before there is nothing left.
        ends_early: bool,
        may_write: bool,
    },
}

/// One epoll instance. Edges are watched, so a connection costs one `epoll_ctl` in its life.
pub(crate) struct Epoll {
    poll: Poll,
    events: Events,
    pipes: Pipes,
    /// It is watched until the end.
    _signal: Arc<ShutdownSignal>,
}

pub(crate) struct Socket {
    fd: OwnedFd,
    pipe: Option<Pipe>,
}

impl Epoll {
    /// Watches the signal and the listeners, which are numbered from 0.
    pub(super) fn new(
        signal: Arc<ShutdownSignal>,
        listeners: &[TcpListener],
        pipes: usize,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let watch =
            |token: Token, fd: BorrowedFd<'_>| register(&poll, token, fd, Interest::READABLE);
        for urgency in Urgency::ALL {
            let token = Token::new(Operation::Readable, urgency as u32, 0);
            watch(token, signal.descriptor(urgency))?;
        }
        for (index, listener) in (0..).zip(listeners) {
            listener.set_nonblocking(true)?;
            watch(Token::new(Operation::Accept, index, 0), listener.as_fd())?;
        }
        let events = Events::with_capacity(EVENTS_PER_TURN);
        Ok(Self { poll, events, pipes: Pipes::new(pipes), _signal: signal })
    }
}

fn register(poll: &Poll, token: Token, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<()> {
    let token = mio::Token(token.to_user_data() as usize);
    poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), token, interest)
}

impl Kernel for Epoll {
    type Listener = TcpListener;
    type Socket = Socket;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait(&mut self, limit: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        match self.poll.poll(&mut self.events, Some(limit)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            waited => waited?,
        }
        ready.extend(self.events.iter().map(Ready::from));
        Ok(())
    }

    fn accept(&mut self, listener: &TcpListener) -> Result<Socket, Errno> {
        let fd = accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        Ok(Socket { fd, pipe: None })
    }

    fn hold_off(&mut self, listener: &TcpListener) {
        handshake::hold_off(listener.as_fd());
    }

    fn queue_length(&mut self, listener: &TcpListener) -> usize {
        sockopt::accept_queue_length(listener.as_fd())
    }

    fn close_listener(&mut self, listener: TcpListener) {
        drop(listener);
    }

    fn address_of(&self, socket: &Socket, admission: &Admission) -> Option<IpAddr> {
        peer::address_of(socket.fd.as_fd(), admission)
    }

    fn watch(&mut self, socket: &mut Socket, key: Key) -> Result<(), Errno> {
        let token = Token::new(Operation::Receive, key.slot, key.generation);
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        register(&self.poll, token, socket.fd.as_fd(), interest)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOMEM))
    }

    fn receive(&mut self, socket: &Socket, memory: &mut [u8]) -> Result<usize, Errno> {
        recv(&socket.fd, memory, RecvFlags::empty()).map(|(length, _)| length)
    }

    fn send(
        &mut self,
        socket: &Socket,
        parts: &Parts<Span>,
        buffer: &SharedBuffer,
    ) -> Result<usize, Errno> {
        retry_on_intr(|| peer::send(socket.fd.as_fd(), parts, buffer))
    }

    fn give_pipe(&mut self, socket: &mut Socket) -> bool {
        socket.pipe = self.pipes.take();
        socket.pipe.is_some()
    }

    fn take_pipe_back(&mut self, socket: &mut Socket, is_empty: bool) {
        match socket.pipe.take() {
            Some(pipe) if is_empty => self.pipes.give_back(pipe),
            Some(pipe) => self.pipes.discard(pipe),
            None => {}
        }
    }

    fn splice_in(&mut self, socket: &Socket) -> Result<TakenIn, Errno> {
        socket.pipe.as_ref().expect(SPLICES).take_in(socket.fd.as_fd())
    }

    fn splice_out(&mut self, socket: &Socket, held: usize) -> Result<usize, Errno> {
        socket.pipe.as_ref().expect(SPLICES).give_out(socket.fd.as_fd(), held)
    }

    fn probe(&mut self, socket: &Socket) -> Probe {
        peer::probe(socket.fd.as_fd())
    }

    fn shut_down_writing(&mut self, socket: &Socket) {
        peer::shut_down_writing(socket.fd.as_fd());
    }

    fn prepare_close(&mut self, socket: &Socket, mode: CloseMode) -> usize {
        peer::prepare_close(socket.fd.as_fd(), mode)
    }
}

impl From<&Event> for Ready {
    fn from(event: &Event) -> Self {
        let token = Token::from_user_data(event.token().0 as u64);
        match token.operation {
            Operation::Accept => Self::Listener(token.slot as usize),
            Operation::Readable => Self::Signal(Urgency::ALL[token.slot as usize]),
            _ => Self::Socket {
                key: Key { slot: token.slot, generation: token.generation },
                may_read: event.is_readable() || event.is_error(),
                ends_early: event.is_read_closed() || event.is_priority(),
                may_write: event.is_writable() || event.is_error(),
            },
        }
    }
}
