//! The native driver's real session over a fake ring, under faults that a seed decides.
//!
//! After TigerBeetle's message-bus fuzzer: completions are delayed and reordered, receives and
//! sends cut short, multishots ended without cause, buffers and descriptors run out, peers stall,
//! half-close, reset and send garbage, and the shutdown starts at any moment. Time is virtual.
//!
//! A run fails, by a panic that names the seed, when a byte is lost, duplicated or reordered, a
//! lease does not return, a slot is freed early or never, an operation is in flight twice, or
//! anything is stuck.

mod conditions;
mod mutation;
mod peer;
mod ring;
mod rng;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::conditions::{DRAIN, Hostility, Scarcity, settings};
pub use self::mutation::Mutation;
use self::peer::Peer;
use self::ring::{Completion, FakeRing, Flow, Outcome};
use self::rng::Rng;
use crate::driver::uring::outbox::Submission;
use crate::driver::uring::session::Session;
use crate::lifecycle::{Admission, AdmissionLimits, Probe};
use crate::metrics::Counters;
use crate::sys::{Operation, SendBatch};

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// Steps of hostile time before everything calms down and has to end well.
    pub steps: usize,
    /// A bug to plant.
    pub mutation: Option<Mutation>,
}

/// What a run went through, so that tests can tell that seeds reach what they are for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// What the session counted.
    pub counters: Counters,
    /// Peers that reset their connection or were reset.
    pub resets: usize,
    /// Whether the shutdown began while the world was hostile.
    pub hostile_shutdown: bool,
    /// Whether losses could be compared to the byte, and there were some.
    pub exact_losses: bool,
}

/// Runs one seed to its end.
///
/// # Panics
///
/// When a promise is broken.
pub fn run(options: Options) -> Report {
    run_script(options, &[])
}

/// Runs decisions that are written out, two bytes each; where they end, those of the seed go on.
///
/// # Panics
///
/// When a promise is broken.
pub fn run_script(options: Options, script: &[u8]) -> Report {
    let mut world = World::new(options, script);
    let result = world.run();
    if let Err(reason) = result {
        panic!("seed {}, step {}: {reason}", options.seed, world.step);
    }
    world.report()
}

struct World {
    options: Options,
    rng: Rng,
    now: Instant,
    step: usize,
    session: Session,
    ring: FakeRing,
    is_framed: bool,
    peers_reset: bool,
    scarcity: Scarcity,
    peers_to_come: usize,
    shutdown: Option<Shutdown>,
    /// When the connections in these slots got their FIN from us.
    fin_sent: HashMap<u32, Instant>,
    recycled: usize,
    idle_turns: usize,
    /// Bytes that raw connections were told of and did not send, by the time they were closed.
    unechoed: usize,
    is_frozen: bool,
    /// The driver was started or signalled, and has not looked yet.
    is_told: bool,
}

/// When and how the server was told to end.
#[derive(Debug, Clone, Copy)]
struct Shutdown {
    deadline: Instant,
    hostile: bool,
}

/// What the core can have to say to one peer of the simulation at once: some PONGs, a GOAWAY and
/// an ERROR with what each is charged.
const OWN_WORDS: usize = 40 * 256;

/// Steps without any progress after which a calm world will never make any: far more than it takes
/// virtual time to reach every deadline.
const PATIENCE: usize = 20_000;

impl World {
    fn new(options: Options, script: &[u8]) -> Self {
        let mut rng = Rng::new(options.seed, script);
        let hostility = Hostility::random(&mut rng);
        let listeners = rng.between(1, 2);
        let ring = FakeRing::new(&mut rng, hostility, options.mutation, listeners);
        let is_framed = rng.chance(50);
        let scarcity = Scarcity::random(&mut rng);
        let settings = settings(&mut rng, is_framed, scarcity);
        let admission = Arc::new(Admission::new(AdmissionLimits {
            max_connections: scarcity.places,
            max_per_peer: None,
            max_overflow: 64,
        }));
        Self {
            options,
            now: Instant::now(),
            step: 0,
            session: Session::new(settings, admission, listeners, ring.buffer_count()),
            ring,
            is_framed,
            peers_reset: rng.chance(50),
            scarcity,
            peers_to_come: rng.between(1, 25),
            shutdown: None,
            fin_sent: HashMap::new(),
            recycled: 0,
            idle_turns: 0,
            unechoed: 0,
            is_frozen: false,
            is_told: true,
            rng,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let shutdown_at =
            if self.rng.chance(40) { self.rng.below(self.options.steps) } else { usize::MAX };
        self.turn()?;
        let stop_at =
            if self.rng.chance(15) { self.rng.below(self.options.steps) } else { usize::MAX };
        while self.step < self.options.steps {
            if self.step == stop_at {
                return self.stop();
            }
            if self.peers_to_come > 0 && self.rng.chance(5) {
                self.connect_peer();
            }
            if self.step == shutdown_at {
                self.shut_down(true);
            }
            self.turn()?;
        }
        self.end_well()
    }

    /// The server is told to end at once: it does, in no time.
    fn stop(&mut self) -> Result<(), String> {
        self.shutdown = Some(Shutdown { deadline: self.now, hostile: true });
        self.session.stop(self.now);
        self.is_told = true;
        self.is_frozen = true;
        self.run_until("the session has stopped", |world| world.session.is_finished())?;
        self.check_leases()?;
        self.check_losses()
    }

    /// Everything calms down, every peer finishes, and nothing may be left.
    fn end_well(&mut self) -> Result<(), String> {
        self.ring.calm_down();
        while self.peers_to_come > 0 && self.shutdown.is_none() {
            self.connect_peer();
        }
        self.run_until("every peer is served", |world| {
            world.shutdown.is_some()
                || world.session.connection_count() == 0 && world.ring.backlogs_are_empty()
        })?;
        if self.shutdown.is_none() {
            self.shut_down(false);
        }
        self.run_until("the session has finished", |world| world.session.is_finished())?;
        self.check_leases()?;
        self.check_losses()?;
        let served = !self.shutdown.is_some_and(|shutdown| shutdown.hostile)
            && self.scarcity == Scarcity::NONE;
        for (number, peer) in self.ring.peers.iter_mut().enumerate() {
            peer.end(served).map_err(|reason| format!("peer {number}: {reason}"))?;
        }
        Ok(())
    }

    fn check_leases(&self) -> Result<(), String> {
        match self.ring.leased_buffers() {
            0 => Ok(()),
            count => Err(format!("{count} buffers never came back")),
        }
    }

    /// Every received byte that did not go back is accounted for.
    fn check_losses(&self) -> Result<(), String> {
        let Counters { lost_bytes, late_bytes, .. } = self.session.counters();
        if self.losses_are_exact() && self.unechoed as u64 != lost_bytes + late_bytes {
            return Err(format!(
                "{} bytes were not echoed, but {lost_bytes} counted as lost and {late_bytes} late",
                self.unechoed
            ));
        }
        Ok(())
    }

    fn losses_are_exact(&self) -> bool {
        !self.is_framed
            && self.scarcity == Scarcity::NONE
            && self.ring.peers.iter().all(|peer| !peer.is_reset)
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<(), String> {
        let mut last_progress = (self.step, self.session.counters());
        while !done(self) {
            if last_progress.1 != self.session.counters() {
                last_progress = (self.step, self.session.counters());
            } else if self.step - last_progress.0 > PATIENCE {
                return Err(format!("stuck: never came to where {what}"));
            }
            self.turn()?;
        }
        Ok(())
    }

    fn connect_peer(&mut self) {
        self.peers_to_come -= 1;
        let peer = Peer::new(&mut self.rng, self.is_framed, self.peers_reset);
        self.ring.connect(&mut self.rng, peer);
    }

    fn shut_down(&mut self, hostile: bool) {
        self.shutdown = Some(Shutdown { deadline: self.now + DRAIN.timeout, hostile });
        self.session.drain(self.now);
        self.is_told = true;
    }

    /// A moment of the world's time, and one turn of the driver's loop if that wakes it.
    fn turn(&mut self) -> Result<(), String> {
        self.step += 1;
        self.pass_time();
        self.ring.work(&mut self.rng)?;
        let mut is_awake = std::mem::take(&mut self.is_told) || self.session.wants_turn();
        is_awake |= self.is_due();
        let mut has_news = false;
        for _ in 0..self.rng.between(0, 20) {
            let Some(completion) = self.ring.next_completion(&mut self.rng) else { break };
            self.handle(completion);
            has_news = true;
        }
        if !is_awake && !has_news {
            self.sleep_until_something_is_due();
            return Ok(());
        }
        self.session.handle_timeout(self.now);
        self.session.settle(self.now);
        while let Some(submission) = self.session.poll_submission() {
            self.carry_out(submission)?;
            has_news = true;
        }
        self.check_no_spin(has_news)?;
        self.check_memory()
    }

    fn is_due(&self) -> bool {
        self.session.deadline().is_some_and(|deadline| deadline <= self.now)
    }

    /// In a calm world nothing but a deadline wakes a driver that no completion wakes.
    fn sleep_until_something_is_due(&mut self) {
        let nothing_to_come = self.ring.is_calm() && self.ring.is_quiet() && !self.is_frozen;
        if let Some(deadline) = self.session.deadline().filter(|_| nothing_to_come) {
            self.now = self.now.max(deadline);
        }
    }

    /// A driver that is woken again and again for nothing burns a CPU.
    fn check_no_spin(&mut self, has_news: bool) -> Result<(), String> {
        let is_woken_again = self.is_due() || self.session.wants_turn();
        self.idle_turns = if is_woken_again && !has_news { self.idle_turns + 1 } else { 0 };
        if self.idle_turns > 20 {
            return Err("spins: is woken and does nothing".to_owned());
        }
        Ok(())
    }

    /// Copies stay within the budget. What the core itself has to say comes on top, and goes with
    /// the connection that waited longest when the turn settles.
    fn check_memory(&self) -> Result<(), String> {
        let limit = self.scarcity.memory.saturating_add(self.ring.peers.len() * OWN_WORDS);
        match self.session.owned_bytes() {
            owned if owned > limit => Err(format!("{owned} bytes of copies, {limit} allowed")),
            _ => Ok(()),
        }
    }

    fn pass_time(&mut self) {
        if self.is_frozen {
            return;
        }
        self.now += Duration::from_micros(self.rng.below(1_000) as u64);
        if self.rng.chance(1) {
            self.now += Duration::from_millis(self.rng.below(200) as u64);
        }
    }

    fn handle(&mut self, completion: Completion) {
        let Completion { token, more, outcome } = completion;
        match outcome {
            Outcome::Accepted(Ok(peer)) => {
                let slot = self.session.handle_accepted(self.now, token, more, Ok(None));
                self.settle_in(slot, peer);
            }
            Outcome::Accepted(Err(error)) => {
                self.session.handle_accepted(self.now, token, more, Err(error));
            }
            Outcome::Received(Ok(Some(lease))) => {
                let bytes = self.ring.bytes(&lease);
                self.session.handle_received(self.now, token, more, Ok(Some((lease, bytes))));
            }
            Outcome::Received(Ok(None)) => {
                self.session.handle_received(self.now, token, more, Ok(None));
            }
            Outcome::Received(Err(error)) => {
                self.session.handle_received(self.now, token, more, Err(error));
            }
            Outcome::Sent(batch, result) => {
                self.session.handle_sent(self.now, token, batch, result);
            }
        }
    }

    /// Gives an accepted peer its slot; one that gets none is closed.
    fn settle_in(&mut self, slot: Option<u32>, peer: usize) {
        match slot {
            Some(slot) => self.ring.adopt(slot, peer),
            None => self.ring.peers[peer].is_reset = true,
        }
    }

    fn carry_out(&mut self, submission: Submission) -> Result<(), String> {
        match submission {
            Submission::Accept(token) => self.ring.accept(token),
            Submission::Receive(token, amount) => {
                self.ring.receive(token, amount);
                let is_second_user = token.generation > 0;
                if is_second_user && self.planted(Mutation::SkipTheGenerationCheck) {
                    self.session.handle_received(self.now, token, false, Ok(None));
                }
            }
            Submission::Send(token, batch) => {
                self.ring.send(token, batch);
                if self.planted(Mutation::TwoSendsInFlight) {
                    self.session.handle_sent(self.now, token, SendBatch::default(), Ok(0));
                }
            }
            Submission::Cancel(target) => {
                self.ring.cancel(target);
                let is_receive = target.operation == Operation::Receive;
                if is_receive && self.planted(Mutation::FreeBeforeTheCancelCompletes) {
                    let cancelled = Err(rustix::io::Errno::CANCELED);
                    self.session.handle_received(self.now, target, false, cancelled);
                }
            }
            Submission::Probe { slot } => {
                let acknowledged = self.ring.bytes_taken(slot);
                self.session.handle_probe(
                    self.now,
                    slot,
                    Probe { acknowledged, queued: 0, is_over: false },
                );
            }
            Submission::ShutdownWrite { slot } => return self.check_fin(slot),
            Submission::Close { slot, .. } => return self.check_close(slot),
            Submission::HoldOff { index } => self.ring.hold_off(index),
            Submission::CloseListener { index, at_any_rate } => {
                let (peers, is_empty) = self.ring.close_listener(index, at_any_rate);
                if !is_empty {
                    self.session.handle_queue_left(self.now, index);
                }
                for peer in peers {
                    let slot = self.session.handle_last_accepted(self.now, None);
                    self.settle_in(slot, peer);
                }
            }
            Submission::Recycle(lease) => {
                self.recycled += 1;
                if self.planted(Mutation::LeakALease) && self.recycled.is_multiple_of(7) {
                    return Ok(());
                }
                if self.ring.recycle(lease) {
                    self.session.handle_buffer_returned();
                }
            }
        }
        Ok(())
    }

    /// A raw connection gets its FIN when everything it sent so far has come back.
    fn check_fin(&mut self, slot: u32) -> Result<(), String> {
        self.fin_sent.insert(slot, self.now);
        let flow = self.ring.shut_down_write(slot);
        self.check_nothing_missing("FIN", slot, flow)
    }

    fn check_close(&mut self, slot: u32) -> Result<(), String> {
        let closed = self.ring.close(slot);
        let fin_sent = self.fin_sent.remove(&slot);
        if self.ring.peers[closed.peer].is_reset {
            return Ok(());
        }
        self.unechoed += closed.flow.delivered.saturating_sub(closed.flow.echoed);
        if closed.had_unread_input && !self.may_reset(fin_sent) {
            return Err(format!("slot {slot} is closed with input unread: that resets its peer"));
        }
        if fin_sent.is_some() || self.may_abandon() {
            return Ok(());
        }
        if !closed.was_finished && !self.is_framed {
            return Err(format!("slot {slot} is closed before its peer finished"));
        }
        self.check_nothing_missing("close", slot, closed.flow)
    }

    /// Whether the server may close a connection whose peer still sends: one that got its FIN
    /// before the drain deadline at that, another a flush later.
    fn may_reset(&self, fin_sent: Option<Instant>) -> bool {
        let is_over = |shutdown: Shutdown| {
            let was_early = fin_sent.is_some_and(|time| time < shutdown.deadline);
            let grace = if was_early { Duration::ZERO } else { DRAIN.flush };
            shutdown.deadline + grace <= self.now
        };
        self.scarcity != Scarcity::NONE
            || self.is_framed
            || self.is_frozen
            || self.shutdown.is_some_and(is_over)
    }

    fn check_nothing_missing(&self, what: &str, slot: u32, flow: Flow) -> Result<(), String> {
        let Flow { delivered, echoed } = flow;
        if self.is_framed || delivered == echoed || self.may_abandon() {
            return Ok(());
        }
        Err(format!("{what} of slot {slot} after {echoed} of {delivered} received bytes"))
    }

    /// Whether the server may end connections before they are finished.
    fn may_abandon(&self) -> bool {
        self.scarcity != Scarcity::NONE || self.deadline_has_passed()
    }

    fn deadline_has_passed(&self) -> bool {
        self.shutdown.is_some_and(|shutdown| shutdown.deadline <= self.now)
    }

    fn planted(&self, mutation: Mutation) -> bool {
        self.options.mutation == Some(mutation)
    }

    fn report(&self) -> Report {
        Report {
            counters: self.session.counters(),
            resets: self.ring.peers.iter().filter(|peer| peer.is_reset).count(),
            hostile_shutdown: self.shutdown.is_some_and(|shutdown| shutdown.hostile),
            exact_losses: self.losses_are_exact() && self.session.counters().lost_bytes > 0,
        }
    }
}
