//! A kernel in which everything that is asked for has happened by the next submit, and peers that
//! answer an echo with their next message.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::driver::uring::kernel::{Kernel, may_stay};
use crate::driver::uring::receiving::Amount;
use crate::driver::{Buffers, CloseMode, TakenIn, Urgency};
use crate::lifecycle::Probe;
use crate::sys::{Completion, Lease, LeaseTable, Notify, Operation, Outcome, Parts, Token, Wait};

/// Peers of a world.
pub(super) struct Habits {
    /// Each sends one message at least.
    pub(super) connections: usize,
    /// The first of them send another when the last one has come back.
    pub(super) talkers: usize,
    /// They finish after their first message, and others come in their place.
    pub(super) ends_after_one: bool,
    pub(super) message: Vec<u8>,
}

impl Habits {
    /// So many peers go on with this message for ever.
    pub(super) fn talk(talkers: usize, message: Vec<u8>) -> Self {
        Self { connections: talkers, talkers, ends_after_one: false, message }
    }
}

pub(super) struct World {
    now: Instant,
    habits: Habits,
    echoes: u64,
    leases: LeaseTable,
    /// All buffers hold the message.
    free_buffers: Vec<u16>,
    /// By slot.
    sockets: Vec<Socket>,
    accept: Option<Token>,
    /// Peers that want to connect.
    newcomers: usize,
    arrived: VecDeque<Completion<()>>,
    /// Ends of sends that end no wait.
    silent: VecDeque<Completion<()>>,
    /// Slots whose peer may have something to send once what has arrived is seen.
    ready: Vec<u32>,
}

#[derive(Default)]
struct Socket {
    receive: Option<(Token, Amount)>,
    /// Of its message.
    sent: usize,
    acknowledged: u64,
    due: Due,
}

/// The peer's next event.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Due {
    #[default]
    Nothing,
    Message,
    Fin,
}

/// A connection holds a message that it sends, and the next one may arrive.
const BUFFERS_EACH: usize = 2;
/// Of every receive buffer.
const BUFFER_BYTES: usize = 64 << 10;
/// Time passes by so much at every submit.
const TURN_TIME: Duration = Duration::from_micros(10);

impl World {
    pub(super) fn new(habits: Habits) -> Self {
        let buffers = BUFFERS_EACH * habits.connections;
        let buffers = u16::try_from(buffers).expect("a world has some thousand connections");
        Self {
            now: Instant::now(),
            newcomers: habits.connections,
            habits,
            echoes: 0,
            leases: LeaseTable::new(buffers),
            free_buffers: (0..buffers).collect(),
            sockets: Vec::new(),
            accept: None,
            arrived: VecDeque::new(),
            silent: VecDeque::new(),
            ready: Vec::new(),
        }
    }

    /// Messages that came back whole.
    pub(super) fn echoes(&self) -> u64 {
        self.echoes
    }

    fn socket(&mut self, slot: u32) -> &mut Socket {
        &mut self.sockets[slot as usize]
    }

    fn complete(&mut self, token: Token, more: bool, outcome: Outcome<()>) {
        self.arrived.push_back(Completion { token, more, outcome });
    }

    fn connect(&mut self) {
        let Some(token) = self.accept else { return };
        for _ in 0..std::mem::take(&mut self.newcomers) {
            self.complete(token, true, Outcome::Accepted(Ok(())));
        }
    }

    /// Hands over what the peer sends, if it is being received.
    fn deliver(&mut self, slot: u32) {
        let socket = &mut self.sockets[slot as usize];
        if socket.due == Due::Nothing {
            return;
        }
        let Some((token, amount)) = socket.receive else { return };
        let is_message = std::mem::take(&mut socket.due) == Due::Message;
        let more = is_message && amount == Amount::Many;
        if !more {
            socket.receive = None;
        }
        let lease = is_message.then(|| {
            let buffer = self.free_buffers.pop().expect("there are two for each");
            self.leases.grant(buffer, self.habits.message.len() as u32)
        });
        self.complete(token, more, Outcome::Received(Ok(lease)));
    }
}

impl Buffers for World {
    type Lease = Lease;

    fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        let (_, start, length) = self.leases.locate(lease);
        &self.habits.message[start..start + length]
    }

    fn release(&mut self, lease: Lease) {
        self.free_buffers.extend(self.leases.take_back(lease));
    }

    fn may_stay(&self, length: usize) -> bool {
        let buffers = BUFFERS_EACH * self.habits.connections;
        may_stay(length, BUFFER_BYTES, self.free_buffers.len(), buffers)
    }
}

impl Kernel for World {
    type Socket = ();

    fn now(&self) -> Instant {
        self.now
    }

    fn free_buffers(&self) -> usize {
        self.free_buffers.len()
    }

    fn accept(&mut self, token: Token) {
        self.accept = Some(token);
    }

    fn receive(&mut self, token: Token, amount: Amount) {
        self.socket(token.slot).receive = Some((token, amount));
        self.ready.push(token.slot);
    }

    fn send(&mut self, token: Token, parts: Parts, notify: Notify) {
        let length = parts.len();
        let ends = match notify {
            Notify::Always => &mut self.arrived,
            Notify::OnFailure => &mut self.silent,
        };
        let outcome = Outcome::Sent(parts, Ok(length));
        ends.push_back(Completion { token, more: false, outcome });
        let (whole, ends) = (self.habits.message.len(), self.habits.ends_after_one);
        let is_talker = (token.slot as usize) < self.habits.talkers;
        let socket = self.socket(token.slot);
        socket.acknowledged += length as u64;
        socket.sent += length;
        if socket.sent < whole {
            return;
        }
        assert!(socket.sent == whole, "no more comes back than was sent");
        socket.sent = 0;
        self.echoes += 1;
        if is_talker {
            self.socket(token.slot).due = if ends { Due::Fin } else { Due::Message };
            self.ready.push(token.slot);
        }
    }

    fn watch_writable(&mut self, _: Token) {
        unreachable!("every send is taken whole");
    }

    fn watch_ready(&mut self, _: Token) {
        unreachable!("nothing is spliced");
    }

    fn give_pipe(&mut self, _: u32) -> bool {
        false
    }

    fn take_pipe_back(&mut self, _: u32, _: bool) {
        unreachable!("nobody has a pipe");
    }

    fn splice_in(&mut self, _: u32) -> Result<TakenIn, Errno> {
        unreachable!("nobody has a pipe");
    }

    fn splice_out(&mut self, _: u32, _: usize) -> Result<usize, Errno> {
        unreachable!("nobody has a pipe");
    }

    fn watch_signal(&mut self, _: Token, _: Urgency) {}

    fn cancel(&mut self, target: Token) {
        assert!(target.operation == Operation::Receive, "nothing else lasts");
        self.socket(target.slot).receive = None;
        self.complete(target, false, Outcome::Received(Err(Errno::CANCELED)));
        self.complete(target, false, Outcome::Cancelled(Ok(())));
    }

    fn submit(&mut self, _: Wait) -> io::Result<()> {
        self.now += TURN_TIME;
        if self.arrived.is_empty() {
            for index in 0..self.ready.len() {
                self.deliver(self.ready[index]);
            }
            self.ready.clear();
            self.connect();
        }
        Ok(())
    }

    fn has_completion(&mut self) -> io::Result<bool> {
        Ok(!self.arrived.is_empty())
    }

    fn next_completion(&mut self) -> Option<Completion<()>> {
        self.arrived.pop_front().or_else(|| self.silent.pop_front())
    }

    fn address_of(&self, (): &()) -> Option<IpAddr> {
        None
    }

    fn adopt(&mut self, slot: u32, (): ()) {
        let slot = slot as usize;
        if slot >= self.sockets.len() {
            self.sockets.resize_with(slot + 1, Socket::default);
        }
        self.sockets[slot] = Socket { due: Due::Message, ..Socket::default() };
    }

    fn probe(&self, slot: u32) -> Probe {
        let acknowledged = self.sockets[slot as usize].acknowledged;
        Probe { acknowledged, queued: 0, is_over: false }
    }

    fn shut_down_write(&mut self, _: u32) {}

    fn close(&mut self, slot: u32, _: CloseMode) -> usize {
        assert!(self.socket(slot).receive.is_none(), "nothing is in flight");
        self.newcomers += 1;
        0
    }

    fn hold_off(&mut self, _: u32) {
        unreachable!("nobody shuts down");
    }

    fn accept_queued(&mut self, _: u32) -> Result<(), Errno> {
        unreachable!("nobody shuts down");
    }

    fn close_listener(&mut self, _: u32) -> usize {
        unreachable!("nobody shuts down");
    }
}
