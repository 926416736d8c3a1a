//! One slot of the load: the messages that are dealt to it wait here, and its connection is
//! replaced when it has done its share.

use std::collections::VecDeque;

use socket2::Socket;

use super::connection::Connection;

/// How often in a row a slot may fail before it is given up: with the pauses between, some four
/// seconds, enough for a server that restarts.
const MAX_SETBACKS: u32 = 10;
/// The pause after the first setback; it doubles with each.
const MIN_BACKOFF_NS: u64 = 10_000_000;
const MAX_BACKOFF_NS: u64 = 1_000_000_000;

pub(crate) struct ConnectionSlot {
    /// Of its current connection, among all of this generator.
    pub(crate) number: usize,
    pub(crate) state: State,
    /// Open loop: intended times of messages that wait for room, or for a connection.
    pub(crate) backlog: VecDeque<u64>,
    /// When it last had an answer, or in open loop a new connection; `None` before the first.
    pub(crate) last_answer_ns: Option<u64>,
    setbacks: u32,
}

/// The connection of a slot, or what stands in its place.
pub(crate) enum State {
    Open(Connection),
    Connecting {
        socket: Socket,
        since_ns: u64,
    },
    /// Nothing for the moment.
    Backoff,
    /// Nothing any more.
    Abandoned,
}

impl ConnectionSlot {
    pub(crate) fn new(number: usize, connection: Connection) -> Self {
        let state = State::Open(connection);
        Self { number, state, backlog: VecDeque::new(), last_answer_ns: None, setbacks: 0 }
    }

    pub(crate) fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.state {
            State::Open(connection) => Some(connection),
            State::Connecting { .. } | State::Backoff | State::Abandoned => None,
        }
    }

    /// Takes the connection away; the slot has nothing then.
    pub(crate) fn take_connection(&mut self) -> Option<Connection> {
        match std::mem::replace(&mut self.state, State::Backoff) {
            State::Open(connection) => Some(connection),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Since when it has waited for the server, if it does: for a reply, room, a handshake or the end
    /// of a connection that has carried its share.
    pub(crate) fn waits_since_ns(&self) -> Option<u64> {
        let of_connection_ns = match &self.state {
            State::Open(connection) => connection.oldest_due_ns().or(connection.closed_ns()),
            State::Connecting { since_ns, .. } => Some(*since_ns),
            State::Backoff | State::Abandoned => None,
        };
        of_connection_ns.into_iter().chain(self.backlog.front().copied()).min()
    }

    /// Returns whether messages that are dealt to it have a chance; `is_replaced` tells whether its
    /// connection will be replaced.
    pub(crate) fn takes_messages(&self, is_replaced: bool) -> bool {
        match &self.state {
            State::Open(connection) => is_replaced || !connection.is_leaving(),
            State::Connecting { .. } | State::Backoff => true,
            State::Abandoned => false,
        }
    }

    /// The number of its next connection, where the run started with so many: no other slot comes
    /// by the same.
    pub(crate) fn next_number(&mut self, all_connections: usize) -> usize {
        self.number += all_connections;
        self.number
    }

    /// A reply came: the server serves.
    pub(crate) fn succeed(&mut self) {
        self.setbacks = 0;
    }

    /// An attempt or a connection came to nothing: how long to pause before the next, or `None`
    /// where it is hopeless.
    pub(crate) fn set_back(&mut self) -> Option<u64> {
        self.setbacks += 1;
        let doublings = self.setbacks - 1;
        (self.setbacks < MAX_SETBACKS).then(|| (MIN_BACKOFF_NS << doublings).min(MAX_BACKOFF_NS))
    }
}
