//! How a listener goes without resetting anybody.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SocketFlags;
use socket2::{SockFilter, SockRef};

use crate::say;

/// Classic BPF over the TCP header: drop a segment whose flags are SYN without ACK, keep the rest.
/// A client whose SYN is dropped sends another to whoever listens next.
const DROP_BARE_SYNS: [(u16, u8, u8, u32); 5] = [
    (0x30, 0, 0, 13),          // ldb [13]: the flags
    (0x54, 0, 0, 0x12),        // and #(SYN | ACK)
    (0x15, 0, 1, 0x02),        // jeq #SYN: next, else the one after
    (0x06, 0, 0, 0),           // ret #0: drop
    (0x06, 0, 0, 0xffff_ffff), // ret #-1: keep
];

/// From now on no handshake begins on this listener; those under way complete.
///
/// A kernel that refuses the filter leaves a narrower window: what is queued is still accepted.
pub(crate) fn hold_off(listener: BorrowedFd<'_>) {
    let filter = DROP_BARE_SYNS
        .map(|(code, on_true, on_false, value)| SockFilter::new(code, on_true, on_false, value));
    if let Err(error) = SockRef::from(&listener).attach_filter(&filter) {
        say(format_args!("warning: new connections cannot be held off while draining: {error}"));
    }
}

/// Accepts one of those that wait in the queue, without waiting for one.
///
/// # Errors
///
/// `AGAIN` when the queue is empty.
pub(crate) fn accept_queued(listener: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::io::ioctl_fionbio(listener, true)?;
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC)
}
