//! The world as the readiness driver sees it: changes are told once, and a call does at once what it
//! can.

use std::io::{self, Read};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{Accepted, FakeKernel};
use crate::driver::epoll::kernel::{Kernel, Ready};
use crate::driver::shared_buffer::{SharedBuffer, Span};
use crate::driver::slab::Key;
use crate::driver::uring::kernel::Kernel as Ring;
use crate::driver::{Buffers, CloseMode, TakenIn, Urgency};
use crate::lifecycle::{Admission, Probe};
use crate::sys::{Part, Parts};
use crate::testing::simulation::mutation::Mutation;

/// An accepted peer, and the slot that it got.
#[derive(Debug)]
pub(in crate::testing::simulation) struct ReadySocket {
    accepted: Option<Accepted>,
    slot: Option<u32>,
    has_pipe: bool,
}

impl ReadySocket {
    fn slot(&self) -> u32 {
        self.slot.expect("a socket is used once it is watched")
    }
}

impl FakeKernel {
    /// Tells some of what has changed.
    fn tell_changes(&mut self, ready: &mut Vec<Ready>) {
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            let is_late = self.rng.chance(self.hostility.delay);
            if !is_late && std::mem::take(&mut listener.has_changed) {
                ready.push(Ready::Listener(number));
            }
        }
        for urgency in Urgency::ALL {
            let signal = &mut self.signals[urgency as usize];
            let is_late = self.rng.chance(self.hostility.delay);
            if !is_late && std::mem::take(&mut signal.is_raised) {
                self.plan.shut_down(self.now, urgency);
                ready.push(Ready::Signal(urgency));
            }
        }
        for slot in self.sockets.slots() {
            if !self.rng.chance(self.hostility.delay) {
                ready.extend(self.change_of(slot));
            }
        }
    }

    /// The state of a socket that has changed since it was told last; now and then of one that has
    /// not.
    fn change_of(&mut self, slot: u32) -> Option<Ready> {
        let hides_room = self.planted(Mutation::MissWritableSockets);
        let (fault, calm) = (self.hostility.fault, self.is_calm());
        let socket = self.sockets.get_mut(slot)?;
        let key = socket.key?;
        let is_spurious = !calm && self.rng.chance(fault);
        if !std::mem::take(&mut socket.has_changed) && !is_spurious {
            return None;
        }
        let peer = &self.peers[socket.peer];
        let has_room = socket.queue.len() < socket.queue_capacity;
        socket.is_full &= !has_room;
        let (has_finished, is_reset) = (peer.has_finished(), peer.is_reset);
        Some(Ready::Socket {
            key,
            may_read: !socket.arrived.is_empty() || has_finished || is_reset,
            ends_early: has_finished || is_reset,
            may_write: (has_room && !hides_room) || is_reset,
        })
    }
}

impl Kernel for FakeKernel {
    type Listener = u32;
    type Socket = ReadySocket;

    fn now(&self) -> Instant {
        Ring::now(self)
    }

    fn wait(&mut self, limit: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        let until = self.now + limit;
        loop {
            self.work();
            self.tell_changes(ready);
            if !ready.is_empty() || until <= self.now {
                break;
            }
            if self.is_quiet() && self.plan.is_quiet() {
                self.now = until;
                break;
            }
            self.check_progress()?;
        }
        self.note_turn(!ready.is_empty(), limit.is_zero());
        self.check_progress()
    }

    fn accept(&mut self, listener: &u32) -> Result<ReadySocket, Errno> {
        let accepted = Some(Ring::accept_queued(self, *listener)?);
        Ok(ReadySocket { accepted, slot: None, has_pipe: false })
    }

    fn hold_off(&mut self, listener: &u32) {
        Ring::hold_off(self, *listener);
    }

    fn queue_length(&mut self, listener: &u32) -> usize {
        let is_forgotten = self.planted(Mutation::ForgetWhoWaits);
        if is_forgotten { 0 } else { self.listeners[*listener as usize].backlog.len() }
    }

    fn close_listener(&mut self, listener: u32) {
        Ring::close_listener(self, listener);
    }

    fn address_of(&self, socket: &ReadySocket, _: &Admission) -> Option<IpAddr> {
        Ring::address_of(self, socket.accepted.as_ref().expect("it was just accepted"))
    }

    fn watch(&mut self, socket: &mut ReadySocket, key: Key) -> Result<(), Errno> {
        let accepted = socket.accepted.take().expect("a socket is watched once");
        socket.slot = Some(key.slot);
        Ring::adopt(self, key.slot, accepted);
        self.socket(key.slot).key = Some(key);
        Ok(())
    }

    fn receive(&mut self, socket: &ReadySocket, memory: &mut [u8]) -> Result<usize, Errno> {
        self.requests += 1;
        let is_interrupted = self.rng.chance(self.hostility.fault);
        let step = self.step;
        let socket = self.sockets.get_mut(socket.slot()).expect("receives are of open connections");
        let peer = &self.peers[socket.peer];
        match socket.arrived.len() {
            _ if peer.is_reset => Err(Errno::CONNRESET),
            _ if is_interrupted => Err(Errno::INTR),
            0 if peer.has_finished() => Ok(0),
            0 => Err(Errno::AGAIN),
            arrived => {
                // Less than there is room for means that nothing is left.
                let length = arrived.min(memory.len());
                let received = socket.arrived.read_exact(&mut memory[..length]);
                received.expect("no more is received than arrived");
                socket.delivered += length;
                self.last_progress = step;
                Ok(length)
            }
        }
    }

    fn send(
        &mut self,
        socket: &ReadySocket,
        parts: &Parts<Span>,
        buffer: &SharedBuffer,
    ) -> Result<usize, Errno> {
        self.requests += 1;
        let is_recycled = self.planted(Mutation::RecycleBeforeSendCompletes);
        let mut bytes = Vec::with_capacity(parts.len());
        for part in parts.iter() {
            match part {
                Part::Leased(_) if is_recycled => bytes.resize(bytes.len() + part.len(), 0xee),
                Part::Leased(span) => bytes.extend_from_slice(buffer.bytes(span)),
                Part::Owned(owned) => bytes.extend_from_slice(owned.bytes()),
            }
        }
        let is_short = self.rng.chance(self.hostility.short);
        let drops_rest = self.planted(Mutation::DropTheRestOfAShortSend);
        let socket = self.sockets.get_mut(socket.slot()).expect("sends are of open connections");
        assert!(socket.fin_sent.is_none(), "nothing is sent after FIN");
        if self.peers[socket.peer].is_reset {
            return Err(*self.rng.pick(&[Errno::CONNRESET, Errno::PIPE]));
        }
        let most = bytes.len().min(socket.queue_capacity - socket.queue.len());
        let taken = if is_short { self.rng.between(0, most) } else { most };
        if taken < bytes.len() {
            socket.is_full = true;
            // The kernel lacked memory, not room: that is told when it has some.
            socket.has_changed |= taken < most;
        }
        if taken == 0 {
            return Err(Errno::AGAIN);
        }
        socket.queue.extend(&bytes[..taken]);
        Ok(if drops_rest { bytes.len() } else { taken })
    }

    fn give_pipe(&mut self, socket: &mut ReadySocket) -> bool {
        socket.has_pipe = Ring::give_pipe(self, socket.slot());
        socket.has_pipe
    }

    fn take_pipe_back(&mut self, socket: &mut ReadySocket, is_empty: bool) {
        if std::mem::take(&mut socket.has_pipe) {
            Ring::take_pipe_back(self, socket.slot(), is_empty);
        }
    }

    fn splice_in(&mut self, socket: &ReadySocket) -> Result<TakenIn, Errno> {
        Ring::splice_in(self, socket.slot())
    }

    fn splice_out(&mut self, socket: &ReadySocket, held: usize) -> Result<usize, Errno> {
        Ring::splice_out(self, socket.slot(), held)
    }

    fn probe(&mut self, socket: &ReadySocket) -> Probe {
        Ring::probe(self, socket.slot())
    }

    fn shut_down_writing(&mut self, socket: &ReadySocket) {
        Ring::shut_down_write(self, socket.slot());
    }

    fn prepare_close(&mut self, socket: &ReadySocket, mode: CloseMode) -> usize {
        Ring::close(self, socket.slot(), mode)
    }
}
