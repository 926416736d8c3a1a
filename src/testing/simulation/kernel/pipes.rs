//! Pipes: what has arrived goes in and out in parts, stops at an urgent byte, and finds them full.

use std::collections::VecDeque;

use rustix::io::Errno;

use super::FakeKernel;
use crate::driver::TakenIn;

#[derive(Debug)]
pub(super) struct Pipe {
    content: VecDeque<u8>,
    capacity: usize,
}

impl Pipe {
    pub(super) fn new(capacity: usize) -> Self {
        Self { content: VecDeque::new(), capacity }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.content.is_empty()
    }
}

impl FakeKernel {
    pub(super) fn take_in(&mut self, slot: u32) -> Result<TakenIn, Errno> {
        let socket = self.sockets.get_mut(slot).expect("an open connection splices");
        let peer = &self.peers[socket.peer];
        assert!(socket.receive.is_none(), "a receive and a splice overtake each other");
        let pipe = socket.pipe.as_mut().expect("who splices has a pipe");
        let most = socket.arrived.len().min(pipe.capacity - pipe.content.len());
        if peer.is_reset {
            return Err(Errno::CONNRESET);
        } else if socket.arrived.is_empty() && peer.has_finished() {
            return Ok(TakenIn::Fin);
        } else if self.rng.chance(self.hostility.fault) {
            return Ok(TakenIn::Stuck);
        } else if socket.arrived.is_empty() {
            return Ok(TakenIn::Nothing);
        } else if most == 0 {
            return Ok(TakenIn::Full);
        }
        let is_short = self.rng.chance(self.hostility.short);
        let taken = if is_short { self.rng.between(1, most) } else { most };
        pipe.content.extend(socket.arrived.drain(..taken));
        socket.delivered += taken;
        self.last_progress = self.step;
        let is_all = socket.arrived.is_empty() && !self.peers[socket.peer].has_finished();
        // An urgent byte that has arrived keeps it from being said.
        let is_said = is_all && !self.rng.chance(self.hostility.fault);
        Ok(if is_said { TakenIn::All(taken) } else { TakenIn::Some(taken) })
    }

    pub(super) fn give_out(&mut self, slot: u32, held: usize) -> Result<usize, Errno> {
        let socket = self.sockets.get_mut(slot).expect("an open connection splices");
        assert!(socket.fin_sent.is_none(), "nothing is sent after FIN");
        assert!(!socket.is_sending, "a send and a splice overtake each other");
        let pipe = socket.pipe.as_mut().expect("who splices has a pipe");
        assert_eq!(held, pipe.content.len(), "the driver knows what is in the pipe");
        let most = held.min(socket.queue_capacity - socket.queue.len());
        if self.peers[socket.peer].is_reset {
            return Err(Errno::PIPE);
        }
        let is_short = self.rng.chance(self.hostility.short);
        let taken = if is_short { self.rng.between(0, most) } else { most };
        if taken == 0 {
            socket.has_changed |= is_short;
            socket.is_full = true;
            return Err(Errno::AGAIN);
        }
        socket.queue.extend(pipe.content.drain(..taken));
        Ok(taken)
    }
}
