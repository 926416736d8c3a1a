//! The listeners of a worker: armed, paused, or closing.

use std::time::{Duration, Instant};

use super::outbox::{Outbox, Submission};
use crate::sys::{Operation, Token};

#[derive(Debug)]
pub(super) struct Acceptor {
    listeners: Vec<Accept>,
    /// Accepting pauses until then, or until a connection closes.
    paused_until: Option<Instant>,
    closing: Option<Closing>,
}

/// A listener's multishot accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accept {
    Idle,
    Armed,
    Cancelling,
    Closed,
}

/// No new handshake begins; those under way have until `at` to reach the accept queue.
#[derive(Debug, Clone, Copy)]
struct Closing {
    at: Instant,
    /// Who has not been accepted by then, for want of descriptors, is left.
    at_the_latest: Instant,
    is_held_off: bool,
    is_due: bool,
    is_overdue: bool,
}

/// How long accepting pauses when descriptors or memory ran out and no connection closes.
const PAUSE: Duration = Duration::from_millis(100);

impl Acceptor {
    pub(super) fn new(listeners: usize) -> Self {
        Self { listeners: vec![Accept::Idle; listeners], paused_until: None, closing: None }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.listeners.iter().all(|accept| *accept == Accept::Closed)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let closing = self.closing.filter(|_| !self.is_closed()).and_then(|closing| {
            match (closing.is_due, closing.is_overdue) {
                (false, _) => Some(closing.at),
                (true, false) => Some(closing.at_the_latest),
                (true, true) => None,
            }
        });
        self.paused_until.into_iter().chain(closing).min()
    }

    /// The accept of this listener ended; another may be armed.
    pub(super) fn accept_ended(&mut self, token: Token) {
        self.listeners[token.slot as usize] = Accept::Idle;
    }

    /// Descriptors or memory ran out.
    pub(super) fn pause(&mut self, now: Instant) {
        self.paused_until = Some(now + PAUSE);
    }

    /// A connection closed, so there is room again.
    pub(super) fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Stops accepting after `grace`, and leaves nobody waiting if that can be done within
    /// `limit`.
    pub(super) fn close(&mut self, now: Instant, grace: Duration, limit: Duration) {
        let is_held_off = self.closing.is_some_and(|closing| closing.is_held_off);
        self.closing = Some(Closing {
            at: now + grace.min(limit),
            at_the_latest: now + limit,
            is_held_off,
            is_due: grace.is_zero() || limit.is_zero(),
            is_overdue: limit.is_zero(),
        });
    }

    /// Some still wait in the queue of this listener: tries again when a descriptor may be there.
    pub(super) fn queue_left(&mut self, now: Instant, index: u32) {
        self.listeners[index as usize] = Accept::Idle;
        self.pause(now);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|time| time <= now) {
            self.paused_until = None;
        }
        if let Some(closing) = &mut self.closing {
            closing.is_due |= closing.at <= now;
            closing.is_overdue |= closing.at_the_latest <= now;
        }
    }

    /// Submits what the state calls for.
    pub(super) fn advance(&mut self, outbox: &mut Outbox) {
        if let Some(closing) = self.closing.as_mut().filter(|closing| !closing.is_held_off) {
            closing.is_held_off = true;
            for index in 0..self.listeners.len() as u32 {
                outbox.push(Submission::HoldOff { index });
            }
        }
        for index in 0..self.listeners.len() {
            self.advance_listener(index, outbox);
        }
    }

    fn advance_listener(&mut self, index: usize, outbox: &mut Outbox) {
        let token = Token::new(Operation::Accept, index as u32, 0);
        let ends = self.closing.is_some_and(|closing| closing.is_due);
        let at_any_rate = self.closing.is_some_and(|closing| closing.is_overdue);
        let may_accept = self.paused_until.is_none();
        let (submission, state) = match self.listeners[index] {
            Accept::Idle if ends && (may_accept || at_any_rate) => {
                (Submission::CloseListener { index: token.slot, at_any_rate }, Accept::Closed)
            }
            Accept::Idle if may_accept && !ends => (Submission::Accept(token), Accept::Armed),
            Accept::Armed if ends => (Submission::Cancel(token), Accept::Cancelling),
            _ => return,
        };
        outbox.push(submission);
        self.listeners[index] = state;
    }
}
