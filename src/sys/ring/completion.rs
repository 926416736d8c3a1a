//! Reports of a ring: which operation, and how it ended.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::sys::lease::Lease;
use crate::sys::parts::Parts;
use crate::sys::token::Token;

/// Result of a submission. `S` is what an accepted connection is.
#[derive(Debug)]
pub(crate) struct Completion<S = OwnedFd> {
    pub(crate) token: Token,
    /// More completions of the same submission will follow.
    pub(crate) more: bool,
    pub(crate) outcome: Outcome<S>,
}

#[derive(Debug)]
pub(crate) enum Outcome<S = OwnedFd> {
    Accepted(Result<S, Errno>),
    /// Received bytes; `None` is the peer's FIN.
    Received(Result<Option<Lease>, Errno>),
    /// The parts come back whole; the number is how many of their bytes were sent.
    Sent(Parts, Result<usize, Errno>),
    /// Something of a socket changed: whether it can be sent on now. Spurious ones say that it
    /// cannot.
    Writable(Result<bool, Errno>),
    Readable(Result<(), Errno>),
    /// A socket may have become ready to be received from or sent on, or has failed.
    Ready,
    /// A cancellation ended; the token is that of its target. After `Ok` the target's own
    /// completion follows. Any other end can leave the target in flight: the kernel overlooks one
    /// that it is just about to run (ENOENT) and cannot stop one that runs (EALREADY).
    Cancelled(Result<(), Errno>),
}
