//! What a session asks for, collected until it is carried out.

use std::collections::VecDeque;

use super::receiving::Amount;
use crate::driver::Manner;
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

    /// Gives up the first `length` bytes of a part, not all.
    pub(super) fn release_front(
        &mut self,
        part: &mut Part,
        length: usize,
        memory: &mut OwnedMemory,
    ) {
        match part {
            Part::Leased(lease) => self.push(Submission::Recycle(lease.split_to(length))),
            Part::Owned(owned) => memory.refund(owned.drop_front(length), &mut self.owned),
        }
    }
}
