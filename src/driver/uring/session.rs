//! The policy of the native driver, without a kernel: completions in, submissions out.
//!
//! A session never performs I/O, never reads a clock and holds no descriptor: it numbers its
//! connections by slot, and whoever carries out its submissions knows what is in a slot. So a fake
//! ring can reorder, delay and fail everything it asks for.
//!
//! One turn: give every completion to its `handle_*`, call [`Session::settle`], then carry out what
//! [`Session::poll_submission`] returns until it returns nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;

use super::connection::{Connection, Progress, Submissions};
use super::slab::{Key, Slab};
use crate::driver::Settings;
use crate::lifecycle::Timers;
use crate::metrics::Counters;
use crate::sys::{Lease, Operation, Part, SendBatch, Token};

/// What a session asks for, to be carried out in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Submission {
    /// Accept connections of the listener in the token's slot until cancelled.
    Accept(Token),
    /// Receive on the connection in the token's slot until cancelled.
    Receive(Token),
    /// Send a batch on the connection in the token's slot.
    Send(Token, SendBatch),
    /// End the submission with this token.
    Cancel(Token),
    /// Send FIN.
    ShutdownWrite { slot: u32 },
    /// Close the connection in this slot; nothing is in flight for it.
    Close { slot: u32 },
    /// Close this listener; nothing is in flight for it.
    CloseListener { index: u32 },
    /// Give received bytes up.
    Recycle(Lease),
}

/// The state of one worker's connections and listeners.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Settings,
    listeners: Vec<Accept>,
    accept_again: Option<Instant>,
    connections: Slab<Connection>,
    /// Connections to advance when the turn settles.
    dirty: Vec<Key>,
    timers: Timers<Key>,
    pool: Pool,
    /// Connections that wait for a buffer, oldest first.
    parked: VecDeque<Key>,
    submissions: Submissions,
    is_draining: bool,
    counters: Counters,
}

/// A listener's multishot accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accept {
    Idle,
    Armed,
    Cancelling,
    Closed,
}

/// How many receive buffers the kernel has.
#[derive(Debug, Clone, Copy)]
struct Pool {
    total: usize,
    free: usize,
}

impl Pool {
    /// With so few buffers left, received bytes that have to wait are copied out of theirs at
    /// once: peers that do not read can pin the rest, never the last quarter.
    fn is_scarce(self) -> bool {
        self.free < self.total.div_ceil(4)
    }
}

/// How long accepting pauses when descriptors or memory ran out and no connection closes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// A session for `listeners` listeners on a ring with `buffers` receive buffers.
    pub(crate) fn new(settings: Settings, listeners: usize, buffers: usize) -> Self {
        Self {
            settings,
            listeners: vec![Accept::Idle; listeners],
            accept_again: None,
            connections: Slab::new(),
            dirty: Vec::new(),
            timers: Timers::new(),
            pool: Pool { total: buffers, free: buffers },
            parked: VecDeque::new(),
            submissions: VecDeque::new(),
            is_draining: false,
            counters: Counters::default(),
        }
    }

    /// Whether the session was drained and nothing is left of it.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_draining
            && self.connections.len() == 0
            && self.listeners.iter().all(|accept| *accept == Accept::Closed)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.accept_again).min()
    }

    /// Whether there is more to submit without anything having completed: connections wait for
    /// buffers, and there are some.
    pub(crate) fn wants_turn(&self) -> bool {
        !self.parked.is_empty() && self.pool.free > 0
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// An accept completed. Returns the slot of the new connection, if there is one.
    pub(crate) fn handle_accepted(
        &mut self,
        now: Instant,
        token: Token,
        more: bool,
        result: Result<(), Errno>,
    ) -> Option<u32> {
        if !more {
            self.listeners[token.slot as usize] = Accept::Idle;
        }
        match result {
            Ok(()) => return Some(self.add_connection(now)),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                self.counters.accept_pauses += 1;
                self.accept_again = Some(now + ACCEPT_PAUSE);
            }
            Err(_) => {}
        }
        None
    }

    /// A receive completed: with bytes, with the peer's FIN, or with an error.
    pub(crate) fn handle_received(
        &mut self,
        now: Instant,
        token: Token,
        more: bool,
        result: Result<Option<(Lease, &[u8])>, Errno>,
    ) {
        if let Ok(Some(_)) = result {
            self.pool.free -= 1;
        }
        let scarce = self.pool.is_scarce();
        let Some(connection) = self.connections.get_mut(key_of(token)) else {
            debug_assert!(false, "a slot is freed after its last completion: {token:?}");
            return;
        };
        if !more {
            connection.receive_ended();
        }
        let (settings, submissions) = (&self.settings, &mut self.submissions);
        match result {
            Ok(Some((lease, bytes))) => {
                self.counters.bytes_received += bytes.len() as u64;
                let part = if scarce {
                    submissions.push_back(Submission::Recycle(lease));
                    Part::Owned(Bytes::copy_from_slice(bytes))
                } else {
                    Part::Leased(lease)
                };
                connection.handle_received(now, part, bytes, settings, submissions);
            }
            Ok(None) => connection.handle_eof(now, settings, submissions),
            Err(Errno::NOBUFS) => {
                self.counters.buffer_waits += 1;
                connection.park();
                self.parked.push_back(connection.key());
            }
            Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
            Err(_) => connection.handle_failure(),
        }
        self.mark(key_of(token));
    }

    /// A send completed and its batch came back.
    pub(crate) fn handle_sent(
        &mut self,
        now: Instant,
        token: Token,
        batch: SendBatch,
        result: Result<usize, Errno>,
    ) {
        let Some(connection) = self.connections.get_mut(key_of(token)) else {
            debug_assert!(false, "a slot is freed after its last completion: {token:?}");
            return;
        };
        let sent =
            connection.handle_sent(now, batch, result, &self.settings, &mut self.submissions);
        self.counters.bytes_sent += sent as u64;
        self.mark(key_of(token));
    }

    /// The last lease of a buffer was recycled: the kernel has it again.
    pub(crate) fn handle_buffer_returned(&mut self) {
        self.pool.free += 1;
    }

    /// Some deadline may have passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.accept_again.is_some_and(|time| time <= now) {
            self.accept_again = None;
        }
        while let Some((time, key)) = self.timers.pop(now) {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if connection.alarm.take_if(time) {
                connection.handle_timeout(now, &self.settings, &mut self.submissions);
                self.mark(key);
            }
        }
    }

    /// Stops accepting and lets every connection finish.
    pub(crate) fn drain(&mut self, now: Instant) {
        if self.is_draining {
            return;
        }
        self.is_draining = true;
        for key in self.connections.keys() {
            let connection = self.connections.get_mut(key).expect("keys are of connections");
            connection.drain(now, &self.settings, &mut self.submissions);
            self.mark(key);
        }
    }

    /// Stops accepting and ends every connection as it is.
    pub(crate) fn stop(&mut self) {
        self.is_draining = true;
        for key in self.connections.keys() {
            self.connections.get_mut(key).expect("keys are of connections").abandon();
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
        for index in 0..self.listeners.len() {
            self.advance_listener(index);
        }
    }

    /// The next thing to do.
    pub(crate) fn poll_submission(&mut self) -> Option<Submission> {
        self.submissions.pop_front()
    }

    fn add_connection(&mut self, now: Instant) -> u32 {
        self.counters.accepted += 1;
        let settings = self.settings;
        let key = self.connections.insert_with(|key| Connection::new(key, now, &settings));
        if self.is_draining {
            let connection = self.connections.get_mut(key).expect("just inserted");
            connection.drain(now, &self.settings, &mut self.submissions);
        }
        self.mark(key);
        key.slot
    }

    fn mark(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(key);
        }
    }

    /// Lets as many connections receive again as there are free buffers. One that finds none left
    /// is parked anew; one that has nothing to receive leaves its buffer to the next turn.
    fn unpark(&mut self) {
        for _ in 0..self.pool.free.min(self.parked.len()) {
            let key = self.parked.pop_front().expect("no more are taken than there are");
            if let Some(connection) = self.connections.get_mut(key) {
                connection.unpark();
                self.mark(key);
            }
        }
    }

    fn advance(&mut self, now: Instant, key: Key) {
        let connection = self.connections.get_mut(key).expect("dirty connections are alive");
        connection.is_dirty = false;
        if connection.advance(now, &mut self.submissions) == Progress::Alive {
            let deadline = connection.deadline();
            self.timers.schedule(&mut connection.alarm, key, deadline);
            return;
        }
        self.counters.lost_bytes += connection.lifecycle().lost() as u64;
        self.counters.closed += 1;
        self.accept_again = None;
        self.connections.remove(key);
    }

    fn advance_listener(&mut self, index: usize) {
        let token = Token::new(Operation::Accept, index as u32, 0);
        let (submission, state) = match (self.listeners[index], self.is_draining) {
            (Accept::Idle, true) => {
                (Submission::CloseListener { index: index as u32 }, Accept::Closed)
            }
            (Accept::Idle, false) if self.accept_again.is_none() => {
                (Submission::Accept(token), Accept::Armed)
            }
            (Accept::Armed, true) => (Submission::Cancel(token), Accept::Cancelling),
            _ => return,
        };
        self.submissions.push_back(submission);
        self.listeners[index] = state;
    }
}

fn key_of(token: Token) -> Key {
    Key { slot: token.slot, generation: token.generation }
}
