//! Pipes through which connections splice.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread, retry_on_intr};
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};

use crate::sys::sockopt;

/// Bytes that a pipe holds at most: as many as wait for a peer before it is not read any more.
const PIPE_SIZE: usize = 256 << 10;
/// A pipe that holds less saves nothing. A user's pipes have two pages each once they take more than
/// `fs.pipe-user-pages-soft` (`pipe(7)`).
const MIN_PIPE_SIZE: usize = 64 << 10;

/// The pipes of one worker: those that are not in use, and how many there may be.
#[derive(Debug)]
pub(super) struct Pipes {
    spare: Vec<Pipe>,
    made: usize,
    limit: usize,
}

#[derive(Debug)]
pub(super) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

/// Result of moving what arrived into a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakenIn {
    /// So many bytes; there may be more.
    Some(usize),
    /// So many bytes, and nothing has arrived behind them.
    All(usize),
    /// Nothing has arrived.
    Nothing,
    /// Something has, and the pipe is full.
    Full,
    /// The next byte is an urgent one, which only a receive gets past.
    Stuck,
    Fin,
}

impl Pipes {
    pub(super) fn new(limit: usize) -> Self {
        Self { spare: Vec::new(), made: 0, limit }
    }

    /// An empty pipe, unless there are none left or the kernel makes none that would pay.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.spare.pop() {
            return Some(pipe);
        }
        if self.made == self.limit {
            return None;
        }
        let pipe = Pipe::new()?;
        self.made += 1;
        Some(pipe)
    }

    /// Takes an empty pipe back.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        self.spare.push(pipe);
    }

    /// Closes a pipe with what is in it.
    pub(super) fn discard(&mut self, pipe: Pipe) {
        drop(pipe);
        self.made -= 1;
    }
}

impl Pipe {
    fn new() -> Option<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // A size that is refused leaves the usual one of 64 KiB.
        let _ = fcntl_setpipe_size(&writer, PIPE_SIZE);
        let size = fcntl_getpipe_size(&writer).ok()?;
        (size >= MIN_PIPE_SIZE).then_some(Self { reader, writer })
    }

    /// Moves what has arrived at a socket, which must not block, into the pipe.
    ///
    /// # Errors
    ///
    /// When the socket has failed.
    pub(super) fn take_in(&self, socket: BorrowedFd<'_>) -> Result<TakenIn, Errno> {
        match retry_on_intr(|| splice(socket, None, &self.writer, None, PIPE_SIZE, FLAGS)) {
            // At an urgent byte the kernel says so as well once the FIN has arrived behind it.
            Ok(0) | Err(Errno::AGAIN) if sockopt::is_at_urgent_byte(socket) => Ok(TakenIn::Stuck),
            Ok(0) => Ok(TakenIn::Fin),
            Ok(length) if nothing_has_arrived(socket) => Ok(TakenIn::All(length)),
            Ok(length) => Ok(TakenIn::Some(length)),
            Err(Errno::AGAIN) if ioctl_fionread(socket).is_ok_and(|arrived| arrived > 0) => {
                Ok(TakenIn::Full)
            }
            Err(Errno::AGAIN) => Ok(TakenIn::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Moves bytes of the pipe to a socket, as many as it takes, at most so many as are in the pipe.
    ///
    /// # Errors
    ///
    /// `AGAIN` when the socket is full.
    pub(super) fn give_out(&self, socket: BorrowedFd<'_>, held: usize) -> Result<usize, Errno> {
        retry_on_intr(|| splice(&self.reader, None, socket, None, held, FLAGS))
    }
}

/// Returns whether a receive would have to wait, which is cheaper to ask than a splice that finds
/// nothing, and leaves the socket's error to whom it concerns. A FIN has arrived as well.
fn nothing_has_arrived(socket: BorrowedFd<'_>) -> bool {
    let mut sockets = [PollFd::from_borrowed_fd(socket, PollFlags::IN | PollFlags::RDHUP)];
    poll(&mut sockets, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
}

/// Of these a splice from a socket heeds none as to waiting: it waits as the socket does.
const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);
