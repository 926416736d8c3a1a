//! A ring, sockets and a network made of plain memory and a seed.
//!
//! It keeps what a real kernel promises and nothing more: completions of one request stay in order
//! and the last one says that no more follow; between requests any order and any delay is fair; a
//! socket that was full reports room once. Everything a real kernel may do to a request, some seed
//! does here.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::conditions::Hostility;
use super::mutation::Mutation;
use super::peer::Peer;
use super::plan::{Event, Plan};
use super::rng::Rng;
use crate::driver::uring::kernel::{Kernel, may_stay};
use crate::driver::uring::receiving::Amount;
use crate::driver::{Buffers, CloseMode, Urgency};
use crate::lifecycle::Probe;
use crate::sys::{Completion, Lease, LeaseTable, Operation, Outcome, Part, Parts, Token, Wait};

/// The kernel of one simulated world.
#[derive(Debug)]
pub(super) struct FakeKernel {
    now: Instant,
    /// The time that the driver acts by.
    told: Cell<Instant>,
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
    sockets: BTreeMap<u32, Socket>,
    signals: [Signal; Urgency::ALL.len()],
    /// Cancellations that have not acted yet.
    cancels: Vec<Token>,
    /// Completions by request, each queue in the order in which they were made.
    completed: Vec<(Request, VecDeque<Completion<Accepted>>)>,
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
    /// What raw connections received and did not send back by the time they were closed.
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
    /// Sent by the peer and not yet received.
    arrived: VecDeque<u8>,
    receive: Option<(Token, Amount)>,
    is_sending: bool,
    /// A send took less than it was given; whoever watches is told of room.
    is_full: bool,
    watch: Option<Token>,
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
        plan: Plan,
        listeners: usize,
    ) -> Self {
        let count = rng.between(1, 12) as u16;
        let size = *rng.pick(&[1, 16, 100, 512, 4096]);
        let start = Instant::now();
        let descriptor_limit = if rng.chance(20) { rng.between(1, 4) } else { usize::MAX };
        Self {
            now: start,
            told: Cell::new(start),
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
            sockets: BTreeMap::new(),
            signals: Default::default(),
            cancels: Vec::new(),
            completed: Vec::new(),
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

    /// Lets some time pass: the world's plan goes on, peers act, requests progress.
    fn work(&mut self) {
        self.step += 1;
        self.pass_time();
        let backlogs_are_empty = self.backlogs_are_empty();
        let is_served = self.sockets.is_empty() && backlogs_are_empty;
        for event in self.plan.events(&mut self.rng, self.step, is_served) {
            self.happen(event);
        }
        for slot in self.sockets.keys().copied().collect::<Vec<_>>() {
            self.let_peer_act(slot);
            self.deliver(slot);
            self.progress_receive(slot);
            self.progress_watch(slot);
        }
        for number in 0..self.listeners.len() {
            self.progress_accept(number);
        }
        for urgency in 0..self.signals.len() {
            self.progress_signal(urgency);
        }
        for _ in 0..self.cancels.len() {
            if !self.rng.chance(self.hostility.delay) {
                let target = self.cancels.swap_remove(self.rng.below(self.cancels.len()));
                self.carry_out_cancel(target);
            }
        }
        self.close_dropped();
    }

    fn pass_time(&mut self) {
        if self.plan.is_frozen() {
            return;
        }
        self.now += Duration::from_micros(self.rng.below(1_000) as u64);
        if self.rng.chance(1) {
            self.now += Duration::from_millis(self.rng.below(200) as u64);
        }
    }

    fn happen(&mut self, event: Event) {
        self.last_progress = self.step;
        match event {
            Event::CalmDown => self.hostility = Hostility::CALM,
            Event::Signal(urgency) => self.signals[urgency as usize].is_raised = true,
            Event::Connect(peer) => {
                let number = self.rng.below(self.listeners.len());
                let listener = &mut self.listeners[number];
                if !listener.is_held_off && !listener.is_closed {
                    listener.backlog.push_back(self.peers.len());
                    self.peers.push(*peer);
                }
            }
        }
    }

    /// Who was accepted and got no slot is closed.
    fn close_dropped(&mut self) {
        let dropped = std::mem::take(&mut *self.dropped.borrow_mut());
        dropped.into_iter().for_each(|peer| self.peers[peer].is_reset = true);
    }

    fn socket(&mut self, slot: u32) -> &mut Socket {
        self.sockets.get_mut(&slot).expect("operations are of open connections")
    }

    fn let_peer_act(&mut self, slot: u32) {
        let calm = self.is_calm();
        let socket = self.sockets.get_mut(&slot).expect("the slot was just listed");
        let peer = &mut self.peers[socket.peer];
        if self.rng.chance(60) {
            let room = 2_000_usize.saturating_sub(socket.arrived.len());
            let sent = peer.send(&mut self.rng, room, calm);
            if !sent.is_empty() {
                self.last_progress = self.step;
            }
            socket.arrived.extend(sent);
        }
        if peer.resets() {
            peer.is_reset = true;
            peer.inbox.clear();
        }
        let unread = peer.inbox.len();
        if let Err(reason) = peer.read(&mut self.rng, calm) {
            let number = socket.peer;
            return self.violate(format!("peer {number}: {reason}"));
        }
        if peer.inbox.len() < unread {
            self.last_progress = self.step;
        }
    }

    /// Moves what was sent to the peer, as far as that takes it.
    fn deliver(&mut self, slot: u32) {
        let socket = self.sockets.get_mut(&slot).expect("the slot was just listed");
        let peer = &mut self.peers[socket.peer];
        if peer.is_reset {
            socket.queue.clear();
            return;
        }
        let room = peer.inbox_capacity.saturating_sub(peer.inbox.len());
        let length = room.min(socket.queue.len());
        peer.inbox.extend(socket.queue.drain(..length));
        socket.acknowledged += length;
        if length > 0 {
            self.last_progress = self.step;
        }
        if socket.queue.is_empty() && socket.fin_sent.is_some() {
            peer.fin_received = true;
        }
    }

    fn progress_accept(&mut self, number: usize) {
        let Some(token) = self.listeners[number].accept else { return };
        let is_full = self.sockets.len() + self.accepts_on_their_way() >= self.descriptor_limit;
        let result = match self.listeners[number].backlog.front() {
            _ if is_full && !self.is_calm() => Err(Errno::MFILE),
            Some(_) if self.rng.chance(self.hostility.fault) => Err(Errno::CONNABORTED),
            Some(&peer) => {
                self.listeners[number].backlog.pop_front();
                Ok(self.accepted(peer))
            }
            None => return,
        };
        let more = result.is_ok() && !self.rng.chance(self.hostility.fault);
        if !more {
            self.listeners[number].accept = None;
        }
        self.complete(token, more, Outcome::Accepted(result));
    }

    fn accepted(&self, peer: usize) -> Accepted {
        Accepted { peer: Some(peer), dropped: Rc::clone(&self.dropped) }
    }

    fn backlogs_are_empty(&self) -> bool {
        let is_empty = self.listeners.iter().all(|listener| listener.backlog.is_empty());
        is_empty && self.accepts_on_their_way() == 0
    }

    fn accepts_on_their_way(&self) -> usize {
        let of_request = |(request, queue): &(Request, VecDeque<_>)| {
            if request.token.operation == Operation::Accept { queue.len() } else { 0 }
        };
        self.completed.iter().map(of_request).sum::<usize>() + self.arrived.len()
    }

    fn progress_signal(&mut self, urgency: usize) {
        let Signal { is_raised: true, watch: Some(token) } = self.signals[urgency] else { return };
        self.signals[urgency].watch = None;
        self.complete(token, false, Outcome::Readable(Ok(())));
    }

    /// One receive, or up to 66 for a multishot: as the kernel does before anybody can look.
    fn progress_receive(&mut self, slot: u32) {
        let most = if self.rng.chance(20) { 66 } else { 1 };
        for _ in 0..most {
            if self.rng.chance(self.hostility.delay) || !self.receive_once(slot) {
                return;
            }
        }
    }

    /// Says whether the operation goes on.
    fn receive_once(&mut self, slot: u32) -> bool {
        let fault = self.hostility.fault;
        let socket = self.sockets.get_mut(&slot).expect("the slot was just listed");
        let Some((token, amount)) = socket.receive else { return false };
        let peer = &self.peers[socket.peer];
        let is_empty = socket.arrived.is_empty();
        let failure = if peer.is_reset {
            Some(Errno::CONNRESET)
        } else if self.free_buffers.is_empty() && (!is_empty || self.rng.chance(fault)) {
            Some(Errno::NOBUFS)
        } else if self.rng.chance(fault) {
            Some(*self.rng.pick(&[Errno::INTR, Errno::AGAIN]))
        } else {
            None
        };
        if let Some(error) = failure {
            socket.receive = None;
            self.complete(token, false, Outcome::Received(Err(error)));
            return false;
        }
        if is_empty {
            if peer.has_finished() {
                socket.receive = None;
                self.complete(token, false, Outcome::Received(Ok(None)));
            }
            return false;
        }
        let lease = self.fill_buffer(slot);
        let more = amount == Amount::Many && !self.rng.chance(fault);
        if !more {
            self.socket(slot).receive = None;
        }
        self.complete(token, more, Outcome::Received(Ok(Some(lease))));
        more
    }

    fn fill_buffer(&mut self, slot: u32) -> Lease {
        let socket = self.sockets.get_mut(&slot).expect("the caller has it");
        let buffer = self.free_buffers.pop_front().expect("the caller saw one");
        let memory = &mut self.buffers[usize::from(buffer)];
        let longest = memory.len().min(socket.arrived.len());
        let is_short = self.rng.chance(self.hostility.short);
        let length = if is_short { self.rng.between(1, longest) } else { longest };
        for byte in &mut memory[..length] {
            *byte = socket.arrived.pop_front().expect("no more is received than arrived");
        }
        self.last_progress = self.step;
        self.leases.grant(buffer, length as u32)
    }

    /// Reports room to whoever watches, and now and then nothing at all.
    fn progress_watch(&mut self, slot: u32) {
        let fault = self.hostility.fault;
        let socket = self.sockets.get_mut(&slot).expect("the slot was just listed");
        let Some(token) = socket.watch else { return };
        let is_reset = self.peers[socket.peer].is_reset;
        let has_room = socket.queue.len() < socket.queue_capacity;
        let result = if (socket.is_full && has_room) || is_reset {
            if !std::mem::take(&mut socket.is_full) {
                return;
            }
            true
        } else if self.rng.chance(fault) {
            false
        } else {
            return;
        };
        let more = !self.rng.chance(fault);
        if !more {
            socket.watch = None;
        }
        self.complete(token, more, Outcome::Writable(Ok(result)));
    }

    fn carry_out_cancel(&mut self, target: Token) {
        let is_overlooked = self.rng.chance(self.hostility.fault);
        let found = !is_overlooked && self.end_operation(target);
        let result = match found {
            true => Ok(()),
            false => Err(*self.rng.pick(&[Errno::NOENT, Errno::ALREADY])),
        };
        let result = if self.planted(Mutation::HideMissedCancels) { Ok(()) } else { result };
        self.complete_request(
            Request { token: target, is_cancellation: true },
            false,
            Outcome::Cancelled(result),
        );
    }

    /// Says whether the operation was in flight.
    fn end_operation(&mut self, target: Token) -> bool {
        let cancelled = Err(Errno::CANCELED);
        if target.operation == Operation::Accept {
            let found = self.listeners[target.slot as usize].accept.take().is_some();
            if found {
                self.complete(target, false, Outcome::Accepted(Err(Errno::CANCELED)));
            }
            return found;
        }
        let Some(socket) = self.sockets.get_mut(&target.slot) else { return false };
        match target.operation {
            Operation::Receive if socket.receive.is_some_and(|(token, _)| token == target) => {
                socket.receive = None;
                self.complete(target, false, Outcome::Received(Err(Errno::CANCELED)));
                true
            }
            Operation::Writable if socket.watch == Some(target) => {
                socket.watch = None;
                self.complete(target, false, Outcome::Writable(cancelled));
                true
            }
            _ => false,
        }
    }

    fn complete(&mut self, token: Token, more: bool, outcome: Outcome<Accepted>) {
        self.complete_request(Request { token, is_cancellation: false }, more, outcome);
    }

    fn complete_request(&mut self, request: Request, more: bool, outcome: Outcome<Accepted>) {
        let completion = Completion { token: request.token, more, outcome };
        match self.completed.iter_mut().find(|(of, _)| *of == request) {
            Some((_, queue)) => queue.push_back(completion),
            None => self.completed.push((request, VecDeque::from([completion]))),
        }
    }

    /// Lets some completions arrive.
    fn bring(&mut self) {
        for _ in 0..self.rng.between(1, 20) {
            if self.completed.is_empty() || self.rng.chance(self.hostility.delay) {
                return;
            }
            let index = self.rng.below(self.completed.len());
            let queue = &mut self.completed[index].1;
            let mut completion = queue.pop_front().expect("no queue is kept empty");
            if queue.is_empty() {
                self.completed.swap_remove(index);
            }
            if self.lie(&mut completion) {
                self.arrived.push_back(completion);
            }
        }
    }

    /// Tells the driver what a bug of its own would have made it believe; says whether it is told
    /// at all.
    fn lie(&self, completion: &mut Completion<Accepted>) -> bool {
        match (self.mutation, &mut completion.outcome) {
            (Some(Mutation::ForgetParkedConnections), Outcome::Received(Err(Errno::NOBUFS)))
            | (Some(Mutation::MissWritableSockets), Outcome::Writable(Ok(true))) => return false,
            (Some(Mutation::IgnoreTheEndOfAMultishot), Outcome::Received(Ok(Some(_)))) => {
                completion.more = true;
            }
            (Some(Mutation::DropTheRestOfAShortSend), Outcome::Sent(parts, Ok(sent))) => {
                *sent = parts.len();
            }
            _ => {}
        }
        true
    }

    /// Whether nothing will happen until somebody asks for something or a time comes.
    fn is_quiet(&self) -> bool {
        let may_go_on = |socket: &Socket| {
            let peer = &self.peers[socket.peer];
            let can_send = !peer.has_finished() && !peer.is_reset;
            let has_news = !socket.arrived.is_empty() || peer.has_finished() || peer.is_reset;
            let has_room = socket.is_full && socket.watch.is_some();
            can_send
                || has_room
                || !socket.queue.is_empty()
                || !peer.inbox.is_empty()
                || (socket.receive.is_some() && has_news)
        };
        self.is_calm()
            && self.completed.is_empty()
            && self.cancels.is_empty()
            && self.backlogs_are_empty()
            && !self.sockets.values().any(may_go_on)
            && !self.plan.is_frozen()
    }

    /// What a raw connection received and did not send back when it is closed.
    fn check_close(&mut self, slot: u32, socket: &Socket, mode: CloseMode) {
        let peer = &self.peers[socket.peer];
        if peer.is_reset {
            return;
        }
        // What the kernel has it goes on delivering, but nobody is left to see that.
        let echoed = match mode {
            CloseMode::Accounting => socket.acknowledged,
            CloseMode::Plain | CloseMode::Reset => socket.sent(),
        };
        self.unechoed += socket.delivered.saturating_sub(echoed);
        let has_unread = !socket.arrived.is_empty();
        let was_finished = peer.has_finished() && !has_unread;
        let may_leave = was_finished || self.plan.may_reset_refused(self.told.get());
        let is_lost = self.plan.is_framed() || self.plan.may_abandon(self.told.get());
        if has_unread && !self.plan.may_reset(self.told.get(), socket.fin_sent) {
            self.violate(format!("slot {slot} is closed with input unread: that resets its peer"));
        } else if mode == CloseMode::Plain && !socket.queue.is_empty() && !may_leave {
            self.violate(format!("slot {slot} is closed while its peer takes nothing: no reset"));
        } else if socket.fin_sent.is_none() && !is_lost && !was_finished {
            self.violate(format!("slot {slot} is closed before its peer finished"));
        } else if socket.fin_sent.is_none() && !is_lost {
            self.check_nothing_missing("close", slot, socket.delivered, socket.sent());
        }
    }

    fn check_nothing_missing(&mut self, what: &str, slot: u32, delivered: usize, sent: usize) {
        let is_checked = !self.plan.is_framed() && !self.plan.may_abandon(self.told.get());
        if is_checked && delivered != sent {
            self.violate(format!("{what} of slot {slot} after {sent} of {delivered} bytes"));
        }
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
        self.told.set(self.now);
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
        socket.receive = Some((token, amount));
        let is_second_user = token.generation > 0;
        if is_second_user && self.planted(Mutation::SkipTheGenerationCheck) {
            self.complete(token, false, Outcome::Received(Ok(None)));
        }
    }

    fn send(&mut self, token: Token, parts: Parts) {
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
        let socket = self.sockets.get_mut(&token.slot).expect("sends are of open connections");
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
        self.complete(token, false, Outcome::Sent(parts, result));
    }

    fn watch_writable(&mut self, token: Token) {
        self.requests += 1;
        let socket = self.socket(token.slot);
        assert!(socket.watch.is_none(), "a connection is watched once");
        socket.watch = Some(token);
        // Who begins to watch is told what is so, even if it was not full.
        socket.is_full = true;
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
            if self.step - self.last_progress > MAX_IDLE_STEPS {
                return Err(io::Error::other("stuck: nothing happens any more"));
            }
        }
        let is_idle = self.requests == 0 && self.arrived.is_empty();
        let may_be_idle = !matches!(wait, Wait::Poll | Wait::AtMost(Duration::ZERO));
        self.idle_submits = if is_idle && !may_be_idle { self.idle_submits + 1 } else { 0 };
        if self.idle_submits > MAX_IDLE_SUBMITS {
            self.violate("spins: is woken and does nothing".to_owned());
        }
        self.requests = 0;
        if self.step - self.last_progress > MAX_IDLE_STEPS {
            return Err(io::Error::other("stuck: nothing happens any more"));
        }
        Ok(())
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
                self.plan.shut_down(self.told.get(), urgency);
            }
            _ => {}
        }
        Some(completion)
    }

    fn address_of(&self, socket: &Accepted) -> Option<IpAddr> {
        let number = socket.peer.expect("an accepted socket is of a peer");
        Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + (number % 3) as u8)))
    }

    fn adopt(&mut self, slot: u32, mut accepted: Accepted) {
        let peer = accepted.peer.take().expect("a socket is adopted once");
        let socket = Socket {
            peer,
            arrived: VecDeque::new(),
            receive: None,
            is_sending: false,
            is_full: false,
            watch: None,
            queue: VecDeque::new(),
            queue_capacity: self.rng.between(1, 400),
            fin_sent: None,
            delivered: 0,
            acknowledged: 0,
        };
        assert!(self.sockets.insert(slot, socket).is_none(), "slot {slot} is used twice");
    }

    fn probe(&self, slot: u32) -> Probe {
        let socket = &self.sockets[&slot];
        let is_over = self.peers[socket.peer].is_reset;
        let fin = usize::from(socket.fin_sent.is_some() && !socket.queue.is_empty());
        Probe {
            acknowledged: socket.acknowledged as u64,
            queued: socket.queue.len() + fin,
            is_over,
        }
    }

    /// A raw connection gets its FIN when everything it sent so far has come back.
    fn shut_down_write(&mut self, slot: u32) {
        self.requests += 1;
        let now = self.told.get();
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
        let mut socket = self.sockets.remove(&slot).expect("an open connection is closed");
        assert!(
            socket.receive.is_none() && !socket.is_sending && socket.watch.is_none(),
            "slot {slot} is freed with an operation in flight"
        );
        self.check_close(slot, &socket, mode);
        let fin = usize::from(socket.fin_sent.is_some() && !socket.queue.is_empty());
        let queued = socket.queue.len() + fin;
        let peer = &mut self.peers[socket.peer];
        peer.fin_received = true;
        if mode == CloseMode::Reset {
            peer.is_reset = true;
        } else if !socket.arrived.is_empty() {
            // The kernel resets the connection: what was acknowledged can still be read.
            peer.was_cut = !socket.queue.is_empty();
        } else {
            peer.inbox.extend(socket.queue.drain(..));
        }
        match mode {
            CloseMode::Accounting if !self.planted(Mutation::ForgetUnacknowledgedBytes) => queued,
            _ => 0,
        }
    }

    fn hold_off(&mut self, listener: u32) {
        self.listeners[listener as usize].is_held_off = true;
    }

    fn accept_queued(&mut self, listener: u32) -> Result<Accepted, Errno> {
        self.requests += 1;
        let room = self.sockets.len() < self.descriptor_limit || self.is_calm();
        let fault = self.hostility.fault;
        let state = &mut self.listeners[listener as usize];
        assert!(state.accept.is_none(), "a listener is closed while it accepts");
        match state.backlog.front() {
            None => Err(Errno::AGAIN),
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
        left.len()
    }
}
