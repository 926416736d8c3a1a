//! Bulk past memory: a connection's bytes go through a pipe by plain system calls, when the ring has
//! reported that they may get somewhere.

use std::time::Instant;

use super::kernel::Kernel;
use super::{ADVANCED, Driver};
use crate::driver::TakenIn;
use crate::driver::connection::Interest;
use crate::driver::slab::Key;
use crate::protocol::Protocol;

/// Splices of one connection before the others have their turn.
pub(super) const SPLICES_PER_TURN: usize = 2;

/// A splice that may get somewhere.
#[derive(Debug, Clone, Copy)]
pub(super) enum Splice {
    In,
    /// Of so many bytes in the pipe.
    Out(usize),
}

impl<P: Protocol, K: Kernel> Driver<P, K> {
    /// Gives a connection a pipe that would pay, takes back one that is done with; returns how its
    /// bytes can go on through the one that it has.
    pub(super) fn next_splice(&mut self, key: Key, interest: Interest) -> Option<Splice> {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        if connection.splicing().is_copying() {
            return None;
        }
        if connection.wants_pipe() && !connection.transport.receiving.is_in_flight() {
            let is_there = self.kernel.give_pipe(key.slot);
            connection.transport.readiness.begin();
            self.connections.handle_pipe(key, is_there);
        }
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        let (splicing, readiness) = (connection.splicing(), &connection.transport.readiness);
        let held = splicing.held();
        if splicing.is_over() {
            self.take_pipe_back(key);
            None
        } else if held > 0 && readiness.may_give_out {
            Some(Splice::Out(held))
        } else if interest.read && connection.takes_in() && readiness.may_take_in {
            Some(Splice::In)
        } else {
            None
        }
    }

    fn take_pipe_back(&mut self, key: Key) {
        let connection = self.connections.get_mut(key).expect(ADVANCED);
        connection.end_splicing();
        self.kernel.take_pipe_back(key.slot, true);
    }

    /// Moves bytes into the pipe or out of it.
    pub(super) fn splice(&mut self, now: Instant, key: Key, splice: Splice) {
        match splice {
            Splice::In => self.splice_in(now, key),
            Splice::Out(held) => self.splice_out(now, key, held),
        }
    }

    fn splice_out(&mut self, now: Instant, key: Key, held: usize) {
        let result = self.kernel.splice_out(key.slot, held);
        self.operations(key).readiness.may_give_out = result.is_ok();
        match result {
            Ok(length) => self.connections.handle_spliced_out(now, key, length),
            Err(error) => self.connections.handle_failure(key, error),
        }
    }

    /// Where the pipe is full the socket is as well, or the pipe would have been emptied before: the
    /// peer does not read, and may send as much as is kept of one whose bytes are copied.
    fn splice_in(&mut self, now: Instant, key: Key) {
        match self.kernel.splice_in(key.slot) {
            Ok(TakenIn::Some(length)) => self.connections.handle_spliced_in(now, key, length),
            Ok(TakenIn::All(length)) => {
                self.operations(key).readiness.may_take_in = false;
                self.connections.handle_spliced_in(now, key, length);
            }
            Ok(TakenIn::Nothing) => self.operations(key).readiness.may_take_in = false,
            Ok(TakenIn::Full | TakenIn::Stuck) => self.connections.leave_pipe(key),
            Ok(TakenIn::Fin) => self.connections.handle_eof(key),
            Err(error) => self.connections.handle_failure(key, error),
        }
    }
}
