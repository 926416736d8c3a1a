//! Events that happen to a simulated world from outside: who comes, when it calms down, when the
//! server is ordered to end, and what that one may do therefore.

use std::time::{Duration, Instant};

use super::Size;
use super::conditions::{DRAIN, Scarcity};
use super::peer::Peer;
use crate::driver::Urgency;
use crate::testing::rng::Rng;

#[derive(Debug)]
pub(super) struct Plan {
    size: Size,
    pub(super) is_framed: bool,
    pub(super) peers_reset: bool,
    pub(super) scarcity: Scarcity,
    peers_to_come: usize,
    /// Steps of hostile time.
    steps: usize,
    drain_at: Option<usize>,
    stop_at: Option<usize>,
    is_calm: bool,
    /// The order to end, once given, and whether the world was calm then; the server learns of it
    /// later.
    ordered: Option<Ordered>,
    shutdown: Option<Shutdown>,
}

/// The world at the time when the server was ordered to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ordered {
    InHostility,
    InCalm,
}

/// The server's knowledge of its end.
#[derive(Debug, Clone, Copy)]
struct Shutdown {
    deadline: Instant,
    urgency: Urgency,
}

/// Something that happens now.
#[derive(Debug)]
pub(super) enum Event {
    Connect(Box<Peer>),
    CalmDown,
    Signal(Urgency),
}

impl Plan {
    pub(super) fn random(rng: &mut Rng, size: Size, steps: usize) -> Self {
        Self {
            size,
            is_framed: rng.chance(50),
            peers_reset: rng.chance(50),
            scarcity: Scarcity::random(rng),
            peers_to_come: rng.between(1, if size == Size::Small { 3 } else { 25 }),
            steps,
            drain_at: rng.chance(40).then(|| rng.below(steps)),
            stop_at: rng.chance(15).then(|| rng.below(steps)),
            is_calm: false,
            ordered: None,
            shutdown: None,
        }
    }

    /// Peers send a few kilobytes each, at most.
    pub(super) fn shorten_scripts(&mut self) {
        self.size = Size::Small;
    }

    /// Events of this step. In the end everything calms down, every peer finishes, and the server
    /// is ordered to drain.
    pub(super) fn events(&mut self, rng: &mut Rng, step: usize, is_served: bool) -> Vec<Event> {
        let mut events = Vec::new();
        if !self.is_calm && step >= self.steps && !self.is_stopped() {
            self.is_calm = true;
            events.push(Event::CalmDown);
        }
        // Before another comes: who connects in this step is not served yet.
        let is_done = self.is_calm && self.peers_to_come == 0 && is_served;
        if self.peers_to_come > 0 && (rng.chance(5) || self.is_calm) {
            self.peers_to_come -= 1;
            let peer = Peer::new(rng, self.size, self.is_framed, self.peers_reset);
            events.push(Event::Connect(Box::new(peer)));
        }
        let ordered = if self.is_calm { Ordered::InCalm } else { Ordered::InHostility };
        if self.ordered.is_none() && (self.drain_at == Some(step) || is_done) {
            self.ordered = Some(ordered);
            events.push(Event::Signal(Urgency::Drain));
        }
        if self.stop_at == Some(step) && !self.is_calm {
            self.ordered = Some(ordered);
            events.push(Event::Signal(Urgency::Stop));
        }
        events
    }

    /// The server learns that it is to end.
    pub(super) fn shut_down(&mut self, now: Instant, urgency: Urgency) {
        let deadline = match urgency {
            Urgency::Drain => now + DRAIN.timeout,
            Urgency::Stop => now,
        };
        if !self.is_stopped() {
            self.shutdown = Some(Shutdown { deadline, urgency });
        }
    }

    pub(super) fn is_framed(&self) -> bool {
        self.is_framed
    }

    /// Returns whether nothing more comes of itself.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_calm && self.peers_to_come == 0
    }

    /// Returns whether the server was ordered to end at once: it does, in no time.
    pub(super) fn is_frozen(&self) -> bool {
        self.is_stopped()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.shutdown.is_some_and(|shutdown| shutdown.urgency == Urgency::Stop)
    }

    /// Returns whether the shutdown started while the world was hostile.
    pub(super) fn had_hostile_shutdown(&self) -> bool {
        self.ordered == Some(Ordered::InHostility)
    }

    /// Returns whether the server may end connections before they are finished.
    pub(super) fn may_abandon(&self, now: Instant) -> bool {
        self.scarcity != Scarcity::NONE
            || self.shutdown.is_some_and(|shutdown| shutdown.deadline <= now)
    }

    /// Returns whether the server may leave a peer that it refused with what that has not taken.
    pub(super) fn may_reset_refused(&self, now: Instant) -> bool {
        let is_over = |shutdown: Shutdown| shutdown.deadline + DRAIN.flush <= now;
        self.is_stopped() || self.shutdown.is_some_and(is_over)
    }

    /// Returns whether the server may close a connection whose peer still sends: one that got its
    /// FIN before the drain deadline at that, another a flush later.
    pub(super) fn may_reset(&self, now: Instant, fin_sent: Option<Instant>) -> bool {
        let is_over = |shutdown: Shutdown| {
            let was_early = fin_sent.is_some_and(|time| time < shutdown.deadline);
            let grace = if was_early { Duration::ZERO } else { DRAIN.flush };
            shutdown.deadline + grace <= now
        };
        self.scarcity != Scarcity::NONE || self.is_stopped() || self.shutdown.is_some_and(is_over)
    }
}
