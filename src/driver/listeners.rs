//! The listeners of a worker that accepts by readiness.

use std::time::Instant;

use rustix::io::Errno;

use super::connections::Connections;
use super::handshake::{self, MAX_ACCEPTS_PER_TURN, Remainder};
use crate::lifecycle::{AcceptMode, Accepting};
use crate::protocol::Protocol;
use crate::sys::Stretch;

/// Listeners and whatever watches them; both go when a listener closes.
pub(super) struct Listeners<W> {
    places: Vec<Option<Listener<W>>>,
}

struct Listener<W> {
    watched: W,
    /// True if a connection may wait to be accepted: until it was tried, nobody knows.
    may_accept: bool,
}

/// Operations on listeners.
pub(super) trait Accepts<W, C> {
    /// Takes in the next connection that waits.
    fn accept(&mut self, listener: &W, connections: &mut C) -> Result<(), Errno>;

    /// From now on no handshake begins on this listener.
    fn hold_off(&mut self, listener: &W);

    /// Connections that wait to be accepted.
    fn queue_length(&mut self, listener: &W) -> usize;

    fn close(&mut self, listener: W);
}

impl<W> Listeners<W> {
    /// Takes non-blocking listeners over.
    pub(super) fn new(watched: impl IntoIterator<Item = W>) -> Self {
        let listener = |watched| Some(Listener { watched, may_accept: true });
        Self { places: watched.into_iter().map(listener).collect() }
    }

    /// Returns whether [`follow`](Self::follow) has something to do that nobody will announce.
    pub(super) fn has_more(&self, accepting: &Accepting) -> bool {
        let mut open = self.places.iter().flatten();
        match accepting.accept_mode() {
            AcceptMode::Open => open.any(|listener| listener.may_accept),
            AcceptMode::Closing { .. } | AcceptMode::Leaving => open.next().is_some(),
            AcceptMode::Paused | AcceptMode::ClosingPaused => false,
        }
    }

    /// Somebody may wait at this listener.
    pub(super) fn set_ready(&mut self, index: usize) {
        if let Some(listener) = &mut self.places[index] {
            listener.may_accept = true;
        }
    }

    /// Those that nobody is known to wait at, by their number.
    pub(super) fn exhausted(&self) -> impl Iterator<Item = (usize, &W)> {
        self.places.iter().enumerate().filter_map(|(index, listener)| {
            let listener = listener.as_ref().filter(|listener| !listener.may_accept)?;
            Some((index, &listener.watched))
        })
    }

    /// Does with the listeners what the state of accepting calls for.
    pub(super) fn follow<P: Protocol, L: Stretch, T>(
        &mut self,
        now: Instant,
        connections: &mut Connections<P, L, T>,
        host: &mut impl Accepts<W, Connections<P, L, T>>,
    ) {
        if connections.accepting_mut().take_hold_off() {
            self.places.iter().flatten().for_each(|listener| host.hold_off(&listener.watched));
        }
        for place in &mut self.places {
            let Some(listener) = place else { continue };
            let is_over = match connections.accepting().accept_mode() {
                AcceptMode::Open => {
                    listener.accept(now, connections, host);
                    false
                }
                AcceptMode::Closing { at_any_rate } => {
                    listener.empty(now, at_any_rate, connections, host)
                }
                AcceptMode::Leaving => true,
                AcceptMode::Paused | AcceptMode::ClosingPaused => false,
            };
            if is_over {
                place.take().into_iter().for_each(|listener| host.close(listener.watched));
            }
        }
        if self.places.iter().all(Option::is_none) {
            connections.accepting_mut().finish();
        }
    }
}

impl<W> Listener<W> {
    fn accept<P: Protocol, L: Stretch, T>(
        &mut self,
        now: Instant,
        connections: &mut Connections<P, L, T>,
        host: &mut impl Accepts<W, Connections<P, L, T>>,
    ) {
        for _ in 0..MAX_ACCEPTS_PER_TURN {
            if !self.may_accept || connections.accepting().accept_mode() != AcceptMode::Open {
                return;
            }
            match host.accept(&self.watched, connections) {
                Ok(()) => {}
                Err(Errno::AGAIN) => self.may_accept = false,
                Err(error) => connections.handle_accept_failure(now, error),
            }
        }
    }

    /// Closing a listener resets what waits in its queue, so that is accepted first; returns
    /// whether it may be closed now.
    fn empty<P: Protocol, L: Stretch, T>(
        &mut self,
        now: Instant,
        at_any_rate: bool,
        connections: &mut Connections<P, L, T>,
        host: &mut impl Accepts<W, Connections<P, L, T>>,
    ) -> bool {
        let remainder =
            handshake::take_queue(at_any_rate, || host.accept(&self.watched, connections));
        match remainder {
            Remainder::Nobody => true,
            Remainder::More | Remainder::OutOfDescriptors if at_any_rate => {
                connections.handle_queue_dropped(host.queue_length(&self.watched));
                true
            }
            Remainder::More => false,
            Remainder::OutOfDescriptors => {
                connections.pause_accepting(now);
                false
            }
        }
    }
}
