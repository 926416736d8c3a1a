//! All connections of a worker, whatever its driver: admission, turns, deadlines, memory, shutdown,
//! counters.
//!
//! Nothing here performs I/O, reads a clock or holds a descriptor. A driver reports what happened
//! to a connection, which makes it dirty; once per turn it takes each dirty connection with
//! [`Connections::next_dirty`] and does what [`Connections::advance`] answers until that is to
//! wait. When a socket is closed it calls [`Connections::remove`].

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tracing::debug;

use super::buffers::Buffers;
use super::connection::{Action, Connection};
use super::slab::{Key, Slab};
use super::spill::Spill;
use super::{Settings, Urgency, Worker, failure};
use crate::lifecycle::{Accepting, Admission, Cause, Permit, Probe, Timers, earliest};
use crate::metrics::{Counters, Gauges, Published};
use crate::protocol::Protocol;
use crate::sys::{Parts, Stretch};

/// The connections of one worker. `L` is a lease of its buffers, `T` what its driver knows of a
/// socket.
#[derive(Debug)]
pub(super) struct Connections<P: Protocol, L, T> {
    protocol: P,
    settings: Settings,
    admission: Arc<Admission>,
    accepting: Accepting,
    slab: Slab<Connection<P::Connection, L, T>>,
    dirty: VecDeque<Key>,
    /// Those whose budget ended before their work.
    next_turn: Vec<Key>,
    timers: Timers<Key>,
    spill: Spill,
    shutdown: Option<Shutdown>,
    counters: Counters,
    published: Arc<Published>,
}

/// A shutdown, once the worker knows of it.
#[derive(Debug, Clone, Copy)]
struct Shutdown {
    urgency: Urgency,
    started: Instant,
}

/// Looks at what had arrived by the time a deadline was due.
#[derive(Debug)]
pub(super) struct OverdueWork {
    /// The deadlines up to here are acted on, whatever the time is when the work is done.
    pub(super) due: Instant,
    passes: usize,
}

/// Looks beyond those that every connection needs, for what a second receive brings.
const SPARE_PASSES: usize = 4;
/// How late busy peers may make a deadline: what arrived later than this is not waited for.
const MAX_LATENESS: Duration = Duration::from_millis(100);

impl OverdueWork {
    /// Returns whether to poll once more.
    pub(super) fn goes_on(&mut self, now: Instant) -> bool {
        let may_go_on = self.passes > 0 && now < self.due + MAX_LATENESS;
        self.passes = self.passes.saturating_sub(1);
        may_go_on
    }
}

impl<P: Protocol, L: Stretch, T> Connections<P, L, T> {
    pub(super) fn new(protocol: P, settings: Settings, admission: Arc<Admission>) -> Self {
        Self {
            protocol,
            settings,
            admission,
            accepting: Accepting::new(settings.inherits_listeners),
            slab: Slab::new(),
            dirty: VecDeque::new(),
            next_turn: Vec::new(),
            timers: Timers::new(),
            spill: Spill::new(settings.spill_budget),
            shutdown: None,
            counters: Counters::default(),
            published: Arc::default(),
        }
    }

    /// The connections of a worker that begins.
    pub(super) fn of(worker: &Worker<P>) -> Self {
        let (protocol, admission) = (worker.protocol.clone(), Arc::clone(&worker.admission));
        let mut connections = Self::new(protocol, worker.settings, admission);
        connections.publish_to(Arc::clone(&worker.published));
        connections
    }

    /// From now on others read counts and signs of life here.
    pub(super) fn publish_to(&mut self, published: Arc<Published>) {
        self.published = published;
    }

    /// Shows others these counts, which are its own or hold them.
    pub(super) fn publish(&self, counters: &Counters, buffers_free: usize) {
        let spilled_bytes = self.spilled_bytes();
        self.published.store(counters, Gauges { spilled_bytes, buffers_free, has_ended: false });
    }

    /// Number of connections.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Returns whether the worker was shut down, every listener is closed and every connection
    /// gone.
    pub(super) fn is_finished(&self) -> bool {
        self.accepting.is_finished() && self.slab.len() == 0
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        earliest(self.timers.next(), self.accepting.deadline())
    }

    /// Returns the work to be seen before a deadline that is due now is acted on, where a driver
    /// sees the work of `per_pass` connections with one look: the process may have stood still, and
    /// its peers were in time.
    pub(super) fn overdue_work(&self, due: Instant, per_pass: usize) -> Option<OverdueWork> {
        let passes = self.slab.len() / per_pass + SPARE_PASSES;
        self.deadline().filter(|deadline| *deadline <= due).map(|_| OverdueWork { due, passes })
    }

    /// Returns whether some connection has something to do although nothing happened.
    pub(super) fn has_work(&self) -> bool {
        !self.dirty.is_empty() || !self.next_turn.is_empty()
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    pub(super) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Bytes in memory of our own.
    pub(super) fn spilled_bytes(&self) -> usize {
        self.spill.total()
    }

    pub(super) fn accepting(&self) -> &Accepting {
        &self.accepting
    }

    pub(super) fn accepting_mut(&mut self) -> &mut Accepting {
        &mut self.accepting
    }

    /// A connection, unless it is gone.
    pub(super) fn get(&self, key: Key) -> Option<&Connection<P::Connection, L, T>> {
        self.slab.get(key)
    }

    /// A connection, unless it is gone.
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Connection<P::Connection, L, T>> {
        self.slab.get_mut(key)
    }

    /// A connection was accepted. `None`: close it at once.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        address: Option<IpAddr>,
        transport: T,
        buffers: &mut impl Buffers<Lease = L>,
    ) -> Option<Key> {
        let decision = self.admission.admit(address);
        self.counters.count_accepted(decision);
        let (permit, settings) = (decision.permit?, self.settings);
        let core = self.protocol.connection();
        let key = self.slab.insert(Connection::new(transport, permit, core, now));
        let connection = self.slab.get_mut(key).expect("just inserted");
        if let Some(shutdown) = self.shutdown {
            connection.drain(now, shutdown.started, &settings, buffers);
            if shutdown.urgency == Urgency::Stop {
                connection.abandon(now, &settings, buffers);
            }
        }
        if permit == Permit::Overflow {
            connection.refuse(now, Cause::Busy, &settings, buffers);
        }
        debug!(slot = key.slot, "connection {} accepted", key.slot);
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

    /// Bytes were received.
    pub(super) fn handle_received(
        &mut self,
        now: Instant,
        key: Key,
        lease: L,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        self.counters.bytes_received += lease.len() as u64;
        let connection = self.slab.get_mut(key).expect("who receives is there");
        connection.handle_received(now, lease, &self.settings, buffers);
        self.mark(key);
    }

    /// The peer's FIN arrived.
    pub(super) fn handle_eof(&mut self, key: Key) {
        self.with(key, |connection, _| connection.handle_eof());
    }

    /// An operation failed.
    pub(super) fn handle_failure(&mut self, key: Key, error: Errno) {
        self.with(key, |connection, _| connection.handle_failure(error));
    }

    /// A send of parts that were taken ended.
    pub(super) fn handle_sent(
        &mut self,
        now: Instant,
        key: Key,
        parts: Parts<L>,
        result: Result<usize, Errno>,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        let connection = self.slab.get_mut(key).expect("who sends is there");
        let sent = connection.handle_sent(now, parts, result, buffers);
        self.counters.bytes_sent += sent as u64;
        self.mark(key);
    }

    /// A connection that wants a pipe has one now, or there is none for it.
    pub(super) fn handle_pipe(&mut self, key: Key, is_there: bool) {
        self.counters.pipes += u64::from(is_there);
        self.with(key, |connection, _| connection.handle_pipe(is_there));
    }

    /// A connection goes back to receiving what arrives, once its pipe is empty.
    pub(super) fn leave_pipe(&mut self, key: Key) {
        self.with(key, |connection, _| connection.leave_pipe());
    }

    /// Bytes went into a connection's pipe.
    pub(super) fn handle_spliced_in(&mut self, now: Instant, key: Key, length: usize) {
        self.counters.bytes_received += length as u64;
        self.counters.splices += 1;
        self.with(key, |connection, settings| {
            connection.handle_spliced_in(now, length, settings);
        });
    }

    /// Bytes went out of a connection's pipe to its peer.
    pub(super) fn handle_spliced_out(&mut self, now: Instant, key: Key, length: usize) {
        self.counters.bytes_sent += length as u64;
        self.counters.splices += 1;
        self.with(key, |connection, _| connection.handle_spliced_out(now, length));
    }

    /// The kernel answered a probe.
    pub(super) fn handle_probe(&mut self, now: Instant, key: Key, probe: Probe) {
        self.with(key, |connection, settings| connection.handle_probe(now, probe, settings));
    }

    /// Something happened to a connection that changes what it has to do.
    pub(super) fn mark(&mut self, key: Key) {
        let Some(connection) = self.slab.get_mut(key) else { return };
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push_back(key);
        }
    }

    /// A connection is not done, but it is the turn of others.
    pub(super) fn leave_to_next_turn(&mut self, key: Key) {
        self.next_turn.push(key);
    }

    /// Some deadline may have passed. What arrived before `now` has been reported.
    pub(super) fn handle_timeout(&mut self, now: Instant, buffers: &mut impl Buffers<Lease = L>) {
        self.accepting.handle_timeout(now);
        while let Some(key) = self.timers.pop(now) {
            let Some(connection) = self.slab.get_mut(key) else { continue };
            connection.alarm.went_off();
            connection.handle_timeout(now, &self.settings, buffers);
            connection.account(&mut self.spill, now, key);
            self.mark(key);
            // What waits may have become more: one after the other, not all at once.
            self.make_room(now, buffers);
        }
    }

    /// Shuts down: see [`drain`](Self::drain) and [`stop`](Self::stop).
    pub(super) fn shut_down(
        &mut self,
        now: Instant,
        urgency: Urgency,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        match urgency {
            Urgency::Drain => self.drain(now, buffers),
            Urgency::Stop => self.stop(now, buffers),
        }
    }

    /// Stops accepting and lets every connection finish.
    fn drain(&mut self, now: Instant, buffers: &mut impl Buffers<Lease = L>) {
        if self.shutdown.is_some() {
            return;
        }
        self.shutdown = Some(Shutdown { urgency: Urgency::Drain, started: now });
        let limits = self.settings.drain;
        self.accepting.close(now, limits.accept_grace, limits.timeout);
        for key in self.slab.keys() {
            self.with(key, |connection, settings| connection.drain(now, now, settings, buffers));
        }
    }

    /// Stops accepting and ends every connection as it is.
    fn stop(&mut self, now: Instant, buffers: &mut impl Buffers<Lease = L>) {
        self.drain(now, buffers);
        self.shutdown = Some(Shutdown { urgency: Urgency::Stop, started: now });
        self.accepting.close(now, Duration::ZERO, Duration::ZERO);
        for key in self.slab.keys() {
            self.with(key, |connection, settings| connection.abandon(now, settings, buffers));
        }
    }

    /// A turn begins: those that were left over have theirs.
    pub(super) fn begin_turn(&mut self) {
        self.counters.turns += 1;
        self.published.beat();
        for key in std::mem::take(&mut self.next_turn) {
            self.mark(key);
        }
    }

    /// A connection to advance.
    pub(super) fn next_dirty(&mut self) -> Option<Key> {
        while let Some(key) = self.dirty.pop_front() {
            if let Some(connection) = self.slab.get_mut(key)
                && std::mem::take(&mut connection.is_dirty)
            {
                // A turn through thousands of busy connections takes a while.
                self.published.beat();
                return Some(key);
            }
        }
        None
    }

    /// Returns what a connection needs next.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        key: Key,
        buffers: &mut impl Buffers<Lease = L>,
    ) -> Option<Action> {
        let connection = self.slab.get_mut(key)?;
        if self.spill.is_half_full() {
            connection.extend_turn();
        }
        Some(connection.advance(now, &self.settings, buffers))
    }

    /// A connection has had its turn: what waits in it is kept, its deadline and memory are known.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        key: Key,
        is_reading: bool,
        buffers: &mut impl Buffers<Lease = L>,
    ) {
        let Some(connection) = self.slab.get_mut(key) else { return };
        connection.end_turn(now, is_reading, buffers);
        self.counters.count_frames(connection.take_tally());
        let deadline = connection.deadline(&self.settings);
        self.timers.schedule(&mut connection.alarm, key, deadline);
        connection.account(&mut self.spill, now, key);
        if connection.has_work_left() {
            self.leave_to_next_turn(key);
        }
        self.make_room(now, buffers);
    }

    /// A connection's socket was closed while its peer had not acknowledged so many bytes that are
    /// accounted for, our FIN among them.
    pub(super) fn remove(&mut self, now: Instant, key: Key, unacknowledged: usize) -> T {
        let mut connection = self.slab.remove(key).expect("it was there to be closed");
        connection.account(&mut self.spill, now, key);
        assert!(connection.charge() == 0, "a connection that is gone keeps nothing");
        self.timers.cancel(&mut connection.alarm, key);
        self.admission.release(connection.permit());
        let in_kernel = connection.lifecycle().echo_among(unacknowledged);
        let undelivered = connection.unsent_at_end() + in_kernel;
        self.counters.count_frames(connection.take_tally());
        self.counters.count_end(connection.lifecycle(), undelivered);
        self.accepting.resume();
        if let Some(cause) = connection.lifecycle().cause() {
            debug!(slot = key.slot, ?cause, "connection {} closed: {cause:?}", key.slot);
        }
        connection.transport
    }

    fn with(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut Connection<P::Connection, L, T>, &Settings),
    ) {
        let Some(connection) = self.slab.get_mut(key) else { return };
        act(connection, &self.settings);
        self.mark(key);
    }

    /// Ends connections until what is kept fits the budget, or nothing more can be freed now.
    fn make_room(&mut self, now: Instant, buffers: &mut impl Buffers<Lease = L>) {
        while self.spill.is_over_budget() {
            let Some(key) = self.spill.worst(now) else { return };
            let connection = self.slab.get_mut(key).expect("who keeps bytes is there");
            connection.evict(now, &self.settings, buffers);
            connection.account(&mut self.spill, now, key);
            self.mark(key);
        }
    }
}

#[cfg(test)]
mod tests;
