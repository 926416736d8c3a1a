//! A wait for the runtime's next turn.
//!
//! Whoever wakes a task directly has it run before the runtime sleeps. But it is when it goes to
//! sleep that the runtime hands submissions to the kernel, and then that it sees what arrived. So
//! the next turn is announced by a descriptor, which the runtime finds ready when it has slept.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use rustix::event::{EventfdFlags, eventfd};

use crate::sys::Watched;

pub(super) struct NextTurn {
    event: Watched<OwnedFd>,
    is_wanted: Cell<bool>,
}

impl NextTurn {
    /// To be called inside the runtime.
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event: Watched::descriptor(event)?, is_wanted: Cell::new(false) })
    }

    /// Asks for a turn.
    ///
    /// # Errors
    ///
    /// None that a counter far from its limit has.
    pub(super) fn want(&self) -> io::Result<()> {
        if !self.is_wanted.replace(true) {
            rustix::io::write(self.event.get(), &1_u64.to_ne_bytes())?;
        }
        Ok(())
    }

    /// Ready when the turn that was asked for begins.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.event.poll_readable(context);
        if polled.is_ready() {
            self.is_wanted.set(false);
        }
        polled
    }
}
