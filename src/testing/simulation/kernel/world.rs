//! Events that come by themselves: time, peers, the network, and requests that make progress.

use std::collections::VecDeque;
use std::io::Read;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::{Accepted, FakeKernel, Request, Signal, Socket};
use crate::driver::uring::receiving::Amount;
use crate::sys::{Completion, Lease, Operation, Outcome};
use crate::testing::simulation::conditions::Hostility;
use crate::testing::simulation::plan::Event;

impl FakeKernel {
    /// Lets some time pass: the world's plan goes on, peers act, requests progress.
    pub(super) fn work(&mut self) {
        self.step += 1;
        self.pass_time();
        let backlogs_are_empty = self.backlogs_are_empty();
        let is_served = self.sockets.is_empty() && backlogs_are_empty;
        for event in self.plan.events(&mut self.rng, self.step, is_served) {
            self.happen(event);
        }
        for slot in self.sockets.slots() {
            if self.sockets.get(slot).is_some() {
                self.let_peer_act(slot);
                self.deliver(slot);
                self.progress_receive(slot);
                self.progress_watch(slot);
                self.progress_ready_watch(slot);
            }
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
                    listener.has_changed = true;
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

    fn let_peer_act(&mut self, slot: u32) {
        let calm = self.is_calm();
        let socket = self.sockets.get_mut(slot).expect("its socket is open");
        let peer = &mut self.peers[socket.peer];
        if self.rng.chance(60) {
            let had_finished = peer.has_finished();
            let room = 2_000_usize.saturating_sub(socket.arrived.len());
            let sent = peer.send(&mut self.rng, room, calm);
            if !sent.is_empty() {
                self.last_progress = self.step;
                socket.has_changed = true;
            }
            socket.arrived.extend(sent);
            socket.has_changed |= peer.has_finished() && !had_finished;
        }
        if peer.resets() {
            socket.has_changed = true;
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
        let socket = self.sockets.get_mut(slot).expect("its socket is open");
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
            socket.has_changed |= socket.is_full;
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

    pub(super) fn accepted(&self, peer: usize) -> Accepted {
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
        let has_arrived =
            |completion: &&Completion<_>| completion.token.operation == Operation::Accept;
        self.completed.iter().map(of_request).sum::<usize>()
            + self.arrived.iter().filter(has_arrived).count()
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
        let socket = self.sockets.get_mut(slot).expect("its socket is open");
        let Some((token, amount)) = socket.receive else { return false };
        let peer = &self.peers[socket.peer];
        let is_empty = socket.arrived.is_empty();
        let failure = if peer.is_reset {
            Some(Errno::CONNRESET)
        } else if self.free_buffers.is_empty() && (!is_empty || self.rng.chance(fault)) {
            Some(Errno::NOBUFS)
        } else if self.rng.chance(fault) {
            Some(*self.rng.pick(&[Errno::INTR, Errno::AGAIN, Errno::CANCELED]))
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
        let socket = self.sockets.get_mut(slot).expect("the caller has it");
        let buffer = self.free_buffers.pop_front().expect("the caller saw one");
        let memory = &mut self.buffers[usize::from(buffer)];
        let longest = memory.len().min(socket.arrived.len());
        let is_short = self.rng.chance(self.hostility.short);
        let length = if is_short { self.rng.between(1, longest) } else { longest };
        let received = socket.arrived.read_exact(&mut memory[..length]);
        received.expect("no more is received than arrived");
        self.last_progress = self.step;
        self.leases.grant(buffer, length as u32)
    }

    /// Reports room to whoever watches, and now and then nothing at all.
    fn progress_watch(&mut self, slot: u32) {
        let fault = self.hostility.fault;
        let socket = self.sockets.get_mut(slot).expect("its socket is open");
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

    /// Reports changes to who splices, and now and then what is none.
    fn progress_ready_watch(&mut self, slot: u32) {
        let fault = self.hostility.fault;
        let socket = self.sockets.get_mut(slot).expect("its socket is open");
        let Some(token) = socket.ready_watch else { return };
        if !std::mem::take(&mut socket.has_changed) && !self.rng.chance(fault) {
            return;
        }
        let more = !self.rng.chance(fault);
        if !more {
            socket.ready_watch = None;
        }
        self.complete(token, more, Outcome::Ready);
    }

    /// Returns whether nothing will happen until somebody asks for something or a time comes.
    pub(super) fn is_quiet(&self) -> bool {
        let may_go_on = |socket: &Socket| {
            let peer = &self.peers[socket.peer];
            let can_send = !peer.has_finished() && !peer.is_reset;
            let has_news = !socket.arrived.is_empty() || peer.has_finished() || peer.is_reset;
            let has_room = socket.is_full && socket.watch.is_some();
            let is_watched = socket.ready_watch.is_some() || socket.key.is_some();
            let is_ready = socket.has_changed && is_watched;
            can_send
                || has_room
                || is_ready
                || !socket.queue.is_empty()
                || !peer.inbox.is_empty()
                || (socket.receive.is_some() && has_news)
        };
        let has_changed = self.listeners.iter().any(|listener| listener.has_changed);
        self.is_calm()
            && !has_changed
            && self.completed.is_empty()
            && self.cancels.is_empty()
            && self.backlogs_are_empty()
            && !self.sockets.iter().any(may_go_on)
            && !self.plan.is_frozen()
    }
}
