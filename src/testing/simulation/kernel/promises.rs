//! Promises of the driver to a peer when it ends its side or closes the connection.

use super::{FakeKernel, Socket};
use crate::driver::CloseMode;

impl FakeKernel {
    /// Checks what a close does to its peer; what was not echoed is counted.
    pub(super) fn check_close(&mut self, slot: u32, socket: &Socket, mode: CloseMode) {
        let peer = &self.peers[socket.peer];
        if peer.is_reset {
            return;
        }
        // What the kernel has it goes on delivering, but nobody is left to see that.
        let echoed = match mode {
            CloseMode::Accounting => socket.acknowledged,
            CloseMode::Plain | CloseMode::Reset => socket.sent(),
        };
        self.unechoed += socket.delivered.saturating_sub(echoed);
        let has_unread = !socket.arrived.is_empty();
        let was_finished = peer.has_finished() && !has_unread;
        let may_leave = was_finished || self.plan.may_reset_refused(self.known_now.get());
        let is_lost = peer.is_broken() || self.plan.may_abandon(self.known_now.get());
        // Who was refused has the ERROR and our FIN: what it still sends is not read.
        let was_refused = peer.is_broken() && socket.fin_sent.is_some() && socket.queue.is_empty();
        if has_unread && !was_refused && !self.plan.may_reset(self.known_now.get(), socket.fin_sent)
        {
            self.violate(format!("slot {slot} is closed with input unread: that resets its peer"));
        } else if mode == CloseMode::Plain && !socket.queue.is_empty() && !may_leave {
            self.violate(format!("slot {slot} is closed while its peer takes nothing: no reset"));
        } else if socket.fin_sent.is_none() && !is_lost && !was_finished {
            self.violate(format!("slot {slot} is closed before its peer finished"));
        } else if socket.fin_sent.is_none() && !is_lost {
            self.check_nothing_missing("close", slot, socket.delivered, socket.sent());
        }
    }

    pub(super) fn check_nothing_missing(
        &mut self,
        what: &str,
        slot: u32,
        delivered: usize,
        sent: usize,
    ) {
        let is_checked = !self.plan.is_framed() && !self.plan.may_abandon(self.known_now.get());
        if is_checked && delivered != sent {
            self.violate(format!("{what} of slot {slot} after {sent} of {delivered} bytes"));
        }
    }
}
