//! The listeners of a worker: which of them have an accept outstanding.

use std::time::{Duration, Instant};

use super::outbox::{Outbox, Submission};
use crate::lifecycle::{Accepting, Reception};
use crate::sys::{Operation, Token};

#[derive(Debug)]
pub(super) struct Acceptor {
    accepting: Accepting,
    listeners: Vec<Accept>,
}

/// A listener's multishot accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accept {
    Idle,
    Armed,
    Cancelling,
    Closed,
}

impl Acceptor {
    pub(super) fn new(listeners: usize) -> Self {
        Self { accepting: Accepting::default(), listeners: vec![Accept::Idle; listeners] }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.listeners.iter().all(|accept| *accept == Accept::Closed)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.accepting.deadline().filter(|_| !self.is_closed())
    }

    /// The accept of this listener ended; another may be armed.
    pub(super) fn accept_ended(&mut self, token: Token) {
        self.listeners[token.slot as usize] = Accept::Idle;
    }

    /// See [`Accepting::pause`].
    pub(super) fn pause(&mut self, now: Instant) {
        self.accepting.pause(now);
    }

    /// See [`Accepting::resume`].
    pub(super) fn resume(&mut self) {
        self.accepting.resume();
    }

    /// See [`Accepting::close`].
    pub(super) fn close(&mut self, now: Instant, grace: Duration, limit: Duration) {
        self.accepting.close(now, grace, limit);
    }

    /// Some still wait in the queue of this listener: tries again when a descriptor may be there.
    pub(super) fn queue_left(&mut self, now: Instant, index: u32) {
        self.listeners[index as usize] = Accept::Idle;
        self.pause(now);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.accepting.handle_timeout(now);
    }

    /// Submits what the state calls for.
    pub(super) fn advance(&mut self, outbox: &mut Outbox) {
        if self.accepting.take_hold_off() {
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
        let (submission, state) = match (self.listeners[index], self.accepting.reception()) {
            (Accept::Idle, Reception::Open) => (Submission::Accept(token), Accept::Armed),
            (Accept::Idle, Reception::Closing { at_any_rate }) => {
                (Submission::CloseListener { index: token.slot, at_any_rate }, Accept::Closed)
            }
            (Accept::Armed, Reception::Closing { .. } | Reception::ClosingPaused) => {
                (Submission::Cancel(token), Accept::Cancelling)
            }
            _ => return,
        };
        outbox.push(submission);
        self.listeners[index] = state;
    }
}
