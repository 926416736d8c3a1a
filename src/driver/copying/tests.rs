//! The session between sockets that do as they please: they take what they like of what is sent,
//! give what they like of what was written, stall, reset and vanish, by readiness or by operations.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::lifecycle::{AdmissionLimits, DrainLimits, Limits};
use crate::protocol::{Config, FramedConfig, Input, Kind, Output};
use crate::sys::RingSize;
use crate::testing::wire;

/// How the driver that is played moves bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Readiness,
    Operations,
}

/// Decides the same for the same bytes; when they are used up, what helps most.
struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    /// A number from 1 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        self.0.next().map_or(most, |byte| 1 + usize::from(byte) * most / 256)
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.0.next().is_some_and(|byte| byte % 100 < percent)
    }
}

/// A socket and the peer behind it.
#[derive(Default)]
struct Peer {
    /// What the peer wrote and the server has not received.
    inbound: Vec<u8>,
    /// What the server sent.
    outbound: Vec<u8>,
    was_eof_told: bool,
    was_fin_sent: bool,
    receiving: bool,
    sending: Option<Owned>,
    is_interrupted: bool,
}

struct World {
    session: Session,
    style: Style,
    dice: Dice,
    now: Instant,
    peers: Vec<(Key, Peer)>,
}

impl World {
    fn new(style: Style, protocol: Config, budget: usize, dice: Vec<u8>) -> Self {
        let settings = Settings {
            protocol,
            limits: Limits { high_water: 2000, low_water: 500, ..Limits::default() },
            drain: DrainLimits::default(),
            ring: RingSize::default(),
            spin: Duration::ZERO,
            spill_budget: budget,
        };
        let admission = Arc::new(Admission::new(AdmissionLimits {
            max_connections: 100,
            max_per_peer: None,
            max_overflow: 64,
        }));
        let session = Session::new(settings, admission);
        let dice = Dice(dice.into_iter());
        Self { session, style, dice, now: Instant::now(), peers: Vec::new() }
    }

    fn connect(&mut self, request: &[u8]) {
        let key = self.session.admit(self.now, None).expect("there is room");
        self.peers.push((key, Peer { inbound: request.to_vec(), ..Peer::default() }));
    }

    /// Lets everything happen, in an order that the dice decide, until every connection is gone.
    fn run(&mut self) {
        for _ in 0..200_000 {
            let alive: Vec<usize> = (0..self.peers.len())
                .filter(|at| self.session.is_alive(self.peers[*at].0))
                .collect();
            if alive.is_empty() {
                return;
            }
            self.now += Duration::from_millis(1);
            self.session.handle_timeout(self.now);
            while self.session.next_dirty().is_some() {}
            let at = alive[self.dice.up_to(alive.len()) - 1];
            self.step(at);
        }
        panic!("{} connections are still there", self.session.connections.len());
    }

    /// One connection goes on until it has to wait, then something may happen to it.
    fn step(&mut self, at: usize) {
        let key = self.peers[at].0;
        loop {
            let act = self.session.advance(self.now, key);
            let peer = &mut self.peers[at].1;
            match act {
                Act::Wait(interest) => return self.happen(at, interest),
                Act::Probe => {
                    let acknowledged = peer.outbound.len() as u64;
                    let probe = Probe { acknowledged, queued: 0, is_over: false };
                    self.session.handle_probe(self.now, key, probe);
                }
                Act::SendFin => {
                    assert!(!peer.was_fin_sent, "one FIN a connection");
                    peer.was_fin_sent = true;
                }
                Act::Interrupt { is_sending } => {
                    assert!(!peer.is_interrupted, "it is interrupted once");
                    assert_eq!(is_sending, peer.sending.is_some());
                    peer.is_interrupted = true;
                }
                Act::Close(_) => {
                    assert!(!peer.receiving && peer.sending.is_none(), "nothing is in flight");
                    return;
                }
            }
        }
    }

    fn happen(&mut self, at: usize, interest: Interest) {
        match self.style {
            Style::Readiness if interest.write && self.dice.chance(60) => self.flush(at),
            Style::Readiness if interest.read => self.receive(at),
            Style::Readiness if interest.write => self.flush(at),
            Style::Readiness => {}
            Style::Operations => self.operate(at, interest),
        }
    }

    fn flush(&mut self, at: usize) {
        let (key, peer) = &mut self.peers[at];
        let waiting: Vec<u8> = self.session.outgoing(*key).flatten().copied().collect();
        let taken = self.dice.up_to(waiting.len());
        peer.outbound.extend_from_slice(&waiting[..taken]);
        self.session.handle_sent(self.now, *key, taken);
    }

    fn receive(&mut self, at: usize) {
        let (key, peer) = &mut self.peers[at];
        if peer.inbound.is_empty() {
            if !std::mem::replace(&mut peer.was_eof_told, true) {
                self.session.handle_eof(self.now, *key);
            }
            return;
        }
        let length = self.dice.up_to(peer.inbound.len());
        let piece: Vec<u8> = peer.inbound.drain(..length).collect();
        let (dice, outbound, style) = (&mut self.dice, &mut peer.outbound, self.style);
        self.session.handle_received(self.now, *key, &piece, &mut |bytes| {
            if style == Style::Operations || dice.chance(30) {
                return Ok(0);
            }
            let taken = dice.up_to(bytes.len());
            outbound.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        });
        let (held, budget) =
            (self.session.owned.staying_bytes(), self.session.settings.spill_budget);
        assert!(held <= budget, "{held} bytes of copies, {budget} allowed");
    }

    fn operate(&mut self, at: usize, interest: Interest) {
        let (key, peer) = &mut self.peers[at];
        if interest.read && !peer.receiving {
            peer.receiving = true;
            self.session.begin_receive(*key);
        }
        if interest.write
            && let Some(part) = self.session.begin_send(*key)
        {
            assert!(peer.sending.replace(part).is_none(), "one send at a time");
        }
        if self.dice.chance(50)
            && let Some(part) = peer.sending.take()
        {
            let fails = peer.is_interrupted;
            let sent = if fails { 0 } else { self.dice.up_to(part.bytes().len()) };
            peer.outbound.extend_from_slice(&part.bytes()[..sent]);
            let result = if fails { Err(Errno::PIPE) } else { Ok(sent) };
            self.session.send_ended(self.now, *key, part, result);
        } else if std::mem::take(&mut self.peers[at].1.receiving) {
            self.receive(at);
        } else {
            self.finish_send(at);
        }
    }

    fn finish_send(&mut self, at: usize) {
        let (key, peer) = &mut self.peers[at];
        let Some(part) = peer.sending.take() else { return };
        let result = if peer.is_interrupted { Err(Errno::PIPE) } else { Ok(part.bytes().len()) };
        peer.outbound.extend_from_slice(&part.bytes()[..result.unwrap_or(0)]);
        self.session.send_ended(self.now, *key, part, result);
    }

    fn assert_nothing_is_left(&self) {
        let Counters { accepted, closed, .. } = self.session.counters();
        assert_eq!((accepted, self.session.connections.len()), (closed, 0));
        assert_eq!(self.session.owned.bytes(), 0, "every copy was given up");
        assert_eq!(self.session.timers.next(), None, "no deadline outlives its connection");
    }
}

/// What the core answers to a stream that ends.
fn expected(protocol: Config, request: &[u8]) -> Vec<u8> {
    let mut connection = protocol.connection();
    let (mut reply, mut rest) = (Vec::new(), request);
    loop {
        let input = if rest.is_empty() { Input::Eof } else { Input::Data(rest) };
        let outcome = connection.handle_input(Instant::now(), input);
        while let Some(output) = connection.poll_output() {
            match output {
                Output::Forward(range) => {
                    reply.extend_from_slice(&request[range.start as usize..range.end as usize]);
                }
                Output::Emit(bytes) => reply.extend_from_slice(&bytes),
                Output::Discard(_) | Output::Close(_) => {}
            }
        }
        match (outcome, input) {
            (Ok(consumed), Input::Data(_)) => rest = &rest[consumed..],
            _ => return reply,
        }
    }
}

fn framed() -> Config {
    Config::Framed(FramedConfig { max_frame: 3000, frame_timeout: Duration::from_secs(3600) })
}

/// Frames, some spoiled, the last perhaps cut off; or any bytes.
fn request() -> impl Strategy<Value = (Config, Vec<u8>)> {
    let kind = prop_oneof![6 => Just(Kind::Echo), 3 => Just(Kind::Ping), 1 => Just(Kind::Pong)];
    let length = prop_oneof![3 => 0..64_usize, 1 => 64..3200_usize];
    let one = (kind, length, any::<u8>())
        .prop_map(|(kind, length, fill)| wire::frame(kind as u8, 9, &vec![fill; length]));
    let frames = (proptest::collection::vec(one, 0..12), 0..40_usize).prop_map(|(frames, cut)| {
        let mut bytes = frames.concat();
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(30)));
        (framed(), bytes)
    });
    let any =
        proptest::collection::vec(any::<u8>(), 0..5000).prop_map(|bytes| (Config::Raw, bytes));
    prop_oneof![frames, any]
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![Just(Style::Readiness), Just(Style::Operations)]
}

proptest! {
    #[test]
    fn every_peer_gets_its_answer_however_the_sockets_behave(
        (protocol, bytes) in request(),
        style in style(),
        dice in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let mut world = World::new(style, protocol, 1 << 20, dice);
        for _ in 0..3 {
            world.connect(&bytes);
        }
        world.run();
        let expected = expected(protocol, &bytes);
        for (_, peer) in &world.peers {
            prop_assert_eq!(&peer.outbound, &expected);
        }
        world.assert_nothing_is_left();
        let counters = world.session.counters();
        prop_assert_eq!(counters.bytes_sent, 3 * expected.len() as u64);
        prop_assert_eq!(counters.evicted, 0);
    }

    #[test]
    fn with_next_to_no_memory_the_oldest_go_and_the_budget_holds(
        (protocol, bytes) in request(),
        style in style(),
        dice in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let mut world = World::new(style, protocol, 4000, dice);
        for _ in 0..8 {
            world.connect(&bytes);
        }
        world.run();
        world.assert_nothing_is_left();
        let expected = expected(protocol, &bytes);
        let whole = world.peers.iter().filter(|(_, peer)| peer.outbound == expected).count();
        prop_assert!(whole as u64 + world.session.counters().evicted >= 8);
    }

    #[test]
    fn stopping_in_the_middle_leaves_nothing(
        (protocol, bytes) in request(),
        style in style(),
        steps in 0..60_usize,
        dice in proptest::collection::vec(any::<u8>(), 200..3000),
    ) {
        let mut world = World::new(style, protocol, 1 << 20, dice);
        for _ in 0..3 {
            world.connect(&bytes);
        }
        for step in 0..steps {
            if world.session.is_alive(world.peers[step % 3].0) {
                world.step(step % 3);
            }
        }
        world.session.stop(world.now);
        world.run();
        world.assert_nothing_is_left();
        let counters = world.session.counters();
        if protocol == Config::Raw {
            let accounted = counters.bytes_sent + counters.lost_bytes + counters.late_bytes;
            prop_assert_eq!(counters.bytes_received, accounted);
        }
    }
}

/// A session of raw connections, each with a send of `sending` bytes in flight and `waiting` bytes
/// behind it.
fn sending(connections: usize, sending: usize, waiting: usize, budget: usize) -> World {
    let mut world = World::new(Style::Operations, Config::Raw, budget, Vec::new());
    for at in 0..connections {
        world.connect(&[]);
        let (key, peer) = &mut world.peers[at];
        for length in [sending, waiting] {
            world.session.handle_received(world.now, *key, &vec![7; length], &mut |_| Ok(0));
            peer.sending = peer.sending.take().or_else(|| world.session.begin_send(*key));
        }
    }
    world
}

#[test]
fn what_an_evicted_peer_still_holds_costs_nobody_else_a_place() {
    let held = Owned::charge_for(2000) + Owned::charge_for(10);
    let mut world = sending(8, 2000, 10, 8 * held);
    let last = world.peers[7].0;
    world.session.handle_received(world.now, last, &[7; 500], &mut |_| Ok(0));
    assert_eq!(world.session.counters().evicted, 1);
    world.session.stop(world.now);
    world.run();
    world.assert_nothing_is_left();
}

#[test]
fn a_driver_is_not_told_of_what_it_told() {
    let mut world = sending(2, 100, 100, 1 << 20);
    let [first, second] = [world.peers[0].0, world.peers[1].0];
    while world.session.next_dirty().is_some() {}
    world.session.handle_received(world.now, first, &[7; 500], &mut |_| Ok(0));
    world.session.handle_eof(world.now, second);
    assert_eq!(world.session.next_dirty(), None);
    world.session.drain(world.now);
    assert!(world.session.next_dirty().is_some() && world.session.next_dirty().is_some());
}
