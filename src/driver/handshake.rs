//! How a listener goes without resetting anybody.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use socket2::{SockFilter, SockRef};

use super::failure;
use crate::say;

/// Connections that a listener lets wait to be accepted; the kernel lowers it to
/// `net.core.somaxconn`.
pub(crate) const BACKLOG: u16 = 4096;

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
pub(crate) fn hold_off(listener: &TcpListener) {
    let filter = DROP_BARE_SYNS
        .map(|(code, on_true, on_false, value)| SockFilter::new(code, on_true, on_false, value));
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        say(format_args!("warning: new connections cannot be held off while draining: {error}"));
    }
}

/// What is left in the queue of a listener that is to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remainder {
    /// Nobody waits any more: closing resets nobody.
    Nobody,
    /// As many as were asked for were accepted, and others may wait.
    More,
    /// Descriptors or memory ran out before it was empty.
    OutOfDescriptors,
}

/// Gives up to `limit` connections that wait in the queue to `adopt`, each with these flags.
pub(crate) fn take_queue(
    listener: &TcpListener,
    flags: SocketFlags,
    limit: usize,
    mut adopt: impl FnMut(OwnedFd),
) -> Remainder {
    if listener.set_nonblocking(true).is_err() {
        return Remainder::OutOfDescriptors;
    }
    for _ in 0..limit {
        match accept_with(listener, flags) {
            Ok(socket) => adopt(socket),
            Err(Errno::AGAIN) => return Remainder::Nobody,
            Err(error) if failure::stops_accepting(error) => return Remainder::OutOfDescriptors,
            // Of the connection that was to be accepted, which is gone.
            Err(_) => {}
        }
    }
    Remainder::More
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_queue_is_taken_in_batches_until_nobody_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("bound");
        let peers: Vec<_> = (0..5).map(|_| TcpStream::connect(address).expect("queued")).collect();
        let mut taken = Vec::new();
        let mut take =
            || take_queue(&listener, SocketFlags::CLOEXEC, 2, |socket| taken.push(socket));
        assert_eq!([take(), take()], [Remainder::More; 2]);
        assert_eq!(take(), Remainder::Nobody);
        assert_eq!(taken.len(), peers.len());
    }
}
