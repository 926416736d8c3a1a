//! Operations that the native driver asks of the kernel.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::receiving::Amount;
use crate::driver::buffers::Buffers;
use crate::driver::connection::CloseMode;
use crate::driver::pipes::{Pipe, Pipes};
use crate::driver::{MAX_WAIT, ShutdownSignal, TakenIn, Urgency, handshake, peer};
use crate::lifecycle::{Admission, Probe};
use crate::sys::{Activity, Completion, Lease, Notify, Parts, Ring, Token, Wait, sockopt};

/// A kernel with a ring and sockets: the real one here, a fake one in the simulation.
///
/// Operations with a token are submitted and complete later, at the earliest in the
/// [`submit`](Self::submit) that follows. All others are done at once.
pub(crate) trait Kernel: Buffers<Lease = Lease> {
    /// An accepted connection that has no slot yet. Dropping it closes it.
    type Socket;

    /// The time.
    fn now(&self) -> Instant;

    /// Receive buffers that no lease keeps from the kernel.
    fn free_buffers(&self) -> usize;

    /// Work of the ring so far; none where nobody counts it.
    fn activity(&self) -> Activity {
        Activity::default()
    }

    /// Accepts on the listener in the token's slot until cancelled; a completion for each.
    fn accept(&mut self, token: Token);

    /// Receives on the connection in the token's slot, once or until cancelled.
    fn receive(&mut self, token: Token, amount: Amount);

    /// Sends what the socket in the token's slot takes at once, within the submit that follows.
    fn send(&mut self, token: Token, parts: Parts, notify: Notify);

    /// Reports, until cancelled, when the socket in the token's slot may have become writable.
    fn watch_writable(&mut self, token: Token);

    /// Reports, until cancelled, when the socket in the token's slot may have become ready for
    /// anything.
    fn watch_ready(&mut self, token: Token);

    /// Gives the socket in a slot a pipe; returns whether there was one. While it has it, it is
    /// received from once at a time.
    fn give_pipe(&mut self, slot: u32) -> bool;

    /// Takes the pipe of a slot back, which is closed where it is not empty.
    fn take_pipe_back(&mut self, slot: u32, is_empty: bool);

    /// Moves what has arrived in a slot's socket to its pipe.
    ///
    /// # Errors
    ///
    /// When the socket has failed.
    fn splice_in(&mut self, slot: u32) -> Result<TakenIn, Errno>;

    /// Moves bytes from a slot's pipe, which holds so many, to its socket.
    ///
    /// # Errors
    ///
    /// `AGAIN` when the socket is full, others when it has failed.
    fn splice_out(&mut self, slot: u32, held: usize) -> Result<usize, Errno>;

    /// Reports once when the shutdown of this urgency was asked for.
    fn watch_signal(&mut self, token: Token, urgency: Urgency);

    /// Asks for the end of the operation with this token.
    fn cancel(&mut self, target: Token);

    /// Hands over what was submitted and waits for completions.
    ///
    /// # Errors
    ///
    /// When the ring cannot go on.
    fn submit(&mut self, wait: Wait) -> io::Result<()>;

    /// Returns whether there is a completion to take, at little cost.
    ///
    /// # Errors
    ///
    /// Those of [`submit`](Self::submit).
    fn has_completion(&mut self) -> io::Result<bool>;

    /// The next completion that a submit brought.
    fn next_completion(&mut self) -> Option<Completion<Self::Socket>>;

    /// The peer's address, where somebody counts by it.
    fn address_of(&self, socket: &Self::Socket) -> Option<IpAddr>;

    /// Gives a socket its slot.
    fn adopt(&mut self, slot: u32, socket: Self::Socket);

    /// How the peer takes what is sent.
    fn probe(&self, slot: u32) -> Probe;

    /// Sends FIN.
    fn shut_down_write(&mut self, slot: u32);

    /// Closes a socket for which nothing is in flight; returns how many bytes its peer has not
    /// acknowledged.
    fn close(&mut self, slot: u32, mode: CloseMode) -> usize;

    /// Lets no new handshake begin on a listener; those under way complete.
    fn hold_off(&mut self, listener: u32);

    /// Accepts from the queue of a listener for which no accept is in flight.
    ///
    /// # Errors
    ///
    /// `AGAIN` when the queue is empty, others when it cannot be emptied now.
    fn accept_queued(&mut self, listener: u32) -> Result<Self::Socket, Errno>;

    /// Closes a listener for which nothing is in flight; returns how many wait in its queue.
    fn close_listener(&mut self, listener: u32) -> usize;
}

/// The kernel that this process runs on. No wait is longer than [`MAX_WAIT`], so that a turn
/// of a worker is a sign of life.
pub(super) struct Host {
    ring: Ring,
    pipes: Pipes,
    /// Those in use, by slot.
    used_pipes: HashMap<u32, Pipe>,
    admission: Arc<Admission>,
    shutdown: Arc<ShutdownSignal>,
}

impl Host {
    pub(super) fn new(
        mut ring: Ring,
        pipes: usize,
        admission: Arc<Admission>,
        shutdown: Arc<ShutdownSignal>,
    ) -> Self {
        ring.start_ticking(MAX_WAIT);
        let pipes = Pipes::new(pipes);
        Self { ring, pipes, used_pipes: HashMap::new(), admission, shutdown }
    }

    fn pipe(&self, slot: u32) -> &Pipe {
        self.used_pipes.get(&slot).expect("who splices has a pipe")
    }
}

impl Buffers for Host {
    type Lease = Lease;

    fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        self.ring.bytes(lease)
    }

    fn release(&mut self, lease: Lease) {
        self.ring.recycle(lease);
    }

    fn may_stay(&self, length: usize) -> bool {
        let (free, all) = self.ring.free_buffers();
        may_stay(length, self.ring.buffer_size(), free, all)
    }
}

/// A stretch that fills less than an eighth of its buffer is copied out, or a peer could pin
/// buffers with a byte each. With a quarter of them left so is all else that waits: peers that do
/// not read, or do not finish their frames, pin the rest, never the last quarter.
pub(crate) fn may_stay(length: usize, buffer_size: usize, free: usize, all: usize) -> bool {
    8 * length >= buffer_size && free >= all.div_ceil(4)
}

impl Kernel for Host {
    type Socket = OwnedFd;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn free_buffers(&self) -> usize {
        self.ring.free_buffers().0
    }

    fn activity(&self) -> Activity {
        self.ring.activity()
    }

    fn accept(&mut self, token: Token) {
        self.ring.accept(token);
    }

    fn receive(&mut self, token: Token, amount: Amount) {
        match amount {
            Amount::One => self.ring.receive_one(token),
            Amount::Many => self.ring.receive_many(token),
        }
    }

    fn send(&mut self, token: Token, parts: Parts, notify: Notify) {
        self.ring.send(token, parts, notify);
    }

    fn watch_writable(&mut self, token: Token) {
        self.ring.watch_writable(token);
    }

    fn watch_ready(&mut self, token: Token) {
        self.ring.watch_ready(token);
    }

    fn give_pipe(&mut self, slot: u32) -> bool {
        let Some(pipe) = self.pipes.take() else { return false };
        // A splice waits unless its socket never does.
        if rustix::io::ioctl_fionbio(self.ring.sockets().connection(slot), true).is_err() {
            self.pipes.give_back(pipe);
            return false;
        }
        self.used_pipes.insert(slot, pipe);
        true
    }

    fn take_pipe_back(&mut self, slot: u32, is_empty: bool) {
        let pipe = self.used_pipes.remove(&slot).expect("who splices has a pipe");
        // A lasting receive ends on a socket that never waits. Should it be refused, that shows.
        let _ = rustix::io::ioctl_fionbio(self.ring.sockets().connection(slot), false);
        if is_empty {
            self.pipes.give_back(pipe);
        } else {
            self.pipes.discard(pipe);
        }
    }

    fn splice_in(&mut self, slot: u32) -> Result<TakenIn, Errno> {
        self.pipe(slot).take_in(self.ring.sockets().connection(slot))
    }

    fn splice_out(&mut self, slot: u32, held: usize) -> Result<usize, Errno> {
        self.pipe(slot).give_out(self.ring.sockets().connection(slot), held)
    }

    fn watch_signal(&mut self, token: Token, urgency: Urgency) {
        self.ring.watch_readable(token, self.shutdown.shared_descriptor(urgency));
    }

    fn cancel(&mut self, target: Token) {
        self.ring.cancel(target);
    }

    fn submit(&mut self, wait: Wait) -> io::Result<()> {
        // The ring's own ticks end a long wait, at less cost than a timeout of its own would.
        self.ring.submit(match wait {
            Wait::AtMost(limit) if limit >= MAX_WAIT => Wait::Forever,
            other => other,
        })
    }

    fn has_completion(&mut self) -> io::Result<bool> {
        self.ring.has_completion()
    }

    fn next_completion(&mut self) -> Option<Completion> {
        self.ring.next_completion()
    }

    fn address_of(&self, socket: &OwnedFd) -> Option<IpAddr> {
        peer::address_of(socket.as_fd(), &self.admission)
    }

    fn adopt(&mut self, slot: u32, socket: OwnedFd) {
        self.ring.sockets_mut().attach(slot, socket);
    }

    fn probe(&self, slot: u32) -> Probe {
        peer::probe(self.ring.sockets().connection(slot))
    }

    fn shut_down_write(&mut self, slot: u32) {
        peer::shut_down_writing(self.ring.sockets().connection(slot));
    }

    fn close(&mut self, slot: u32, mode: CloseMode) -> usize {
        let unacknowledged = peer::prepare_close(self.ring.sockets().connection(slot), mode);
        self.ring.close(slot);
        unacknowledged
    }

    fn hold_off(&mut self, listener: u32) {
        handshake::hold_off(self.ring.sockets().listener(listener));
    }

    fn accept_queued(&mut self, listener: u32) -> Result<OwnedFd, Errno> {
        let listener = self.ring.sockets().listener(listener);
        rustix::io::ioctl_fionbio(listener, true)?;
        accept_with(listener, SocketFlags::CLOEXEC)
    }

    fn close_listener(&mut self, listener: u32) -> usize {
        let left = sockopt::accept_queue_length(self.ring.sockets().listener(listener));
        self.ring.sockets_mut().close_listener(listener);
        left
    }
}
