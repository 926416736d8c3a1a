//! The policy of the drivers that copy what has to wait, without a kernel: what happened goes in,
//! what to do comes out.
//!
//! A session never performs I/O, never reads a clock and holds no descriptor. A driver that told it
//! of a connection carries out what [`Session::advance`] says of that one until it is to wait.
//! Connections that something else happened to, a deadline or a shutdown, are dirty: the driver
//! takes each with [`Session::next_dirty`] and advances it as well.
//!
//! Two kinds of driver use it. One that waits for readiness shows what it received and sends at
//! once ([`Session::handle_received`], [`Session::handle_sent`]). One whose operations take their
//! time announces them (`begin_*`) and tells their ends (`*_ended`): a connection that closes is
//! kept until then.

mod connection;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use self::connection::Connection;
pub(super) use self::connection::Send;
use super::slab::{Key, Slab};
use super::spill::{OwnedTotal, Spill};
use super::{Account, Manner, Settings, Urgency, failure};
use crate::lifecycle::{Accepting, Admission, Cause, Permit, Probe, Timers};
use crate::metrics::Counters;
use crate::sys::Owned;

/// Bytes of memory that a connection takes beside what waits in it: its state, its place in slabs
/// and timers. Measured with 10,000 connections after one echo each, rounded up.
pub(crate) const CONNECTION_MEMORY: usize = 2 << 10;

/// The state of one worker's connections.
#[derive(Debug)]
pub(super) struct Session {
    settings: Settings,
    admission: Arc<Admission>,
    accepting: Accepting,
    connections: Slab<Connection>,
    /// Connections to advance that nobody told of.
    dirty: Vec<Key>,
    timers: Timers<Key>,
    spill: Spill,
    owned: OwnedTotal,
    shutdown: Option<Shutdown>,
    counters: Counters,
}

/// What the session was told of its end.
#[derive(Debug, Clone, Copy)]
struct Shutdown {
    urgency: Urgency,
    begun: Instant,
}

/// What a connection needs of its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing before the socket is ready for this, or something else happens.
    Wait(Interest),
    /// Ask the kernel how the peer takes what is sent, and tell [`Session::handle_probe`].
    Probe,
    /// Send FIN.
    SendFin,
    /// End the operations in flight; one of them is a send if `is_sending`.
    Interrupt { is_sending: bool },
    /// Close the socket: the connection is gone.
    Close(Manner),
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Interest {
    pub(super) const NONE: Self = Self { read: false, write: false };
}

impl Session {
    pub(super) fn new(settings: Settings, admission: Arc<Admission>) -> Self {
        Self {
            settings,
            admission,
            accepting: Accepting::default(),
            connections: Slab::new(),
            dirty: Vec::new(),
            timers: Timers::new(),
            spill: Spill::new(settings.spill_budget),
            owned: OwnedTotal::default(),
            shutdown: None,
            counters: Counters::default(),
        }
    }

    /// Whether the session was drained, every listener is closed and every connection gone.
    pub(super) fn is_finished(&self) -> bool {
        self.accepting.is_finished() && self.connections.len() == 0
    }

    /// Whether the connection has not been closed.
    pub(super) fn is_alive(&self, key: Key) -> bool {
        self.connections.get(key).is_some()
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.accepting.deadline()).min()
    }

    pub(super) fn accepting(&self) -> &Accepting {
        &self.accepting
    }

    pub(super) fn accepting_mut(&mut self) -> &mut Accepting {
        &mut self.accepting
    }

    /// A connection was accepted, and is dirty. `None` says to close it at once.
    pub(super) fn admit(&mut self, now: Instant, address: Option<IpAddr>) -> Option<Key> {
        let permit = self.admission.admit(address);
        self.counters.count_accepted(permit);
        let permit = permit?;
        let settings = self.settings;
        let key = self.connections.insert_with(|_| Connection::new(permit, now, &settings));
        let connection = self.connections.get_mut(key).expect("just inserted");
        if let Some(shutdown) = self.shutdown {
            connection.drain(now, shutdown.begun, &settings, &mut self.owned);
            if shutdown.urgency == Urgency::Stop {
                connection.close_for(Cause::Abandoned, &mut self.owned);
            }
        }
        if permit == Permit::Overflow {
            connection.refuse(now, Cause::Busy, &settings, &mut self.owned);
        }
        self.mark(key);
        Some(key)
    }

    /// An accept failed.
    pub(super) fn handle_accept_failure(&mut self, now: Instant, error: Errno) {
        if failure::stops_accepting(error) {
            self.pause_accepting(now);
        }
    }

    /// Descriptors or memory ran out while somebody waits to be accepted.
    pub(super) fn pause_accepting(&mut self, now: Instant) {
        self.counters.accept_pauses += 1;
        self.accepting.pause(now);
    }

    /// So many connections were never accepted, because descriptors ran out to the end.
    pub(super) fn handle_queue_dropped(&mut self, connections: usize) {
        self.counters.unaccepted += connections as u64;
    }

    /// Bytes were received. What may be sent on at once is given to `send`.
    pub(super) fn handle_received(&mut self, now: Instant, key: Key, bytes: &[u8], send: Send<'_>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let sent = connection.handle_received(now, bytes, &self.settings, &mut self.owned, send);
        self.counters.bytes_received += bytes.len() as u64;
        self.counters.bytes_sent += sent as u64;
        if let Some(spell) = connection.take_new_spell() {
            self.begin_spell(key, spell);
        }
        self.make_room(now);
    }

    /// The peer's FIN arrived.
    pub(super) fn handle_eof(&mut self, now: Instant, key: Key) {
        self.with(key, |connection, settings, owned| connection.handle_eof(now, settings, owned));
    }

    /// An operation failed.
    pub(super) fn handle_failure(&mut self, key: Key, error: Errno) {
        self.with(key, |connection, _, _| connection.handle_failure(error));
    }

    /// The driver begins a receive.
    pub(super) fn begin_receive(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.begin_receive();
        }
    }

    /// A receive that was begun ended without bytes and without the peer's FIN.
    pub(super) fn receive_ended(&mut self, key: Key, error: Errno) {
        self.with(key, |connection, _, _| {
            connection.receive_ended();
            connection.handle_failure(error);
        });
    }

    /// Takes the front of what waits, for a send whose end will be told.
    pub(super) fn begin_send(&mut self, key: Key) -> Option<Owned> {
        self.connections.get_mut(key)?.begin_send()
    }

    /// A send that was begun ended.
    pub(super) fn send_ended(
        &mut self,
        now: Instant,
        key: Key,
        part: Owned,
        result: Result<usize, Errno>,
    ) {
        let connection = self.connections.get_mut(key).expect("it outlives its operations");
        let sent = connection.send_ended(now, part, result, &mut self.owned);
        self.counters.bytes_sent += sent as u64;
    }

    /// What waits to be sent, from the front.
    pub(super) fn outgoing(&self, key: Key) -> impl Iterator<Item = &[u8]> {
        self.connections.get(key).into_iter().flat_map(Connection::outgoing)
    }

    /// The front of what waited was sent.
    pub(super) fn handle_sent(&mut self, now: Instant, key: Key, sent: usize) {
        self.counters.bytes_sent += sent as u64;
        self.with(key, |connection, _, owned| connection.handle_sent(now, sent, owned));
    }

    /// The kernel answered [`Act::Probe`].
    pub(super) fn handle_probe(&mut self, now: Instant, key: Key, probe: Probe) {
        self.with(key, |connection, settings, _| connection.handle_probe(now, probe, settings));
    }

    /// A connection was closed while its peer had not acknowledged this many bytes.
    pub(super) fn handle_left_behind(&mut self, account: Account, queued: usize) {
        account.settle(queued, &mut self.counters);
    }

    /// Some deadline may have passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.accepting.handle_timeout(now);
        while let Some(key) = self.timers.pop(now) {
            self.with(key, |connection, settings, owned| {
                connection.alarm.went_off();
                connection.handle_timeout(now, settings, owned);
            });
            self.mark(key);
        }
    }

    /// Stops accepting and lets every connection finish.
    pub(super) fn drain(&mut self, now: Instant) {
        if self.shutdown.is_some() {
            return;
        }
        self.shutdown = Some(Shutdown { urgency: Urgency::Drain, begun: now });
        let limits = self.settings.drain;
        self.accepting.close(now, limits.accept_grace, limits.timeout);
        for key in self.connections.keys() {
            self.with(key, |connection, settings, owned| {
                connection.drain(now, now, settings, owned);
            });
            self.mark(key);
        }
    }

    /// Stops accepting and ends every connection as it is.
    pub(super) fn stop(&mut self, now: Instant) {
        self.drain(now);
        self.shutdown = Some(Shutdown { urgency: Urgency::Stop, begun: now });
        self.accepting.close(now, Duration::ZERO, Duration::ZERO);
        for key in self.connections.keys() {
            self.with(key, |connection, _, owned| connection.close_for(Cause::Abandoned, owned));
            self.mark(key);
        }
    }

    /// A connection that something happened to which nobody told of.
    pub(super) fn next_dirty(&mut self) -> Option<Key> {
        while let Some(key) = self.dirty.pop() {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.is_dirty = false;
                return Some(key);
            }
        }
        None
    }

    /// What a connection needs next. To be asked again until it is to wait, or is gone.
    pub(super) fn advance(&mut self, now: Instant, key: Key) -> Act {
        let Some(connection) = self.connections.get_mut(key) else {
            return Act::Wait(Interest::NONE);
        };
        let act = connection.advance(now, &self.settings, &mut self.owned);
        if let Act::Close(_) = act {
            self.remove(key);
        } else {
            let deadline = connection.deadline(&self.settings);
            self.timers.schedule(&mut connection.alarm, key, deadline);
            if let Some(spell) = connection.take_new_spell() {
                self.begin_spell(key, spell);
            }
        }
        act
    }

    /// Does something to a connection, if it is still there.
    fn with(&mut self, key: Key, act: impl FnOnce(&mut Connection, &Settings, &mut OwnedTotal)) {
        if let Some(connection) = self.connections.get_mut(key) {
            act(connection, &self.settings, &mut self.owned);
        }
    }

    fn mark(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(key);
        }
    }

    fn remove(&mut self, key: Key) {
        let mut connection = self.connections.remove(key).expect("it was just advanced");
        self.timers.cancel(&mut connection.alarm, key);
        self.admission.release(connection.permit());
        self.counters.count_end(connection.lifecycle(), connection.unsent_at_end());
        self.accepting.resume();
    }

    /// Ends the connections that have waited longest until what waits fits the budget.
    fn make_room(&mut self, now: Instant) {
        while !self.spill.has_room(&self.owned, 0) {
            let connections = &self.connections;
            let oldest = self.spill.take_oldest(|key, spell| {
                connections.get(key).is_some_and(|connection| connection.spell() == Some(spell))
            });
            let Some(key) = oldest else { return };
            self.evict(now, key);
        }
    }

    fn evict(&mut self, now: Instant, key: Key) {
        self.counters.evicted += 1;
        self.with(key, |connection, settings, owned| connection.evict(now, settings, owned));
        self.mark(key);
    }

    /// Keeps in mind who has had bytes of its own in memory since when.
    fn begin_spell(&mut self, key: Key, spell: u32) {
        self.spill.begin(key, spell);
        let connections = &self.connections;
        self.spill.tidy(connections.len(), |key, spell| {
            connections.get(key).is_some_and(|connection| connection.spell() == Some(spell))
        });
    }
}
