//! Multiplexed without a copy in user space: level-triggered epoll, and splice(2) through a pipe of
//! each connection, `splice-echo ADDR [CPUS]`.
//!
//! The bytes stay in the kernel's pages, so bulk costs less than half; what the pages' way costs
//! does not depend on their number of bytes, so small messages cost more.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use ringback_peers::{Echo, Fate, multiplexed};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// A pipe may be as large for everybody (`fs.pipe-max-size`). With the 64 KiB that it has at first a
/// larger message goes through it in many parts.
const PIPE_BYTES: usize = 1 << 20;

fn main() -> ExitCode {
    ringback_peers::run(multiplexed::serve::<Spliced>)
}

/// While the pipe holds something nothing is received.
struct Spliced {
    socket: OwnedFd,
    from_pipe: OwnedFd,
    to_pipe: OwnedFd,
    in_pipe: usize,
}

impl Echo for Spliced {
    fn new(socket: OwnedFd) -> Result<Self, Errno> {
        let (from_pipe, to_pipe) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        match fcntl_setpipe_size(&to_pipe, PIPE_BYTES) {
            // Who has many pipes gets no larger ones (`fs.pipe-user-pages-soft`).
            Ok(_) | Err(Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        Ok(Self { socket, from_pipe, to_pipe, in_pipe: 0 })
    }

    fn is_sending(&self) -> bool {
        self.in_pipe > 0
    }

    fn serve(&mut self, _: &mut [u8]) -> Fate {
        self.echo().unwrap_or(Fate::Closed)
    }
}

impl Spliced {
    fn echo(&mut self) -> Result<Fate, Errno> {
        if self.in_pipe == 0 {
            match move_some(&self.socket, &self.to_pipe, PIPE_BYTES)? {
                None => return Ok(Fate::Open),
                Some(0) => return Ok(Fate::Closed),
                Some(length) => self.in_pipe = length,
            }
        }
        let sent = move_some(&self.from_pipe, &self.socket, self.in_pipe)?;
        self.in_pipe -= sent.unwrap_or(0);
        Ok(Fate::Open)
    }
}

/// How much went from one to the other; none yet is `None`, 0 is the end of the stream.
fn move_some(from: &OwnedFd, to: &OwnedFd, most: usize) -> Result<Option<usize>, Errno> {
    match splice(from, None, to, None, most, SpliceFlags::NONBLOCK) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        moved => moved.map(Some),
    }
}

impl AsFd for Spliced {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
