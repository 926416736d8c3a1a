//! A connection is replaced when it has carried its share of messages, or has failed.
//!
//! The life of a connection with a share: its last reply comes, it is half-closed, read to the
//! server's FIN (which anything else would come before, and be counted), and the slot's next SYN
//! is sent at once. Where the server does not play along, there is a pause before the next
//! attempt, so that a dead server costs little, and an end to attempts.

use std::mem;
use std::os::fd::AsFd;

use super::{Pace, Worker};
use crate::load::engine::connection_slot::State;
use crate::load::engine::dial::finish;
use crate::load::record::ending::Ending;
use crate::load::record::failure::{Failure, HANDSHAKE_LIMIT_S};

const HANDSHAKE_LIMIT_NS: u64 = HANDSHAKE_LIMIT_S * 1_000_000_000;

impl Worker<'_> {
    /// Half-closes a connection that has carried its share and been answered.
    pub(super) fn close_spent(&mut self, index: usize) {
        let Some(connection) = self.slots[index].connection() else { return };
        if connection.is_spent() {
            let now_ns = self.clock.now_ns();
            connection.close(now_ns);
            self.closing += 1;
            self.deadlines.set(index, now_ns.saturating_add(self.timeout_ns));
        }
    }

    /// A connection has ended. One that was no use is not replaced at once.
    pub(super) fn renew(&mut self, index: usize, was_of_use: bool) {
        if was_of_use {
            self.slots[index].succeed();
            self.dial(index);
        } else {
            self.set_back(index);
        }
    }

    pub(super) fn establish(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let State::Connecting { socket, since_ns } = mem::replace(&mut slot.state, State::Backoff)
        else {
            return;
        };
        self.deadlines.clear(index);
        self.now_ns = self.clock.now_ns();
        match finish(socket) {
            Ok(socket) => {
                self.recorder.connect(since_ns, self.now_ns);
                if matches!(self.pace, Pace::Open { .. }) {
                    self.recorder.break_silence(since_ns, slot.last_answer_ns, self.now_ns);
                    slot.last_answer_ns = Some(self.now_ns);
                }
                let mut connection = self.workload.connection(slot.number, socket);
                connection.watches_writable = true;
                slot.state = State::Open(connection);
                self.fill(index);
                self.flush(index);
            }
            Err(failure) => {
                self.recorder.wait_to_connect(since_ns, self.now_ns);
                self.fail_to_connect(index, failure);
            }
        }
    }

    /// The drain is over: a handshake of the window that is not is one that failed, as a message
    /// without its reply is lost.
    pub(super) fn give_up_connecting(&mut self, index: usize) {
        let State::Connecting { since_ns, .. } = self.slots[index].state else { return };
        self.recorder.wait_to_connect(since_ns, self.now_ns);
        if self.recorder.is_of_window(since_ns) && !self.is_aborted {
            self.recorder.fail_to_connect(Failure::Unfinished, 1);
        }
    }

    /// Open loop: a slot whose connection has ended or begun waits for nothing, until a message is
    /// due. In closed loop there is always one.
    pub(super) fn break_silence_of_closing(&mut self, index: usize) {
        let Some(connection) = self.slots[index].connection() else { return };
        if connection.closed_ns().is_some() && matches!(self.pace, Pace::Open { .. }) {
            self.now_ns = self.clock.now_ns();
            self.break_silence(index);
        }
    }

    /// Looks after slots for which nothing has happened in time.
    pub(super) fn expire(&mut self) {
        while let Some(index) = self.deadlines.take_due(self.now_ns) {
            match &self.slots[index].state {
                State::Open(_) => self.end(index, Ending::Unclosed),
                State::Connecting { .. } => self.fail_to_connect(index, Failure::TimedOut),
                State::Backoff => self.dial(index),
                State::Abandoned => {}
            }
        }
    }

    /// Begins the slot's next connection, if there is anything left for it to carry.
    fn dial(&mut self, index: usize) {
        self.now_ns = self.clock.now_ns();
        if self.is_all_sent() && self.slots[index].backlog.is_empty() {
            return;
        }
        let slot = &mut self.slots[index];
        let number = slot.next_number(self.shared.all_connections);
        match self.shared.dialer.begin(number) {
            Ok(socket) => {
                let watched = self.poller.add_connecting(socket.as_fd(), index);
                slot.state = State::Connecting { socket, since_ns: self.now_ns };
                self.deadlines.set(index, self.now_ns + HANDSHAKE_LIMIT_NS);
                if let Err(error) = watched {
                    self.fail_to_connect(index, Failure::Errno(error.raw_os_error()));
                }
            }
            Err(failure) => self.fail_to_connect(index, failure),
        }
    }

    fn fail_to_connect(&mut self, index: usize, failure: Failure) {
        self.deadlines.clear(index);
        if let State::Connecting { since_ns, .. } = self.slots[index].state {
            self.recorder.wait_to_connect(since_ns, self.now_ns);
        }
        self.recorder.fail_to_connect(failure, 1);
        self.set_back(index);
    }

    fn set_back(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        match slot.set_back() {
            Some(pause_ns) => {
                slot.state = State::Backoff;
                self.deadlines.set(index, self.clock.now_ns() + pause_ns);
            }
            None => self.abandon(index),
        }
    }
}
