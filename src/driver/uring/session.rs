//! The policy of the native driver, without a kernel: completions in, submissions out.
//!
//! A session never performs I/O, never reads a clock and holds no descriptor: it numbers its
//! connections by slot, and whoever carries out its submissions knows what is in a slot. So a fake
//! ring can reorder, delay and fail everything it asks for.
//!
//! One turn: give every completion to its `handle_*`, call [`Session::settle`], then carry out what
//! [`Session::poll_submission`] returns until it returns nothing.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::acceptor::Acceptor;
use super::connection::{Connection, Progress};
use super::outbox::{Outbox, Submission};
use crate::driver::slab::{Key, Slab};
use crate::driver::spill::Spill;
use crate::driver::{Account, Settings, Urgency, failure};
use crate::lifecycle::{Admission, Cause, Permit, Probe, Timers};
use crate::metrics::Counters;
use crate::sys::{Lease, Owned, Part, SendBatch, Token};

/// The state of one worker's connections and listeners.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Settings,
    admission: Arc<Admission>,
    acceptor: Acceptor,
    connections: Slab<Connection>,
    /// Connections to advance when the turn settles.
    dirty: Vec<Key>,
    timers: Timers<Key>,
    pool: Pool,
    spill: Spill,
    /// Connections that wait for a buffer, oldest first.
    parked: VecDeque<Key>,
    outbox: Outbox,
    shutdown: Option<Shutdown>,
    counters: Counters,
}

/// What the session was told of its end.
#[derive(Debug, Clone, Copy)]
struct Shutdown {
    urgency: Urgency,
    begun: Instant,
}

/// How many receive buffers no lease keeps from the kernel.
#[derive(Debug, Clone, Copy)]
struct Pool {
    total: usize,
    free: usize,
}

impl Pool {
    /// With so few buffers left, received bytes are copied out of theirs at once: peers that do
    /// not read, or do not finish their frames, can pin the rest, never the last quarter.
    fn is_scarce(self) -> bool {
        self.free < self.total.div_ceil(4)
    }
}

impl Session {
    /// A session for `listeners` listeners on a ring with `buffers` receive buffers.
    pub(crate) fn new(
        settings: Settings,
        admission: Arc<Admission>,
        listeners: usize,
        buffers: usize,
    ) -> Self {
        Self {
            settings,
            admission,
            acceptor: Acceptor::new(listeners),
            connections: Slab::new(),
            dirty: Vec::new(),
            timers: Timers::new(),
            pool: Pool { total: buffers, free: buffers },
            spill: Spill::new(settings.spill_budget),
            parked: VecDeque::new(),
            outbox: Outbox::default(),
            shutdown: None,
            counters: Counters::default(),
        }
    }

    /// Whether the session was drained and nothing is left of it.
    pub(crate) fn is_finished(&self) -> bool {
        self.shutdown.is_some() && self.connections.len() == 0 && self.acceptor.is_closed()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.acceptor.deadline()).min()
    }

    /// Whether there is more to do without anything having completed: connections wait for
    /// buffers and there are some, or the answer to a submission changed something.
    pub(crate) fn wants_turn(&self) -> bool {
        !self.dirty.is_empty() || (!self.parked.is_empty() && self.pool.free > 0)
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes in memory of our own: never more than the budget and what the core itself says.
    pub(crate) fn owned_bytes(&self) -> usize {
        self.outbox.owned.bytes()
    }

    /// An accept completed. Returns the slot of the new connection, or `None` when there is none
    /// or it is to be closed at once.
    ///
    /// The address is that of the peer, needed only where [`Admission::asks_for_address`].
    pub(crate) fn handle_accepted(
        &mut self,
        now: Instant,
        token: Token,
        more: bool,
        result: Result<Option<IpAddr>, Errno>,
    ) -> Option<u32> {
        if !more {
            self.acceptor.accept_ended(token);
        }
        match result {
            Ok(address) => return self.admit(now, address),
            Err(error) if failure::stops_accepting(error) => {
                self.counters.accept_pauses += 1;
                self.acceptor.pause(now);
            }
            Err(_) => {}
        }
        None
    }

    /// A connection was found in the queue of a listener that is about to close.
    pub(crate) fn handle_last_accepted(
        &mut self,
        now: Instant,
        address: Option<IpAddr>,
    ) -> Option<u32> {
        self.admit(now, address)
    }

    /// The queue of a listener that is to close could not be emptied.
    pub(crate) fn handle_queue_left(&mut self, now: Instant, index: u32) {
        self.counters.accept_pauses += 1;
        self.acceptor.queue_left(now, index);
    }

    /// So many connections were never accepted, because descriptors ran out to the end.
    pub(crate) fn handle_queue_dropped(&mut self, connections: usize) {
        self.counters.unaccepted += connections as u64;
    }

    /// A receive completed: with bytes, with the peer's FIN, or with an error.
    pub(crate) fn handle_received(
        &mut self,
        now: Instant,
        token: Token,
        more: bool,
        result: Result<Option<(Lease, &[u8])>, Errno>,
    ) {
        let key = key_of(token);
        let received = result.map(|received| {
            received.map(|(lease, bytes)| {
                self.pool.free -= 1;
                self.counters.bytes_received += bytes.len() as u64;
                (self.keep(now, key, lease, bytes), bytes)
            })
        });
        let connection = self.connections.get_mut(key).expect("a slot outlives its operations");
        if !more {
            connection.receiving().ended();
        }
        match received {
            Ok(Some((part, bytes))) => {
                connection.handle_received(now, part, bytes, &self.settings, &mut self.outbox);
            }
            Ok(None) => connection.handle_eof(now, &self.settings, &mut self.outbox),
            Err(Errno::NOBUFS) => {
                self.counters.buffer_waits += 1;
                connection.receiving().park();
                self.parked.push_back(key);
            }
            Err(error) => connection.handle_failure(error),
        }
        if let Some(spell) = connection.take_new_spell() {
            self.begin_spell(key, spell);
        }
        self.mark(key);
        // The core may have had something to say.
        self.make_room(now, 0);
    }

    /// A send completed and its batch came back.
    pub(crate) fn handle_sent(
        &mut self,
        now: Instant,
        token: Token,
        batch: SendBatch,
        result: Result<usize, Errno>,
    ) {
        let key = key_of(token);
        let connection = self.connections.get_mut(key).expect("a slot outlives its operations");
        let sent = connection.handle_sent(now, batch, result, &mut self.outbox);
        self.counters.bytes_sent += sent as u64;
        self.mark(key);
    }

    /// The last lease of a buffer was recycled: it is free.
    pub(crate) fn handle_buffer_returned(&mut self) {
        self.pool.free += 1;
    }

    /// The kernel answered [`Submission::Probe`].
    pub(crate) fn handle_probe(&mut self, now: Instant, slot: u32, probe: Probe) {
        let key = self.connections.key_in(slot).expect("a connection is probed while it is open");
        let connection = self.connections.get_mut(key).expect("the key was just made");
        connection.handle_probe(now, probe, &self.settings);
        self.mark(key);
    }

    /// A connection was closed while its peer had not acknowledged this many bytes.
    pub(crate) fn handle_left_behind(&mut self, account: Account, queued: usize) {
        account.settle(queued, &mut self.counters);
    }

    /// Some deadline may have passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.acceptor.handle_timeout(now);
        while let Some(key) = self.timers.pop(now) {
            let connection = self.connections.get_mut(key).expect("no entry outlives it");
            connection.alarm.went_off();
            connection.handle_timeout(now, &self.settings, &mut self.outbox);
            self.mark(key);
        }
    }

    /// Stops accepting and lets every connection finish.
    pub(crate) fn drain(&mut self, now: Instant) {
        if self.shutdown.is_some() {
            return;
        }
        self.shutdown = Some(Shutdown { urgency: Urgency::Drain, begun: now });
        let limits = self.settings.drain;
        self.acceptor.close(now, limits.accept_grace, limits.timeout);
        for key in self.connections.keys() {
            let connection = self.connections.get_mut(key).expect("keys are of connections");
            connection.drain(now, now, &self.settings, &mut self.outbox);
            self.mark(key);
        }
    }

    /// Stops accepting and ends every connection as it is.
    pub(crate) fn stop(&mut self, now: Instant) {
        self.drain(now);
        self.shutdown = Some(Shutdown { urgency: Urgency::Stop, begun: now });
        self.acceptor.close(now, Duration::ZERO, Duration::ZERO);
        for key in self.connections.keys() {
            let connection = self.connections.get_mut(key).expect("keys are of connections");
            connection.close_for(Cause::Abandoned);
            self.mark(key);
        }
    }

    /// Decides, once per turn, what the connections and listeners that something happened to do
    /// next.
    pub(crate) fn settle(&mut self, now: Instant) {
        self.unpark();
        while let Some(key) = self.dirty.pop() {
            self.advance(now, key);
        }
        self.acceptor.advance(&mut self.outbox);
    }

    /// The next thing to do.
    pub(crate) fn poll_submission(&mut self) -> Option<Submission> {
        self.outbox.pop()
    }

    fn admit(&mut self, now: Instant, address: Option<IpAddr>) -> Option<u32> {
        let permit = self.admission.admit(address);
        self.counters.count_accepted(permit);
        let permit = permit?;
        let key = self.add_connection(now, permit);
        if permit == Permit::Overflow {
            let connection = self.connections.get_mut(key).expect("just added");
            connection.refuse(now, Cause::Busy, &self.settings, &mut self.outbox);
        }
        Some(key.slot)
    }

    fn add_connection(&mut self, now: Instant, permit: Permit) -> Key {
        let settings = self.settings;
        let key = self.connections.insert_with(|key| Connection::new(key, permit, now, &settings));
        let connection = self.connections.get_mut(key).expect("just inserted");
        if let Some(shutdown) = self.shutdown {
            connection.drain(now, shutdown.begun, &settings, &mut self.outbox);
            if shutdown.urgency == Urgency::Stop {
                connection.close_for(Cause::Abandoned);
            }
        }
        self.mark(key);
        key
    }

    fn mark(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(key);
        }
    }

    /// Leaves received bytes where they are, or copies them while buffers are scarce. What does not
    /// fit costs the connections their place that have waited longest with such copies.
    fn keep(&mut self, now: Instant, key: Key, lease: Lease, bytes: &[u8]) -> Part {
        if !self.pool.is_scarce() {
            return Part::Leased(lease);
        }
        if !self.make_room(now, Owned::charge_for(bytes.len())) {
            self.evict(now, key);
            return Part::Leased(lease);
        }
        self.outbox.push(Submission::Recycle(lease));
        Part::Owned(Owned::copy_of(bytes))
    }

    /// Ends connections until `more` bytes of memory of our own fit the budget; says whether they
    /// do.
    fn make_room(&mut self, now: Instant, more: usize) -> bool {
        while !self.spill.has_room(&self.outbox.owned, more) {
            let connections = &self.connections;
            let oldest = self.spill.take_oldest(|key, spell| {
                connections.get(key).is_some_and(|connection| connection.spell() == Some(spell))
            });
            let Some(key) = oldest else { return false };
            self.evict(now, key);
        }
        true
    }

    fn evict(&mut self, now: Instant, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.counters.evicted += 1;
        connection.evict(now, &self.settings, &mut self.outbox);
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

    /// Lets as many connections receive again as there are free buffers. One that finds none left
    /// is parked anew; one that has nothing to receive leaves its buffer to the next turn.
    fn unpark(&mut self) {
        for _ in 0..self.pool.free.min(self.parked.len()) {
            let key = self.parked.pop_front().expect("no more are taken than there are");
            if let Some(connection) = self.connections.get_mut(key) {
                connection.receiving().unpark();
                self.mark(key);
            }
        }
    }

    fn advance(&mut self, now: Instant, key: Key) {
        let connection = self.connections.get_mut(key).expect("dirty connections are alive");
        connection.is_dirty = false;
        if connection.advance(now, &self.settings, &mut self.outbox) == Progress::Alive {
            let deadline = connection.deadline(&self.settings);
            self.timers.schedule(&mut connection.alarm, key, deadline);
            if let Some(spell) = connection.take_new_spell() {
                self.begin_spell(key, spell);
            }
            return;
        }
        let mut connection = self.connections.remove(key).expect("it was just advanced");
        self.timers.cancel(&mut connection.alarm, key);
        self.admission.release(connection.permit());
        self.counters.count_end(connection.lifecycle(), connection.unsent_at_end());
        self.acceptor.resume();
    }
}

fn key_of(token: Token) -> Key {
    Key { slot: token.slot, generation: token.generation }
}
