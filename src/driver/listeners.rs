//! The listeners of a worker that accepts by readiness.

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::copying::Session;
use super::handshake::{self, BACKLOG, Remainder};
use crate::lifecycle::Reception;
use crate::sys::{Watched, sockopt};

/// Connections accepted before those that are there have their turn.
const ACCEPTS_PER_TURN: usize = 64;

/// Listeners and whatever watches them; both go when a listener closes.
pub(super) struct Listeners<W> {
    places: Vec<Option<Listener<W>>>,
    /// Of the sockets that are accepted.
    flags: SocketFlags,
}

struct Listener<W> {
    watched: W,
    /// Whether somebody may wait to be accepted: until it was tried, nobody knows.
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

impl<W: HasListener> Listeners<W> {
    /// Takes non-blocking listeners over. The sockets that they accept get these flags.
    pub(super) fn new(watched: impl IntoIterator<Item = W>, flags: SocketFlags) -> Self {
        let listener = |watched| Some(Listener { watched, may_accept: true });
        Self { places: watched.into_iter().map(listener).collect(), flags }
    }

    /// Whether [`follow`](Self::follow) has something to do that nobody will announce.
    pub(super) fn has_more(&self, session: &Session) -> bool {
        let mut open = self.places.iter().flatten();
        match session.accepting().reception() {
            Reception::Open => open.any(|listener| listener.may_accept),
            Reception::Closing { .. } => open.next().is_some(),
            Reception::Paused | Reception::ClosingPaused => false,
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

    /// Does with the listeners what the session says of them; gives the sockets of
    /// those who came to `adopt`.
    pub(super) fn follow(
        &mut self,
        now: Instant,
        session: &mut Session,
        adopt: &mut dyn FnMut(&mut Session, OwnedFd),
    ) {
        if session.accepting_mut().take_hold_off() {
            let open = self.places.iter().flatten();
            open.for_each(|listener| handshake::hold_off(listener.watched.listener()));
        }
        for place in &mut self.places {
            match session.accepting().reception() {
                Reception::Open => {
                    if let Some(listener) = place {
                        listener.accept(now, self.flags, session, adopt);
                    }
                }
                Reception::Closing { at_any_rate } => {
                    if let Some(listener) = place.take() {
                        *place = listener.close(now, at_any_rate, self.flags, session, adopt);
                    }
                }
                Reception::Paused | Reception::ClosingPaused => {}
            }
        }
        if self.places.iter().all(Option::is_none) {
            session.accepting_mut().finish();
        }
    }
}

impl<W: HasListener> Listener<W> {
    fn accept(
        &mut self,
        now: Instant,
        flags: SocketFlags,
        session: &mut Session,
        adopt: &mut dyn FnMut(&mut Session, OwnedFd),
    ) {
        for _ in 0..ACCEPTS_PER_TURN {
            if !self.may_accept || session.accepting().reception() != Reception::Open {
                return;
            }
            match accept_with(self.watched.listener(), flags) {
                Ok(socket) => adopt(session, socket),
                Err(Errno::AGAIN) => self.may_accept = false,
                Err(error) => session.handle_accept_failure(now, error),
            }
        }
    }

    /// Closing a listener resets what waits in its queue, so that is accepted first. Comes back if
    /// there are more than one turn accepts, or descriptors did not suffice.
    fn close(
        self,
        now: Instant,
        at_any_rate: bool,
        flags: SocketFlags,
        session: &mut Session,
        adopt: &mut dyn FnMut(&mut Session, OwnedFd),
    ) -> Option<Self> {
        let listener = self.watched.listener();
        // There is no later turn at any rate, so all who can wait have theirs now.
        let limit = if at_any_rate { usize::from(BACKLOG) } else { ACCEPTS_PER_TURN };
        let remainder =
            handshake::take_queue(listener, flags, limit, |socket| adopt(session, socket));
        match remainder {
            Remainder::Nobody => None,
            Remainder::More | Remainder::OutOfDescriptors if at_any_rate => {
                session.handle_queue_dropped(sockopt::accept_queue_length(listener.as_fd()));
                None
            }
            Remainder::More => Some(self),
            Remainder::OutOfDescriptors => {
                session.pause_accepting(now);
                Some(self)
            }
        }
    }
}
