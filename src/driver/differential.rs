//! One connection in buffers that lie where they are, and one whose bytes are copied out of a shared
//! buffer, led through the same events: both must answer the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::buffers::{Buffers, bytes_of};
use super::connection::{Action, CloseMode};
use super::connections::Connections;
use super::peer::MAX_PARTS;
use super::shared_buffer::{SharedBuffer, Span};
use super::slab::Key;
use super::uring::kernel::may_stay;
use super::{Settings, SpliceLimits, Urgency};
use crate::lifecycle::{Admission, AdmissionLimits, DrainLimits, Limits, Probe};
use crate::metrics::Counters;
use crate::protocol::Protocol;
use crate::sys::{Lease, LeaseTable, RingSize};

/// Something that happens to both connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The peer sends these bytes.
    Received(&'a [u8]),
    /// The peer's FIN arrives.
    Eof,
    /// The peer takes this many bytes.
    Taken(usize),
    Elapsed(Duration),
    ShutDown(Urgency),
}

/// Bytes of a buffer. A piece that is longer arrives in several.
const BUFFER_SIZE: usize = 128;
const BUFFERS: u16 = 8;

/// Leads both through the events, after which the peer takes everything.
///
/// # Panics
///
/// When they differ: with `high_water` in all that was sent at the end, since both stop reading at
/// another time; without it after every event, and in what counts it as well.
pub(crate) fn check<P: Protocol>(protocol: &P, high_water: Option<usize>, events: &[Event<'_>]) {
    let now = Instant::now();
    let mut native = Session::new(protocol.clone(), high_water, now, Pool::new());
    let shared = SharedBuffer::new(vec![0; BUFFER_SIZE]);
    let mut copying = Session::new(protocol.clone(), high_water, now, shared);
    for event in events.iter().chain(&[Event::Taken(usize::MAX)]) {
        native.handle(event);
        copying.handle(event);
        if high_water.is_none() {
            assert_eq!(native.answers(), copying.answers(), "after {event:?}");
        }
    }
    assert_eq!((&native.sent, native.end), (&copying.sent, copying.end), "at the end");
}

/// Buffers to receive into.
trait Receives: Buffers {
    /// Receives at most a buffer full; `None` if no buffer is free.
    fn receive(&mut self, bytes: &[u8]) -> Option<Self::Lease>;
}

/// The worker of one connection, and the other end of its socket.
struct Session<P: Protocol, B: Receives> {
    connections: Connections<P, B::Lease, ()>,
    buffers: B,
    key: Key,
    now: Instant,
    is_reading: bool,
    /// Bytes that were sent by the peer and not received yet, and whether its FIN follows.
    arriving: Vec<u8>,
    is_eof_arriving: bool,
    /// Bytes that the peer will still take.
    room: usize,
    sent: Vec<u8>,
    has_sent_fin: bool,
    end: Option<CloseMode>,
}

impl<P: Protocol, B: Receives> Session<P, B> {
    fn new(protocol: P, high_water: Option<usize>, now: Instant, mut buffers: B) -> Self {
        let high_water = high_water.unwrap_or(usize::MAX);
        let limits = Limits { high_water, low_water: high_water / 4, ..Limits::default() };
        let settings = Settings {
            limits,
            drain: DrainLimits::default(),
            ring: RingSize::default(),
            spin: Duration::ZERO,
            splice: SpliceLimits::NONE,
            spill_budget: usize::MAX,
            inherits_listeners: false,
        };
        let admission = AdmissionLimits { max_connections: 1, max_per_peer: None, max_overflow: 0 };
        let admission = Arc::new(Admission::new(admission));
        let mut connections = Connections::new(protocol, settings, admission);
        let key = connections.admit(now, None, (), &mut buffers).expect("there is room for one");
        let mut session = Self {
            connections,
            buffers,
            key,
            now,
            is_reading: false,
            arriving: Vec::new(),
            is_eof_arriving: false,
            room: 0,
            sent: Vec::new(),
            has_sent_fin: false,
            end: None,
        };
        session.settle();
        session
    }

    fn handle(&mut self, event: &Event<'_>) {
        match *event {
            Event::Received(bytes) if !self.is_eof_arriving => self.arriving.extend(bytes),
            Event::Received(_) => {}
            Event::Eof => self.is_eof_arriving = true,
            Event::Taken(length) => {
                self.room = self.room.saturating_add(length);
                self.connections.mark(self.key);
            }
            Event::Elapsed(time) => {
                self.now += time;
                self.connections.handle_timeout(self.now, &mut self.buffers);
            }
            Event::ShutDown(urgency) => {
                self.connections.shut_down(self.now, urgency, &mut self.buffers);
            }
        }
        self.settle();
        while self.receive() {
            self.settle();
        }
    }

    /// Everything that can be seen from outside.
    fn answers(&self) -> (&[u8], bool, bool, Option<CloseMode>, Counters) {
        let counters = self.connections.counters();
        (&self.sent, self.has_sent_fin, self.is_reading, self.end, counters)
    }

    /// Receives what the connection wants; returns whether anything came.
    fn receive(&mut self) -> bool {
        if !self.is_reading || self.end.is_some() {
            return false;
        }
        if self.arriving.is_empty() {
            let is_eof = std::mem::take(&mut self.is_eof_arriving);
            if is_eof {
                self.connections.handle_eof(self.key);
            }
            return is_eof;
        }
        let length = self.arriving.len().min(BUFFER_SIZE);
        let Some(lease) = self.buffers.receive(&self.arriving[..length]) else { return false };
        self.arriving.drain(..length);
        self.connections.handle_received(self.now, self.key, lease, &mut self.buffers);
        true
    }

    fn settle(&mut self) {
        while self.connections.has_work() {
            self.connections.begin_turn();
            while let Some(key) = self.connections.next_dirty() {
                self.advance(key);
            }
        }
    }

    fn advance(&mut self, key: Key) {
        while let Some(action) = self.connections.advance(self.now, key, &mut self.buffers) {
            match action {
                Action::Probe => {
                    let acknowledged = self.sent.len() as u64;
                    let probe = Probe { acknowledged, queued: 0, is_over: false };
                    self.connections.handle_probe(self.now, key, probe);
                }
                Action::SendFin => self.has_sent_fin = true,
                Action::Close(mode) => {
                    self.connections.remove(self.now, key, 0);
                    self.end = Some(mode);
                    return;
                }
                Action::Wait(interest) if interest.write && self.room > 0 => self.send(key),
                Action::Wait(interest) => {
                    self.is_reading = interest.read;
                    let buffers = &mut self.buffers;
                    return self.connections.settle(self.now, key, interest.read, buffers);
                }
            }
        }
    }

    fn send(&mut self, key: Key) {
        let connection = self.connections.get_mut(key).expect("it was just advanced");
        let parts = connection.take_outgoing(MAX_PARTS);
        let taken = parts.len().min(self.room);
        let before = self.sent.len();
        parts.iter().for_each(|part| self.sent.extend(bytes_of(part, &self.buffers)));
        self.sent.truncate(before + taken);
        self.room -= taken;
        self.connections.handle_sent(self.now, key, parts, Ok(taken), &mut self.buffers);
    }
}

/// Buffers as the native driver has them, in plain memory.
struct Pool {
    leases: LeaseTable,
    buffers: Vec<[u8; BUFFER_SIZE]>,
    free: Vec<u16>,
}

impl Pool {
    fn new() -> Self {
        Self {
            leases: LeaseTable::new(BUFFERS),
            buffers: vec![[0; BUFFER_SIZE]; BUFFERS.into()],
            free: (0..BUFFERS).collect(),
        }
    }
}

impl Receives for Pool {
    fn receive(&mut self, bytes: &[u8]) -> Option<Lease> {
        let buffer = self.free.pop()?;
        self.buffers[usize::from(buffer)][..bytes.len()].copy_from_slice(bytes);
        Some(self.leases.grant(buffer, bytes.len() as u32))
    }
}

impl Buffers for Pool {
    type Lease = Lease;

    fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        let (buffer, start, length) = self.leases.locate(lease);
        &self.buffers[usize::from(buffer)][start..start + length]
    }

    fn release(&mut self, lease: Lease) {
        if let Some(buffer) = self.leases.take_back(lease) {
            self.buffers[usize::from(buffer)].fill(0xdd);
            self.free.push(buffer);
        }
    }

    fn may_stay(&self, length: usize) -> bool {
        may_stay(length, BUFFER_SIZE, self.free.len(), self.buffers.len())
    }
}

impl Receives for SharedBuffer {
    fn receive(&mut self, bytes: &[u8]) -> Option<Span> {
        self.memory()[..bytes.len()].copy_from_slice(bytes);
        Some(self.lease(bytes.len()))
    }
}
