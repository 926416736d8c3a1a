//! How a listener goes without resetting anybody.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Once;

use rustix::io::Errno;
use socket2::{SockFilter, SockRef};
use tracing::warn;

use super::failure;

/// Connections that a listener lets wait to be accepted; the kernel lowers it to
/// `net.core.somaxconn`.
pub(crate) const BACKLOG: u16 = 4096;
/// Connections accepted before those that are there have their turn.
pub(super) const MAX_ACCEPTS_PER_TURN: usize = 64;

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
    if let Err(error) = try_hold_off(listener) {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            warn!(
                "new connections cannot be held off while draining: {error}: SO_ATTACH_FILTER is \
                 refused to this user; what is queued is accepted, who comes in the last moment may be \
                 reset: run as root, or restart behind a listener that outlives the server (a \
                 systemd socket unit)"
            );
        });
    }
}

/// As [`hold_off`].
///
/// # Errors
///
/// When the kernel refuses the filter.
pub(crate) fn try_hold_off(listener: BorrowedFd<'_>) -> io::Result<()> {
    let filter = DROP_BARE_SYNS
        .map(|(code, on_true, on_false, value)| SockFilter::new(code, on_true, on_false, value));
    SockRef::from(&listener).attach_filter(&filter)
}

/// Connections left in the queue of a listener that is to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remainder {
    /// Nobody waits any more: closing resets nobody.
    Nobody,
    /// As many as may be were accepted, and others may wait.
    More,
    /// Descriptors or memory ran out before it was empty.
    OutOfDescriptors,
}

/// Lets `accept` take in who waits in a queue, one with each call: those of one turn, or all who can
/// wait if there is no later one.
pub(super) fn take_queue(
    is_last_turn: bool,
    mut accept: impl FnMut() -> Result<(), Errno>,
) -> Remainder {
    let limit = if is_last_turn { usize::from(BACKLOG) } else { MAX_ACCEPTS_PER_TURN };
    for _ in 0..limit {
        match accept() {
            Err(Errno::AGAIN) => return Remainder::Nobody,
            Err(error) if failure::stops_accepting(error) => return Remainder::OutOfDescriptors,
            // Others are of the connection that was to be accepted, which is gone.
            Ok(()) | Err(_) => {}
        }
    }
    Remainder::More
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the remainder of a queue that answers so, with how often it was asked.
    fn take(is_last_turn: bool, answer: impl Fn(usize) -> Result<(), Errno>) -> (Remainder, usize) {
        let mut calls = 0;
        let remainder = take_queue(is_last_turn, || {
            calls += 1;
            answer(calls)
        });
        (remainder, calls)
    }

    #[test]
    fn a_queue_is_taken_in_batches_until_nobody_waits() {
        let five = |call| if call <= 5 { Ok(()) } else { Err(Errno::AGAIN) };
        assert_eq!(take(false, five), (Remainder::Nobody, 6));
        let endless = |_| Ok(());
        assert_eq!(take(false, endless), (Remainder::More, MAX_ACCEPTS_PER_TURN));
        assert_eq!(take(true, endless), (Remainder::More, usize::from(BACKLOG)));
    }

    #[test]
    fn a_connection_that_is_gone_is_passed_over_and_a_lack_of_descriptors_is_not() {
        let faults = [Err(Errno::CONNABORTED), Ok(()), Err(Errno::MFILE)];
        assert_eq!(take(false, |call| faults[call - 1]), (Remainder::OutOfDescriptors, 3));
    }
}
