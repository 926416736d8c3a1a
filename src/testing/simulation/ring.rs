//! A ring and the kernel behind it, made of plain memory and a seed.
//!
//! It keeps what a real ring promises and nothing more: completions of one request stay in order
//! and the last one says that no more follow; between requests any order and any delay is fair.
//! Everything a real kernel may do to a request, some seed does here.

use std::collections::{BTreeMap, VecDeque};

use rustix::io::Errno;

use super::conditions::Hostility;
use super::mutation::Mutation;
use super::peer::Peer;
use super::rng::Rng;
use crate::driver::uring::receiving::Amount;
use crate::sys::{Lease, LeaseTable, Operation, Part, SendBatch, Token};

/// What the ring tells the session.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) token: Token,
    pub(super) more: bool,
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// The peer with this number was accepted.
    Accepted(Result<usize, Errno>),
    Received(Result<Option<Lease>, Errno>),
    Sent(SendBatch, Result<usize, Errno>),
}

#[derive(Debug)]
pub(super) struct FakeRing {
    pub(super) peers: Vec<Peer>,
    hostility: Hostility,
    mutation: Option<Mutation>,
    leases: LeaseTable,
    buffers: Vec<Vec<u8>>,
    free_buffers: VecDeque<u16>,
    /// Peers that connected and were not accepted, by listener.
    backlogs: Vec<VecDeque<usize>>,
    accepts: Vec<Option<Token>>,
    held_off: Vec<bool>,
    sockets: BTreeMap<u32, Socket>,
    /// Cancels that have not acted yet.
    cancels: Vec<Token>,
    /// Completions by request, each queue in the order in which they were made.
    completed: Vec<(Token, VecDeque<Completion>)>,
    descriptor_limit: usize,
}

#[derive(Debug)]
struct Socket {
    peer: usize,
    /// Sent by the peer and not yet received.
    arrived: VecDeque<u8>,
    receive: Option<(Token, Amount)>,
    send: Option<Sending>,
    fin_sent: bool,
    flow: Flow,
}

#[derive(Debug)]
struct Sending {
    token: Token,
    batch: SendBatch,
    done: usize,
}

impl FakeRing {
    pub(super) fn new(
        rng: &mut Rng,
        hostility: Hostility,
        mutation: Option<Mutation>,
        listeners: usize,
    ) -> Self {
        let count = rng.between(1, 12) as u16;
        let size = *rng.pick(&[1, 16, 100, 512, 4096]);
        Self {
            peers: Vec::new(),
            hostility,
            mutation,
            leases: LeaseTable::new(count),
            buffers: (0..count).map(|_| vec![0; size]).collect(),
            free_buffers: (0..count).collect(),
            backlogs: vec![VecDeque::new(); listeners],
            accepts: vec![None; listeners],
            held_off: vec![false; listeners],
            sockets: BTreeMap::new(),
            cancels: Vec::new(),
            completed: Vec::new(),
            descriptor_limit: if rng.chance(20) { rng.between(1, 4) } else { usize::MAX },
        }
    }

    pub(super) fn buffer_count(&self) -> usize {
        self.buffers.len()
    }

    /// Ends the hostility: from now on everything happens soon.
    pub(super) fn calm_down(&mut self) {
        self.hostility = Hostility::CALM;
    }

    pub(super) fn is_calm(&self) -> bool {
        self.hostility == Hostility::CALM
    }

    /// Whether nothing happens in it until somebody asks for something.
    pub(super) fn is_quiet(&self) -> bool {
        let may_go_on = |socket: &Socket| {
            let peer = &self.peers[socket.peer];
            let can_send = !peer.has_finished() && !peer.is_reset;
            let has_news = !socket.arrived.is_empty() || peer.has_finished() || peer.is_reset;
            can_send || !peer.inbox.is_empty() || (socket.receive.is_some() && has_news)
        };
        self.completed.is_empty()
            && self.cancels.is_empty()
            && self.backlogs_are_empty()
            && !self.sockets.values().any(may_go_on)
    }

    /// A peer connects to a listener, unless that lets nobody in any more.
    pub(super) fn connect(&mut self, rng: &mut Rng, peer: Peer) {
        let listener = rng.below(self.backlogs.len());
        if !self.held_off[listener] {
            self.backlogs[listener].push_back(self.peers.len());
            self.peers.push(peer);
        }
    }

    pub(super) fn accept(&mut self, token: Token) {
        let accept = &mut self.accepts[token.slot as usize];
        assert!(accept.is_none(), "a listener has one accept in flight");
        *accept = Some(token);
    }

    pub(super) fn receive(&mut self, token: Token, amount: Amount) {
        let socket = self.socket(token.slot);
        assert!(socket.receive.is_none(), "a connection has one receive in flight");
        socket.receive = Some((token, amount));
    }

    pub(super) fn send(&mut self, token: Token, batch: SendBatch) {
        if self.mutation == Some(Mutation::RecycleBeforeSendCompletes) {
            for part in batch.parts() {
                if let Part::Leased(lease) = part {
                    let (buffer, start, length) = self.leases.locate(lease);
                    self.buffers[usize::from(buffer)][start..start + length].fill(0xee);
                }
            }
        }
        let socket = self.socket(token.slot);
        assert!(socket.send.is_none(), "a connection has one send in flight");
        assert!(!socket.fin_sent, "nothing is sent after FIN");
        socket.send = Some(Sending { token, batch, done: 0 });
    }

    pub(super) fn cancel(&mut self, target: Token) {
        self.cancels.push(target);
    }

    /// The session sends FIN.
    pub(super) fn shut_down_write(&mut self, slot: u32) -> Flow {
        let socket = self.socket(slot);
        assert!(socket.send.is_none(), "FIN overtakes a send");
        assert!(!socket.fin_sent, "there is one FIN");
        socket.fin_sent = true;
        let (flow, peer) = (socket.flow, socket.peer);
        self.peers[peer].fin_received = true;
        flow
    }

    /// The session closes a connection; nothing may be in flight for it.
    pub(super) fn close(&mut self, slot: u32) -> Closed {
        let early = self.completed.iter().any(|(token, _)| names(token, slot));
        assert!(!early, "slot {slot} is freed before its last completion");
        let socket = self.sockets.remove(&slot).expect("an open connection is closed");
        assert!(
            socket.receive.is_none() && socket.send.is_none(),
            "slot {slot} is freed with an operation in flight"
        );
        let had_unread_input = !socket.arrived.is_empty();
        let peer = &mut self.peers[socket.peer];
        peer.fin_received = true;
        if had_unread_input {
            // The kernel resets the connection, and what the peer has not read is gone.
            peer.inbox.clear();
            peer.was_cut = true;
        }
        Closed {
            peer: socket.peer,
            had_unread_input,
            was_finished: peer.has_finished() && socket.arrived.is_empty(),
            flow: socket.flow,
        }
    }

    pub(super) fn backlogs_are_empty(&self) -> bool {
        self.backlogs.iter().all(VecDeque::is_empty) && self.accepts_on_their_way() == 0
    }

    /// No peer reaches this listener any more; those in its queue stay there.
    pub(super) fn hold_off(&mut self, index: u32) {
        self.held_off[index as usize] = true;
    }

    /// Closes a listener, unless descriptors run out before its queue is empty; returns the peers
    /// taken from the queue, and whether it is closed.
    pub(super) fn close_listener(&mut self, index: u32, at_any_rate: bool) -> (Vec<usize>, bool) {
        let listener = index as usize;
        assert!(self.accepts[listener].is_none(), "a listener is closed while it accepts");
        assert!(self.held_off[listener], "a listener is closed while peers connect");
        let room = self.descriptor_limit.saturating_sub(self.sockets.len());
        let waiting = self.backlogs[listener].len();
        let taken = if self.is_calm() { waiting } else { waiting.min(room) };
        let peers = self.backlogs[listener].drain(..taken).collect();
        if at_any_rate {
            for peer in self.backlogs[listener].drain(..) {
                self.peers[peer].is_reset = true;
            }
        }
        (peers, self.backlogs[listener].is_empty())
    }

    /// Bytes that the peer's side has taken of what the session sends.
    pub(super) fn bytes_taken(&self, slot: u32) -> u64 {
        let socket = &self.sockets[&slot];
        let in_progress = socket.send.as_ref().map_or(0, |sending| sending.done);
        (socket.flow.echoed + in_progress) as u64
    }

    /// Takes a lease back; says whether that freed its buffer.
    pub(super) fn recycle(&mut self, lease: Lease) -> bool {
        let freed = self.leases.take_back(lease);
        if let Some(buffer) = freed {
            self.buffers[usize::from(buffer)].fill(0xdd);
            self.free_buffers.push_back(buffer);
        }
        freed.is_some()
    }

    pub(super) fn bytes(&self, lease: &Lease) -> &[u8] {
        let (buffer, start, length) = self.leases.locate(lease);
        &self.buffers[usize::from(buffer)][start..start + length]
    }

    pub(super) fn leased_buffers(&self) -> usize {
        self.leases.leased_buffers()
    }

    /// Attaches an accepted peer to the slot that the session gave it.
    pub(super) fn adopt(&mut self, slot: u32, peer: usize) {
        let socket = Socket {
            peer,
            arrived: VecDeque::new(),
            receive: None,
            send: None,
            fin_sent: false,
            flow: Flow::default(),
        };
        assert!(self.sockets.insert(slot, socket).is_none(), "slot {slot} is used twice");
    }

    /// Lets some time pass: peers act, requests progress.
    pub(super) fn work(&mut self, rng: &mut Rng) -> Result<(), String> {
        let calm = self.hostility == Hostility::CALM;
        let slots: Vec<u32> = self.sockets.keys().copied().collect();
        for slot in slots {
            self.let_peer_act(rng, slot, calm)?;
            self.progress_receive(rng, slot);
            self.progress_send(rng, slot);
        }
        for listener in 0..self.accepts.len() {
            self.progress_accept(rng, listener);
        }
        for _ in 0..self.cancels.len() {
            if !rng.chance(self.hostility.delay) {
                let target = self.cancels.swap_remove(rng.below(self.cancels.len()));
                self.carry_out_cancel(target);
            }
        }
        Ok(())
    }

    /// A completion that arrives now, if one does.
    pub(super) fn next_completion(&mut self, rng: &mut Rng) -> Option<Completion> {
        if self.completed.is_empty() || rng.chance(self.hostility.delay) {
            return None;
        }
        let index = rng.below(self.completed.len());
        let queue = &mut self.completed[index].1;
        let mut completion = queue.pop_front().expect("no queue is kept empty");
        if queue.is_empty() {
            self.completed.swap_remove(index);
        }
        self.count_delivered(&completion);
        self.lie(&mut completion).then_some(completion)
    }

    fn socket(&mut self, slot: u32) -> &mut Socket {
        self.sockets.get_mut(&slot).expect("operations are of open connections")
    }

    fn count_delivered(&mut self, completion: &Completion) {
        if let Outcome::Received(Ok(Some(lease))) = &completion.outcome {
            self.socket(completion.token.slot).flow.delivered += lease.len();
        }
    }

    /// Tells the session what a bug of its own would have made it believe; says whether it is told
    /// at all.
    fn lie(&self, completion: &mut Completion) -> bool {
        match (self.mutation, &mut completion.outcome) {
            (Some(Mutation::ForgetParkedConnections), Outcome::Received(Err(Errno::NOBUFS))) => {
                return false;
            }
            (Some(Mutation::IgnoreTheEndOfAMultishot), Outcome::Received(Ok(Some(_)))) => {
                completion.more = true;
            }
            (Some(Mutation::DropTheRestOfAShortSend), Outcome::Sent(batch, Ok(sent))) => {
                *sent = batch.parts().map(Part::len).sum();
            }
            _ => {}
        }
        true
    }

    fn let_peer_act(&mut self, rng: &mut Rng, slot: u32, calm: bool) -> Result<(), String> {
        let socket = self.sockets.get_mut(&slot).expect("the slot was just listed");
        let peer = &mut self.peers[socket.peer];
        let failure = |reason| format!("peer {}: {reason}", socket.peer);
        if rng.chance(60) {
            let room = 2_000_usize.saturating_sub(socket.arrived.len());
            socket.arrived.extend(peer.send(rng, room, calm));
        }
        if peer.resets() {
            peer.is_reset = true;
            peer.inbox.clear();
        }
        peer.read(rng, calm).map_err(failure)
    }

    fn progress_accept(&mut self, rng: &mut Rng, listener: usize) {
        let Some(token) = self.accepts[listener] else { return };
        let out_of_descriptors =
            self.sockets.len() + self.accepts_on_their_way() >= self.descriptor_limit;
        let result = match self.backlogs[listener].front() {
            _ if out_of_descriptors && self.hostility != Hostility::CALM => Err(Errno::MFILE),
            Some(_) if rng.chance(self.hostility.fault) => Err(Errno::CONNABORTED),
            Some(&peer) => {
                self.backlogs[listener].pop_front();
                Ok(peer)
            }
            None => return,
        };
        let more = result.is_ok() && !rng.chance(self.hostility.fault);
        if !more {
            self.accepts[listener] = None;
        }
        self.complete(token, more, Outcome::Accepted(result));
    }

    fn accepts_on_their_way(&self) -> usize {
        let accepts = |(token, queue): &(Token, VecDeque<Completion>)| {
            if token.operation == Operation::Accept { queue.len() } else { 0 }
        };
        self.completed.iter().map(accepts).sum()
    }

    /// One receive, or up to 32 for a multishot: as the kernel does before it lets anybody look.
    fn progress_receive(&mut self, rng: &mut Rng, slot: u32) {
        let most = if rng.chance(20) { 32 } else { 1 };
        for _ in 0..most {
            if rng.chance(self.hostility.delay) || !self.receive_once(rng, slot) {
                return;
            }
        }
    }

    /// Says whether the operation goes on.
    fn receive_once(&mut self, rng: &mut Rng, slot: u32) -> bool {
        let socket = self.sockets.get_mut(&slot).expect("the slot was just listed");
        let Some((token, amount)) = socket.receive else { return false };
        let peer = &self.peers[socket.peer];
        let is_empty = socket.arrived.is_empty();
        let failure = if peer.is_reset {
            Some(Errno::CONNRESET)
        } else if self.free_buffers.is_empty() && (!is_empty || rng.chance(self.hostility.fault)) {
            Some(Errno::NOBUFS)
        } else if rng.chance(self.hostility.fault) {
            Some(*rng.pick(&[Errno::INTR, Errno::AGAIN]))
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
        let lease = self.fill_buffer(rng, slot);
        let more = amount == Amount::Many && !rng.chance(self.hostility.fault);
        if !more {
            self.socket(slot).receive = None;
        }
        self.complete(token, more, Outcome::Received(Ok(Some(lease))));
        more
    }

    fn fill_buffer(&mut self, rng: &mut Rng, slot: u32) -> Lease {
        let socket = self.sockets.get_mut(&slot).expect("the caller has it");
        let buffer = self.free_buffers.pop_front().expect("the caller saw one");
        let memory = &mut self.buffers[usize::from(buffer)];
        let longest = memory.len().min(socket.arrived.len());
        let length =
            if rng.chance(self.hostility.short) { rng.between(1, longest) } else { longest };
        for byte in &mut memory[..length] {
            *byte = socket.arrived.pop_front().expect("no more is received than arrived");
        }
        self.leases.grant(buffer, length as u32)
    }

    fn progress_send(&mut self, rng: &mut Rng, slot: u32) {
        let socket = self.sockets.get_mut(&slot).expect("the slot was just listed");
        let Some(sending) = &mut socket.send else { return };
        let peer = &mut self.peers[socket.peer];
        if peer.is_reset {
            let error = *rng.pick(&[Errno::CONNRESET, Errno::PIPE]);
            return self.end_send(slot, Some(error));
        }
        let room = peer.inbox_capacity.saturating_sub(peer.inbox.len());
        let length: usize = sending.batch.parts().map(Part::len).sum();
        let most = room.min(length - sending.done);
        let taken = if rng.chance(self.hostility.short) { rng.between(0, most) } else { most };
        let bytes = sending.batch.parts().flat_map(|part| match part {
            Part::Leased(lease) => {
                let (buffer, start, length) = self.leases.locate(lease);
                &self.buffers[usize::from(buffer)][start..start + length]
            }
            Part::Owned(owned) => owned.bytes(),
        });
        peer.inbox.extend(bytes.skip(sending.done).take(taken));
        sending.done += taken;
        if sending.done == length {
            self.end_send(slot, None);
        } else if rng.chance(self.hostility.fault) {
            // With something sent this is a short send, otherwise it fails.
            let error = *rng.pick(&[Errno::INTR, Errno::AGAIN]);
            self.end_send(slot, Some(error));
        }
    }

    fn end_send(&mut self, slot: u32, error: Option<Errno>) {
        let socket = self.sockets.get_mut(&slot).expect("the caller has it");
        let Some(Sending { token, batch, done }) = socket.send.take() else { return };
        socket.flow.echoed += done;
        let result = error.filter(|_| done == 0).map_or(Ok(done), Err);
        self.complete(token, false, Outcome::Sent(batch, result));
    }

    fn carry_out_cancel(&mut self, target: Token) {
        match target.operation {
            Operation::Accept => {
                if self.accepts[target.slot as usize].take().is_some() {
                    self.complete(target, false, Outcome::Accepted(Err(Errno::CANCELED)));
                }
            }
            Operation::Receive => {
                let Some(socket) = self.sockets.get_mut(&target.slot) else { return };
                if socket.receive.is_some_and(|(token, _)| token == target) {
                    socket.receive = None;
                    self.complete(target, false, Outcome::Received(Err(Errno::CANCELED)));
                }
            }
            Operation::Send => {
                let Some(socket) = self.sockets.get(&target.slot) else { return };
                if socket.send.as_ref().is_some_and(|sending| sending.token == target) {
                    self.end_send(target.slot, Some(Errno::CANCELED));
                }
            }
            Operation::Cancel | Operation::Readable => unreachable!("the session cancels neither"),
        }
    }

    fn complete(&mut self, token: Token, more: bool, outcome: Outcome) {
        let completion = Completion { token, more, outcome };
        match self.completed.iter_mut().find(|(of, _)| *of == token) {
            Some((_, queue)) => queue.push_back(completion),
            None => self.completed.push((token, VecDeque::from([completion]))),
        }
    }
}

/// How a connection stood when the session closed it.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) peer: usize,
    pub(super) had_unread_input: bool,
    /// The peer's FIN had arrived with everything before it.
    pub(super) was_finished: bool,
    pub(super) flow: Flow,
}

/// Bytes of a connection that the session was told of, and bytes that it sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    pub(super) delivered: usize,
    pub(super) echoed: usize,
}

fn names(token: &Token, slot: u32) -> bool {
    token.slot == slot && matches!(token.operation, Operation::Receive | Operation::Send)
}
