//! How a listener goes without resetting anybody.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

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
pub(crate) fn hold_off(listener: &TcpListener) {
    let filter = DROP_BARE_SYNS
        .map(|(code, on_true, on_false, value)| SockFilter::new(code, on_true, on_false, value));
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        say(format_args!("warning: new connections cannot be held off while draining: {error}"));
    }
}

/// Accepts what waits in the queue, as far as descriptors go; says whether it is empty now.
pub(crate) fn take_queue(listener: &TcpListener) -> (Vec<OwnedFd>, bool) {
    let mut sockets = Vec::new();
    if listener.set_nonblocking(true).is_err() {
        return (sockets, false);
    }
    loop {
        match listener.accept() {
            Ok((stream, _)) => sockets.push(stream.into()),
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                kind => return (sockets, kind == io::ErrorKind::WouldBlock),
            },
        }
    }
}
