//! The traffic of a slot's connection, from its messages to its end.

use std::mem;

use super::{Pace, Worker};
use crate::load::engine::connection_slot::{ConnectionSlot, State};
use crate::load::record::ending::Ending;

/// Reads from one connection before the others have their turn: one maximal burst of a
/// connection, 512 KiB, does not starve them.
const READS_PER_TURN: usize = 8;
/// Messages that may wait to be recorded. Recording many at once keeps the histograms out of the
/// way of the sockets, and finds them in the cache.
const UNRECORDED_LIMIT: usize = 256;
/// One reply of so many bytes is checked in less time than it takes to read the clock twice: what
/// goes out next counts from when it came.
const CHECKED_AT_ONCE: usize = 1 << 10;

impl Worker<'_> {
    /// Reads what arrived, to the end if it has ended, and sends what that makes room for.
    pub(super) fn receive(&mut self, index: usize, has_ended: bool) {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.slots[index].connection() else { return };
            let length = match connection.read(&mut self.buffer) {
                Ok(Some(length)) => length,
                Ok(None) => return,
                Err(ending) => return self.end(index, ending),
            };
            self.now_ns = self.clock.now_ns();
            let received_ns = self.now_ns;
            let received = connection.check(&self.buffer[..length], self.workload);
            if received.completed > 0 {
                self.break_silence(index);
            }
            let Some(connection) = self.slots[index].connection() else { return };
            let answered = connection.take_answered(received.completed);
            self.answered.extend(answered.map(|sent| (sent, received_ns)));
            self.in_flight -= received.completed;
            self.recorder.totals.corrupted += received.corrupted as u64;
            self.recorder.totals.bytes_received += length as u64;
            match received.ending {
                None => {
                    if received.completed > 1 || length > CHECKED_AT_ONCE {
                        self.now_ns = self.clock.now_ns();
                    }
                    self.fill(index);
                    self.close_spent(index);
                }
                Some(Ending::GoAway) => self.leave(index),
                Some(ending) => self.end(index, ending),
            }
            if self.answered.len() >= UNRECORDED_LIMIT {
                self.record();
            }
            if length < self.buffer.len() && !has_ended {
                return;
            }
        }
        self.leave_rest(index);
    }

    /// There may be more to read; the others have their turn first.
    fn leave_rest(&mut self, index: usize) {
        let Some(connection) = self.slots[index].connection() else { return };
        if connection.watches_writable {
            return;
        }
        if let Err(error) = self.poller.report_rest(connection.fd(), index) {
            self.end(index, Ending::of_socket(error));
        }
    }

    /// Sends into the connection's room: in closed loop always until the end, in open loop
    /// what waits. The clock has just been read.
    pub(super) fn fill(&mut self, index: usize) {
        loop {
            let ConnectionSlot { state: State::Open(connection), backlog, .. } =
                &mut self.slots[index]
            else {
                return;
            };
            let backlog = match &self.pace {
                Pace::Closed if self.now_ns < self.end_ns => None,
                Pace::Closed => return,
                Pace::Open { .. } => Some(backlog),
            };
            let messages = connection.fill(backlog, self.now_ns, self.workload);
            if messages == 0 {
                return;
            }
            let is_full = connection.is_full();
            self.in_flight += messages;
            self.recorder.totals.sent += messages as u64;
            match &self.pace {
                Pace::Closed => self.recorder.intend(self.now_ns, messages),
                Pace::Open { spin_ns, .. } => {
                    self.backlog -= messages;
                    self.poll_until_ns = self.now_ns.saturating_add(*spin_ns);
                }
            }
            self.flush(index);
            if is_full {
                return;
            }
            self.now_ns = self.clock.now_ns();
        }
    }

    /// Gives the socket what it takes, and asks to be told when it takes more.
    pub(super) fn flush(&mut self, index: usize) {
        let Some(connection) = self.slots[index].connection() else { return };
        let outcome = connection.flush(self.workload).and_then(|bytes| {
            self.recorder.totals.bytes_sent += bytes as u64;
            let has_unsent = connection.has_unsent();
            if connection.watches_writable != has_unsent {
                connection.watches_writable = has_unsent;
                self.poller.watch_writable(connection.fd(), index, has_unsent)?;
            }
            Ok(())
        });
        if let Err(error) = outcome {
            self.end(index, Ending::of_socket(error));
        }
    }

    /// The server asked the connection to finish.
    fn leave(&mut self, index: usize) {
        let Some(connection) = self.slots[index].connection() else { return };
        if connection.is_leaving() {
            return;
        }
        connection.leave();
        self.recorder.end(Ending::GoAway);
        if !self.is_reconnecting {
            self.forget_backlog(index);
        }
    }

    /// The connection is over: what is in flight on it is lost.
    pub(super) fn end(&mut self, index: usize, ending: Ending) {
        self.break_silence_of_closing(index);
        let Some(connection) = self.slots[index].take_connection() else { return };
        self.deadlines.clear(index);
        self.closing -= usize::from(connection.closed_ns().is_some());
        self.in_flight -= connection.in_flight();
        self.recorder.totals.lost += connection.in_flight() as u64;
        let has_finished =
            self.now_ns >= self.end_ns && connection.in_flight() == 0 && !connection.is_leaving();
        if !connection.expects(ending) && !has_finished {
            self.recorder.end(ending);
        }
        if let Some(since_ns) = connection.closed_ns()
            && ending == Ending::Closed
        {
            self.recorder.close(since_ns, self.clock.now_ns());
        }
        self.recorder.transport.retransmitted_segments += connection.retransmitted_segments();
        let was_of_use = connection.was_answered();
        // Its descriptor is free before another is needed.
        drop(connection);
        if self.is_reconnecting {
            self.renew(index, was_of_use);
        } else {
            self.abandon(index);
        }
    }

    /// The slot has no connection and will have none: what waits is never sent.
    pub(super) fn abandon(&mut self, index: usize) {
        self.slots[index].state = State::Abandoned;
        self.alive -= 1;
        self.forget_backlog(index);
    }

    fn forget_backlog(&mut self, index: usize) {
        let unsent = mem::take(&mut self.slots[index].backlog).len();
        self.backlog -= unsent;
        self.recorder.totals.unsent += unsent as u64;
    }
}
