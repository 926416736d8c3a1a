//! The listeners of a worker that accepts by readiness.

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::connections::Connections;
use super::handshake::{self, MAX_ACCEPTS_PER_TURN, Remainder};
use crate::lifecycle::{AcceptMode, Accepting};
use crate::protocol::Protocol;
use crate::sys::{Stretch, Watched, sockopt};

/// Listeners and whatever watches them; both go when a listener closes.
pub(super) struct Listeners<W> {
    places: Vec<Option<Listener<W>>>,
    /// Of the sockets that are accepted.
    flags: SocketFlags,
}

struct Listener<W> {
    watched: W,
    /// True if a connection may wait to be accepted: until it was tried, nobody knows.
    may_accept: bool,
}

/// A listener together with what watches it.
pub(super) trait HasListener {
    fn listener(&self) -> &TcpListener;
}

impl HasListener for TcpListener {
    fn listener(&self) -> &TcpListener {
        self
    }
}

impl HasListener for Watched<TcpListener> {
    fn listener(&self) -> &TcpListener {
        self.get()
    }
}

/// Takes over a socket that was accepted.
type Adopt<'a, P, L, T> = &'a mut dyn FnMut(&mut Connections<P, L, T>, OwnedFd);

impl<W: HasListener> Listeners<W> {
    /// Takes non-blocking listeners over. The sockets that they accept get these flags.
    pub(super) fn new(watched: impl IntoIterator<Item = W>, flags: SocketFlags) -> Self {
        let listener = |watched| Some(Listener { watched, may_accept: true });
        Self { places: watched.into_iter().map(listener).collect(), flags }
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

    /// Does with the listeners what the state of accepting calls for; gives the sockets of those who
    /// came to `adopt`.
    pub(super) fn follow<P: Protocol, L: Stretch, T>(
        &mut self,
        now: Instant,
        connections: &mut Connections<P, L, T>,
        adopt: Adopt<'_, P, L, T>,
    ) {
        if connections.accepting_mut().take_hold_off() {
            let open = self.places.iter().flatten();
            open.for_each(|listener| handshake::hold_off(listener.watched.listener().as_fd()));
        }
        for place in &mut self.places {
            let Some(listener) = place else { continue };
            match connections.accepting().accept_mode() {
                AcceptMode::Open => listener.accept(now, self.flags, connections, adopt),
                AcceptMode::Closing { at_any_rate } => {
                    if listener.close(now, at_any_rate, self.flags, connections, adopt) {
                        *place = None;
                    }
                }
                AcceptMode::Leaving => *place = None,
                AcceptMode::Paused | AcceptMode::ClosingPaused => {}
            }
        }
        if self.places.iter().all(Option::is_none) {
            connections.accepting_mut().finish();
        }
    }
}

impl<W: HasListener> Listener<W> {
    fn accept<P: Protocol, L: Stretch, T>(
        &mut self,
        now: Instant,
        flags: SocketFlags,
        connections: &mut Connections<P, L, T>,
        adopt: Adopt<'_, P, L, T>,
    ) {
        for _ in 0..MAX_ACCEPTS_PER_TURN {
            if !self.may_accept || connections.accepting().accept_mode() != AcceptMode::Open {
                return;
            }
            match accept_with(self.watched.listener(), flags) {
                Ok(socket) => adopt(connections, socket),
                Err(Errno::AGAIN) => self.may_accept = false,
                Err(error) => connections.handle_accept_failure(now, error),
            }
        }
    }

    /// Closing a listener resets what waits in its queue, so that is accepted first; returns
    /// whether it may be closed now.
    fn close<P: Protocol, L: Stretch, T>(
        &mut self,
        now: Instant,
        at_any_rate: bool,
        flags: SocketFlags,
        connections: &mut Connections<P, L, T>,
        adopt: Adopt<'_, P, L, T>,
    ) -> bool {
        let listener = self.watched.listener();
        let remainder = handshake::take_queue(at_any_rate, || {
            adopt(connections, accept_with(listener, flags)?);
            Ok(())
        });
        match remainder {
            Remainder::Nobody => true,
            Remainder::More | Remainder::OutOfDescriptors if at_any_rate => {
                connections.handle_queue_dropped(sockopt::accept_queue_length(listener.as_fd()));
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
