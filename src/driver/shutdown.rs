//! How a server tells its workers to end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

/// Two descriptors that become readable and stay so: whoever watches them is told, however many
/// watch and whenever they begin.
#[derive(Debug)]
pub(crate) struct ShutdownSignal {
    drain: Arc<OwnedFd>,
    stop: Arc<OwnedFd>,
}

/// How urgent a shutdown is; each degree follows the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Finish what was received.
    Drain,
    /// End at once.
    Stop,
}

impl Urgency {
    pub(crate) const ALL: [Self; 2] = [Self::Drain, Self::Stop];
}

impl ShutdownSignal {
    pub(crate) fn new() -> io::Result<Self> {
        let descriptor =
            || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Arc::new);
        Ok(Self { drain: descriptor()?, stop: descriptor()? })
    }

    /// Tells every worker; telling again changes nothing.
    pub(crate) fn raise(&self, urgency: Urgency) {
        let told = rustix::io::write(self.descriptor(urgency), &1_u64.to_ne_bytes());
        debug_assert!(told.is_ok(), "a counter far from its limit takes an increment");
    }

    /// Readable from the moment the signal is raised.
    pub(crate) fn descriptor(&self, urgency: Urgency) -> BorrowedFd<'_> {
        self.of(urgency).as_fd()
    }

    /// As [`descriptor`](Self::descriptor), for whoever watches longer than it borrows.
    pub(crate) fn shared_descriptor(&self, urgency: Urgency) -> Arc<OwnedFd> {
        Arc::clone(self.of(urgency))
    }

    fn of(&self, urgency: Urgency) -> &Arc<OwnedFd> {
        match urgency {
            Urgency::Drain => &self.drain,
            Urgency::Stop => &self.stop,
        }
    }
}
