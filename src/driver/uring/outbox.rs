//! What a session asks for, collected until it is carried out.

use std::collections::VecDeque;

use super::receiving::Amount;
use crate::driver::spill::{OwnedMemory, OwnedTotal};
use crate::sys::{Lease, Part, SendBatch, Token};

/// One thing to do. They are carried out in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Submission {
    /// Accept connections of the listener in the token's slot until cancelled.
    Accept(Token),
    /// Receive on the connection in the token's slot, once or until cancelled.
    Receive(Token, Amount),
    /// Send a batch on the connection in the token's slot.
    Send(Token, SendBatch),
    /// End the submission with this token.
    Cancel(Token),
    /// Ask the kernel how this connection's peer takes what is sent, and tell
    /// [`Session::handle_probe`](super::session::Session::handle_probe).
    Probe { slot: u32 },
    /// Send FIN.
    ShutdownWrite { slot: u32 },
    /// Close the connection in this slot; nothing is in flight for it.
    Close { slot: u32, manner: Manner },
    /// Let no new handshake begin on this listener; those under way complete.
    HoldOff { index: u32 },
    /// Accept what waits in this listener's queue, then close it; nothing is in flight for it. If
    /// descriptors run out before the queue is empty, leave it open and tell
    /// [`Session::handle_queue_left`](super::session::Session::handle_queue_left), unless it is to
    /// be closed `at_any_rate`.
    CloseListener { index: u32, at_any_rate: bool },
    /// Give received bytes up.
    Recycle(Lease),
}

/// How to close a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The kernel goes on delivering what it has.
    Plain,
    /// First tell [`Session::handle_left_behind`](super::session::Session::handle_left_behind)
    /// what it has.
    Accounting(Account),
    /// Reset it, so that a peer that takes nothing costs the kernel nothing.
    Reset,
}

/// What is known of a connection that ends with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    /// Bytes of the kernel's queue that are our FIN: 1 if it was sent.
    pub(crate) fin: usize,
    /// Whether the connection already counts as abandoned.
    pub(crate) is_abandoned: bool,
}

/// Submissions in order, and how much memory of our own the parts alive take.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    submissions: VecDeque<Submission>,
    pub(super) owned: OwnedTotal,
}

impl Outbox {
    pub(super) fn push(&mut self, submission: Submission) {
        self.submissions.push_back(submission);
    }

    pub(super) fn pop(&mut self) -> Option<Submission> {
        self.submissions.pop_front()
    }

    /// Gives up a part of the connection whose memory this is.
    pub(super) fn release(&mut self, part: Part, memory: &mut OwnedMemory) {
        match part {
            Part::Leased(lease) => self.push(Submission::Recycle(lease)),
            Part::Owned(owned) => memory.remove(&owned, &mut self.owned),
        }
    }
}
