//! A connection's bulk, as far as it goes past memory: see [`Splicing`].

use std::time::Instant;

use super::Connection;
use crate::driver::Settings;
use crate::driver::splicing::Splicing;
use crate::lifecycle::OnReceive;
use crate::protocol;
use crate::sys::Stretch;

impl<C: protocol::Connection, L: Stretch, T> Connection<C, L, T> {
    /// Which way the bytes go.
    pub(in crate::driver) fn splicing(&self) -> &Splicing {
        &self.splicing
    }

    /// Returns whether the connection can be given a pipe now, since one would pay and none of its
    /// bytes is on another way.
    pub(in crate::driver) fn wants_pipe(&self) -> bool {
        self.splicing.is_due()
            && self.lifecycle.is_open()
            && !self.is_eof_due
            && self.received.parts().is_empty()
            && self.outgoing.is_empty()
            && self.sending.parts == 0
    }

    /// The connection has a pipe now, or there is none for it.
    pub(in crate::driver) fn handle_pipe(&mut self, is_there: bool) {
        if is_there { self.splicing.begin() } else { self.splicing.refuse() }
    }

    /// Returns whether what arrives is to be spliced into the pipe.
    pub(in crate::driver) fn takes_in(&self) -> bool {
        self.splicing.takes_in() && self.lifecycle.is_open()
    }

    /// Returns whether what arrives is to be received into memory: not while it is spliced, or is
    /// about to be. A socket that is full may stay so for long, and keeps nobody from sending.
    pub(in crate::driver) fn is_received(&self, is_full: bool) -> bool {
        let is_about_to_splice = self.splicing.is_due() && self.lifecycle.is_open() && !is_full;
        !self.takes_in() && !is_about_to_splice
    }

    /// Bytes went into the pipe.
    pub(in crate::driver) fn handle_spliced_in(
        &mut self,
        now: Instant,
        length: usize,
        settings: &Settings,
    ) {
        let treatment = self.lifecycle.received(now, length);
        assert!(treatment == OnReceive::Deliver, "only an open connection splices");
        self.core.pass(length);
        self.received.pass_by(length);
        self.lifecycle.decided(length);
        self.lifecycle.queued(now, length);
        self.splicing.took_in(length, settings.splice);
    }

    /// Bytes went out of the pipe to the peer.
    pub(in crate::driver) fn handle_spliced_out(&mut self, now: Instant, length: usize) {
        self.splicing.gave_out(length);
        self.lifecycle.sent(now, length);
    }

    /// Goes back to receiving what arrives, once the pipe is empty.
    pub(in crate::driver) fn leave_pipe(&mut self) {
        self.splicing.leave();
    }

    /// The pipe was given back.
    pub(in crate::driver) fn end_splicing(&mut self) {
        self.splicing.end();
    }
}
