//! Waiting for sockets: an epoll instance with nanosecond timeouts, and a waker by which another
//! thread ends the wait.
//!
//! Sockets that are read are edge-triggered: a level-triggered one is asked once more after every
//! event whether there is still something to read. So a reader must read until the socket is empty,
//! or ask for the [rest](Poller::report_rest). Sockets that are to be written as well are
//! level-triggered, until they are not.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

/// The events of a socket that is only read. A separate event for its end lets a reader stop
/// where it got less than it asked for: what comes later makes an edge of its own (`epoll(7)`).
const READ: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);
const READ_AND_WRITE: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::OUT);
const END: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

/// Events taken in one turn; the rest come with the next.
const EVENTS_PER_TURN: usize = 256;
const WAKER: u64 = u64::MAX;

pub(crate) struct Poller {
    epoll: OwnedFd,
    waker: OwnedFd,
}

/// The events of a wait. Made on the thread that waits: the kernel's event may hold a pointer, so
/// it does not cross threads.
pub(crate) struct Events(Vec<Event>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It was woken, once or more often, since it was last reported.
    Woken,
    /// The socket registered under this number may be read, has ended, may be written.
    Socket { index: usize, readable: bool, ended: bool, writable: bool },
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &waker, EventData::new_u64(WAKER), EventFlags::IN)?;
        Ok(Self { epoll, waker })
    }

    pub(crate) fn waker(&self) -> io::Result<Waker> {
        Ok(Waker(self.waker.try_clone()?))
    }

    /// Reports when the socket can be read. It leaves by being closed.
    pub(crate) fn add(&self, socket: BorrowedFd<'_>, index: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(index as u64), READ)?)
    }

    /// Reports when a handshake is decided, either way; from then on the socket is watched for
    /// both.
    pub(crate) fn add_connecting(&self, socket: BorrowedFd<'_>, index: usize) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, EventData::new_u64(index as u64), READ_AND_WRITE)
    }

    /// Reports also when the socket can be written, or no longer. Reports what is there already.
    pub(crate) fn watch_writable(
        &self,
        socket: BorrowedFd<'_>,
        index: usize,
        watch: bool,
    ) -> Result<(), Errno> {
        let flags = if watch { READ_AND_WRITE } else { READ };
        epoll::modify(&self.epoll, socket, EventData::new_u64(index as u64), flags)
    }

    /// Reports a socket again that was not read until it was empty.
    pub(crate) fn report_rest(&self, socket: BorrowedFd<'_>, index: usize) -> Result<(), Errno> {
        self.watch_writable(socket, index, false)
    }

    /// Waits for events, at most so long, without end if `None`; returns how many there are.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        let timeout =
            timeout.map(|timeout| Timespec::try_from(timeout).expect("nobody waits that long"));
        events.0.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(count) => Ok(count),
            Err(Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The event at this place, below what the last wait returned.
    pub(crate) fn event(&self, events: &Events, place: usize) -> Readiness {
        let event = events.0[place];
        if event.data.u64() == WAKER {
            // Reading resets the counter; it fails only when that is zero.
            let _ = rustix::io::read(&self.waker, &mut [0; size_of::<u64>()]);
            return Readiness::Woken;
        }
        let flags = event.flags;
        Readiness::Socket {
            index: event.data.u64() as usize,
            readable: flags.intersects(EventFlags::IN.union(END)),
            ended: flags.intersects(END),
            writable: flags.contains(EventFlags::OUT),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self(Vec::with_capacity(EVENTS_PER_TURN))
    }
}

/// Wakes a [`Poller`] from another thread.
pub(crate) struct Waker(OwnedFd);

impl Waker {
    pub(crate) fn wake(&self) {
        // It fails only when the counter is full: woken often enough.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}
