//! A ring, sockets and a network made of plain memory and a seed.
//!
//! It keeps what a real kernel promises and nothing more: completions of one request stay in order
//! and the last one says that no more follow; between requests any order and any delay is fair; a
//! socket that was full reports room once. Everything a real kernel may do to a request, some seed
//! does here.

mod completions;
mod pipes;
mod promises;
mod readiness;
mod sockets;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use self::pipes::Pipe;
use self::sockets::Sockets;
use super::conditions::Hostility;
use super::mutation::Mutation;
use super::peer::Peer;
use super::plan::Plan;
use crate::driver::slab::Key;
use crate::driver::uring::kernel::{Kernel, may_stay};
use crate::driver::uring::receiving::Amount;
use crate::driver::{Buffers, CloseMode, TakenIn, Urgency};
use crate::lifecycle::Probe;
use crate::sys::{
    Completion, Lease, LeaseTable, Notify, Operation, Outcome, Part, Parts, Token, Wait,
};
use crate::testing::rng::Rng;

/// The kernel of one simulated world.
#[derive(Debug)]
pub(super) struct FakeKernel {
    now: Instant,
    /// The time that the driver acts by.
    known_now: Cell<Instant>,
    pub(super) step: usize,
    rng: Rng,
    plan: Plan,
    pub(super) peers: Vec<Peer>,
    hostility: Hostility,
    mutation: Option<Mutation>,
    leases: LeaseTable,
    buffers: Vec<Vec<u8>>,
    free_buffers: VecDeque<u16>,
    listeners: Vec<Listener>,
    sockets: Sockets,
    signals: [Signal; Urgency::ALL.len()],
    /// Cancellations that have not acted yet.
    cancels: Vec<Token>,
    /// Completions by request, each queue in the order in which they were made.
    completed: Vec<(Request, VecDeque<Completion<Accepted>>)>,
    /// Sends that report only a failure: those that were whole, and those that were not.
    silent: VecDeque<Completion<Accepted>>,
    failed: VecDeque<Completion<Accepted>>,
    /// Those that the last submit brought.
    arrived: VecDeque<Completion<Accepted>>,
    descriptor_limit: usize,
    /// Peers whose socket was dropped without having got a slot.
    dropped: Rc<RefCell<Vec<usize>>>,
    releases: usize,
    /// Requests since the last submit.
    requests: usize,
    /// Submits in a row that neither brought nor followed anything.
    idle_submits: usize,
    last_progress: usize,
    /// Bytes that raw connections received and had not sent back by the time they were closed.
    pub(super) unechoed: usize,
    /// Peers that were in the queue of a listener when it was closed.
    pub(super) unaccepted: usize,
    /// The first promise that was broken.
    violation: Option<String>,
}

/// An accepted peer.
#[derive(Debug)]
pub(super) struct Accepted {
    peer: Option<usize>,
    dropped: Rc<RefCell<Vec<usize>>>,
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.dropped.borrow_mut().extend(self.peer);
    }
}

/// An operation, or the request to cancel it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Request {
    token: Token,
    is_cancellation: bool,
}

#[derive(Debug, Default)]
struct Listener {
    /// Peers that connected and were not accepted.
    backlog: VecDeque<usize>,
    /// Somebody came since that was told last.
    has_changed: bool,
    accept: Option<Token>,
    is_held_off: bool,
    is_closed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Signal {
    is_raised: bool,
    watch: Option<Token>,
}

#[derive(Debug)]
struct Socket {
    peer: usize,
    /// Of its connection, where the driver is told what is ready.
    key: Option<Key>,
    /// Sent by the peer and not yet received.
    arrived: VecDeque<u8>,
    receive: Option<(Token, Amount)>,
    is_sending: bool,
    /// A send took less than it was given; whoever watches is told of room.
    is_full: bool,
    watch: Option<Token>,
    /// Reports whatever changes, and whether anything has since the last report.
    ready_watch: Option<Token>,
    has_changed: bool,
    pipe: Option<Pipe>,
    /// Sent and not yet acknowledged.
    queue: VecDeque<u8>,
    queue_capacity: usize,
    fin_sent: Option<Instant>,
    /// Bytes that the server was told of, and those that the peer acknowledged.
    delivered: usize,
    acknowledged: usize,
}

/// Steps without any progress after which a calm world will never make any: far more than it takes
/// virtual time to reach every deadline.
const MAX_IDLE_STEPS: usize = 5_000;
/// A driver that submits nothing and gets nothing so often does not sleep.
const MAX_IDLE_SUBMITS: usize = 60;

impl FakeKernel {
    pub(super) fn new(
        mut rng: Rng,
        hostility: Hostility,
        mutation: Option<Mutation>,
        mut plan: Plan,
        listeners: usize,
    ) -> Self {
        let count = rng.between(1, 12) as u16;
        let size = *rng.pick(&[1, 16, 100, 512, 4096]);
        if size == 1 {
            // Byte by byte a few kilobytes are as much as megabytes are elsewhere.
            plan.shorten_scripts();
        }
        let start = Instant::now();
        let descriptor_limit = if rng.chance(20) { rng.between(1, 4) } else { usize::MAX };
        Self {
            now: start,
            known_now: Cell::new(start),
            step: 0,
            rng,
            plan,
            peers: Vec::new(),
            hostility,
            mutation,
            leases: LeaseTable::new(count),
            buffers: (0..count).map(|_| vec![0; size]).collect(),
            free_buffers: (0..count).collect(),
            listeners: (0..listeners).map(|_| Listener::default()).collect(),
            sockets: Sockets::default(),
            signals: Default::default(),
            cancels: Vec::new(),
            completed: Vec::new(),
            silent: VecDeque::new(),
            failed: VecDeque::new(),
            arrived: VecDeque::new(),
            descriptor_limit,
            dropped: Rc::default(),
            releases: 0,
            requests: 0,
            idle_submits: 0,
            last_progress: 0,
            unechoed: 0,
            unaccepted: 0,
            violation: None,
        }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn buffer_size(&self) -> usize {
        self.buffers[0].len()
    }

    pub(super) fn leased_buffers(&self) -> usize {
        self.leases.leased_buffers()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.violation.clone().map_or(Ok(()), Err)
    }

    /// Everybody reads what is left; see [`Peer::end`].
    pub(super) fn end_peers(&mut self, served: bool) -> Result<(), String> {
        for (number, peer) in self.peers.iter_mut().enumerate() {
            peer.end(served).map_err(|reason| format!("peer {number}: {reason}"))?;
        }
        Ok(())
    }

    fn is_calm(&self) -> bool {
        self.hostility == Hostility::CALM
    }

    fn planted(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn violate(&mut self, reason: String) {
        self.violation.get_or_insert(reason);
    }

    /// A turn of the driver has asked for something and is told something, or it spins.
    fn note_turn(&mut self, is_told: bool, never_waits: bool) {
        let is_idle = self.requests == 0 && !is_told;
        self.idle_submits = if is_idle && never_waits { self.idle_submits + 1 } else { 0 };
        if self.idle_submits > MAX_IDLE_SUBMITS {
            self.violate("spins: is woken and does nothing".to_owned());
        }
        self.requests = 0;
    }

    fn check_progress(&self) -> io::Result<()> {
        match self.step - self.last_progress {
            ..=MAX_IDLE_STEPS => Ok(()),
            _ => Err(io::Error::other("stuck: nothing happens any more")),
        }
    }

    fn socket(&mut self, slot: u32) -> &mut Socket {
        self.sockets.get_mut(slot).expect("operations are of open connections")
    }
}

impl Socket {
    fn sent(&self) -> usize {
        self.acknowledged + self.queue.len()
    }
}

impl Buffers for FakeKernel {
    type Lease = Lease;

    fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        let (buffer, start, length) = self.leases.locate(lease);
        &self.buffers[usize::from(buffer)][start..start + length]
    }

    fn release(&mut self, lease: Lease) {
        self.requests += 1;
        self.releases += 1;
        if self.planted(Mutation::LeakALease) && self.releases.is_multiple_of(7) {
            return;
        }
        if let Some(buffer) = self.leases.take_back(lease) {
            self.buffers[usize::from(buffer)].fill(0xdd);
            self.free_buffers.push_back(buffer);
            if self.planted(Mutation::FreeABufferTwice) {
                self.free_buffers.push_back(buffer);
            }
        }
    }

    fn may_stay(&self, length: usize) -> bool {
        may_stay(length, self.buffers[0].len(), self.free_buffers(), self.buffers.len())
    }
}

impl Kernel for FakeKernel {
    type Socket = Accepted;

    fn now(&self) -> Instant {
        self.known_now.set(self.now);
        self.now
    }

    fn free_buffers(&self) -> usize {
        self.buffers.len() - self.leases.leased_buffers()
    }

    fn accept(&mut self, token: Token) {
        self.requests += 1;
        let accept = &mut self.listeners[token.slot as usize].accept;
        assert!(accept.is_none(), "a listener has one accept in flight");
        *accept = Some(token);
    }

    fn receive(&mut self, token: Token, amount: Amount) {
        self.requests += 1;
        let socket = self.socket(token.slot);
        assert!(socket.receive.is_none(), "a connection has one receive in flight");
        let never_waits = socket.pipe.is_some();
        assert!(!never_waits || amount == Amount::One, "a lasting receive ends at once");
        socket.receive = Some((token, amount));
        let is_second_user = token.generation > 0;
        if is_second_user && self.planted(Mutation::SkipTheGenerationCheck) {
            self.complete(token, false, Outcome::Received(Ok(None)));
        }
    }

    fn send(&mut self, token: Token, parts: Parts, notify: Notify) {
        self.requests += 1;
        let mut bytes = Vec::with_capacity(parts.len());
        for part in parts.iter() {
            match part {
                Part::Leased(_) if self.planted(Mutation::RecycleBeforeSendCompletes) => {
                    bytes.resize(bytes.len() + part.len(), 0xee);
                }
                Part::Leased(lease) => bytes.extend_from_slice(self.bytes(lease)),
                Part::Owned(owned) => bytes.extend_from_slice(owned.bytes()),
            }
        }
        let socket = self.sockets.get_mut(token.slot).expect("sends are of open connections");
        assert!(!socket.is_sending, "a connection has one send in flight");
        assert!(socket.fin_sent.is_none(), "nothing is sent after FIN");
        socket.is_sending = true;
        let room = socket.queue_capacity - socket.queue.len();
        let most = room.min(bytes.len());
        let is_short = self.rng.chance(self.hostility.short);
        let taken = if is_short { self.rng.between(0, most) } else { most };
        socket.is_full |= taken < bytes.len();
        let result = if self.peers[socket.peer].is_reset {
            Err(*self.rng.pick(&[Errno::CONNRESET, Errno::PIPE]))
        } else if taken == 0 {
            Err(*self.rng.pick(&[Errno::AGAIN, Errno::AGAIN, Errno::INTR]))
        } else {
            socket.queue.extend(&bytes[..taken]);
            Ok(taken)
        };
        if self.planted(Mutation::TwoSendsInFlight) {
            self.complete(token, false, Outcome::Sent(Parts::default(), Ok(0)));
        }
        let is_whole = result == Ok(parts.len());
        let outcome = Outcome::Sent(parts, result);
        match notify {
            Notify::Always => self.complete(token, false, outcome),
            Notify::OnFailure => {
                let completion = Completion { token, more: false, outcome };
                let sends = if is_whole { &mut self.silent } else { &mut self.failed };
                sends.push_back(completion);
            }
        }
    }

    fn watch_writable(&mut self, token: Token) {
        self.requests += 1;
        let socket = self.socket(token.slot);
        assert!(socket.watch.is_none(), "a connection is watched once");
        socket.watch = Some(token);
        // Who begins to watch is told what is so, even if it was not full.
        socket.is_full = true;
    }

    fn watch_ready(&mut self, token: Token) {
        self.requests += 1;
        let socket = self.socket(token.slot);
        assert!(socket.ready_watch.is_none(), "a connection is watched once");
        socket.ready_watch = Some(token);
        socket.has_changed = true;
    }

    fn give_pipe(&mut self, slot: u32) -> bool {
        self.requests += 1;
        let capacity = self.rng.between(1, 600);
        if self.rng.chance(self.hostility.fault) {
            return false;
        }
        let socket = self.socket(slot);
        assert!(socket.receive.is_none(), "a receive and a splice overtake each other");
        let earlier = socket.pipe.replace(Pipe::new(capacity));
        assert!(earlier.is_none(), "a connection has one pipe");
        true
    }

    fn take_pipe_back(&mut self, slot: u32, is_empty: bool) {
        self.requests += 1;
        let pipe = self.socket(slot).pipe.take().expect("there is a pipe to take back");
        assert!(!is_empty || pipe.is_empty(), "a pipe is used again with what is in it");
    }

    fn splice_in(&mut self, slot: u32) -> Result<TakenIn, Errno> {
        self.requests += 1;
        self.take_in(slot)
    }

    fn splice_out(&mut self, slot: u32, held: usize) -> Result<usize, Errno> {
        self.requests += 1;
        self.give_out(slot, held)
    }

    fn watch_signal(&mut self, token: Token, urgency: Urgency) {
        self.signals[urgency as usize].watch = Some(token);
    }

    fn cancel(&mut self, target: Token) {
        self.requests += 1;
        self.cancels.push(target);
        let is_receive = target.operation == Operation::Receive;
        if is_receive && self.planted(Mutation::FreeBeforeTheCancelCompletes) {
            self.complete(target, false, Outcome::Received(Err(Errno::CANCELED)));
        }
    }

    fn submit(&mut self, wait: Wait) -> io::Result<()> {
        let until = match wait {
            Wait::Poll => Some(self.now),
            Wait::AtMost(limit) => self.now.checked_add(limit),
            Wait::Forever => None,
        };
        self.bring_failed_sends();
        loop {
            self.work();
            self.bring();
            if !self.arrived.is_empty() || until.is_some_and(|until| until <= self.now) {
                break;
            }
            if self.is_quiet()
                && self.plan.is_quiet()
                && let Some(until) = until
            {
                self.now = until;
                break;
            }
            self.check_progress()?;
        }
        self.arrived.append(&mut self.silent);
        let never_waits = matches!(wait, Wait::Poll | Wait::AtMost(Duration::ZERO));
        self.note_turn(!self.arrived.is_empty(), never_waits);
        self.check_progress()
    }

    fn has_completion(&mut self) -> io::Result<bool> {
        Ok(!self.arrived.is_empty())
    }

    fn next_completion(&mut self) -> Option<Completion<Accepted>> {
        let completion = self.arrived.pop_front()?;
        match &completion.outcome {
            Outcome::Received(Ok(Some(lease))) => {
                let length = lease.len();
                self.socket(completion.token.slot).delivered += length;
            }
            Outcome::Sent(parts, _) if !parts.is_empty() => {
                self.socket(completion.token.slot).is_sending = false;
            }
            Outcome::Readable(_) => {
                let urgency = Urgency::ALL[completion.token.slot as usize];
                self.plan.shut_down(self.known_now.get(), urgency);
            }
            _ => {}
        }
        Some(completion)
    }

    fn address_of(&self, socket: &Accepted) -> Option<IpAddr> {
        let number = socket.peer.expect("an accepted socket is of a peer");
        // Two hosts, of which the second takes another address of its network each time.
        Some(match number % 2 {
            0 => Ipv4Addr::LOCALHOST.into(),
            _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number as u16).into(),
        })
    }

    fn adopt(&mut self, slot: u32, mut accepted: Accepted) {
        let peer = accepted.peer.take().expect("a socket is adopted once");
        let socket = Socket {
            peer,
            key: None,
            arrived: VecDeque::new(),
            receive: None,
            is_sending: false,
            is_full: false,
            watch: None,
            ready_watch: None,
            has_changed: false,
            pipe: None,
            queue: VecDeque::new(),
            queue_capacity: self.rng.between(1, 400),
            fin_sent: None,
            delivered: 0,
            acknowledged: 0,
        };
        self.sockets.insert(slot, socket);
    }

    fn probe(&self, slot: u32) -> Probe {
        let socket = self.sockets.get(slot).expect("an open connection is probed");
        let is_over = self.peers[socket.peer].is_reset;
        let fin = usize::from(socket.fin_sent.is_some() && !socket.queue.is_empty());
        let is_hidden = self.planted(Mutation::ProbeAnEmptyQueue);
        let queued = if is_hidden { 0 } else { socket.queue.len() + fin };
        Probe { acknowledged: socket.acknowledged as u64, queued, is_over }
    }

    /// A raw connection gets its FIN when everything it sent so far has come back.
    fn shut_down_write(&mut self, slot: u32) {
        self.requests += 1;
        let now = self.known_now.get();
        let socket = self.socket(slot);
        assert!(!socket.is_sending, "FIN overtakes a send");
        assert!(socket.fin_sent.is_none(), "there is one FIN");
        socket.fin_sent = Some(now);
        let (delivered, sent, peer) = (socket.delivered, socket.sent(), socket.peer);
        if !self.peers[peer].is_reset {
            self.check_nothing_missing("FIN", slot, delivered, sent);
        }
    }

    fn close(&mut self, slot: u32, mode: CloseMode) -> usize {
        self.requests += 1;
        let is_named = |token: Token| token.slot == slot && token.operation != Operation::Accept;
        let early = self.completed.iter().any(|(request, _)| {
            !request.is_cancellation
                && request.token.operation != Operation::Readable
                && is_named(request.token)
        });
        assert!(!early, "slot {slot} is freed before its last completion");
        let mut socket = self.sockets.remove(slot).expect("an open connection is closed");
        assert!(
            socket.receive.is_none()
                && !socket.is_sending
                && socket.watch.is_none()
                && socket.ready_watch.is_none(),
            "slot {slot} is freed with an operation in flight"
        );
        self.check_close(slot, &socket, mode);
        let fin = usize::from(socket.fin_sent.is_some() && !socket.queue.is_empty());
        let queued = socket.queue.len() + fin;
        let peer = &mut self.peers[socket.peer];
        peer.fin_received = true;
        if mode == CloseMode::Reset {
            peer.is_reset = true;
        } else if socket.arrived.is_empty() {
            peer.inbox.extend(socket.queue.drain(..));
        }
        match mode {
            CloseMode::Accounting if !self.planted(Mutation::ForgetUnacknowledgedBytes) => queued,
            _ => 0,
        }
    }

    fn hold_off(&mut self, listener: u32) {
        self.listeners[listener as usize].is_held_off = !self.planted(Mutation::HoldNothingOff);
    }

    fn accept_queued(&mut self, listener: u32) -> Result<Accepted, Errno> {
        self.requests += 1;
        let room = self.sockets.len() < self.descriptor_limit || self.is_calm();
        let fault = self.hostility.fault;
        let is_overlooked = self.planted(Mutation::LeaveTheQueue);
        let state = &mut self.listeners[listener as usize];
        assert!(state.accept.is_none(), "a listener is closed while it accepts");
        match state.backlog.front() {
            None => Err(Errno::AGAIN),
            Some(_) if is_overlooked && state.is_held_off => Err(Errno::AGAIN),
            Some(_) if self.rng.chance(fault) => Err(Errno::CONNABORTED),
            Some(_) if !room => Err(Errno::MFILE),
            Some(&peer) => {
                state.backlog.pop_front();
                Ok(self.accepted(peer))
            }
        }
    }

    fn close_listener(&mut self, listener: u32) -> usize {
        let state = &mut self.listeners[listener as usize];
        assert!(state.accept.is_none(), "a listener is closed while it accepts");
        assert!(state.is_held_off, "a listener is closed while peers connect");
        state.is_closed = true;
        let left: Vec<_> = state.backlog.drain(..).collect();
        left.iter().for_each(|peer| self.peers[*peer].is_reset = true);
        self.unaccepted += left.len();
        if self.planted(Mutation::ForgetWhoWaits) { 0 } else { left.len() }
    }
}
