//! Operations of drivers on a connection's socket beside receiving and sending.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown, sendmsg};
use socket2::SockRef;

use super::buffers::{Buffers, bytes_of};
use super::connection::CloseMode;
use crate::lifecycle::{Admission, Probe};
use crate::sys::{Parts, Stretch, sockopt};

/// Most parts of one [`send`]: far below IOV_MAX (1024).
pub(super) const MAX_PARTS: usize = 64;

/// The peer's address, where somebody counts by it: an IPv4 one as such, also where an IPv6 listener
/// took it.
pub(super) fn address_of(socket: BorrowedFd<'_>, admission: &Admission) -> Option<IpAddr> {
    if !admission.asks_for_address() {
        return None;
    }
    let address = rustix::net::getpeername(socket).ok()??;
    SocketAddr::try_from(address).ok().map(|address| address.ip().to_canonical())
}

/// A socket that cannot be asked has failed: receiving from it will say so.
pub(super) fn probe(socket: BorrowedFd<'_>) -> Probe {
    let progress = sockopt::progress(socket).ok();
    Probe {
        acknowledged: progress.map_or(0, |progress| progress.acknowledged),
        queued: sockopt::bytes_queued(socket).unwrap_or(0),
        is_over: progress.is_some_and(|progress| progress.is_over),
    }
}

/// Sends what the socket takes at once, of at most [`MAX_PARTS`] parts.
pub(super) fn send<L: Stretch>(
    socket: BorrowedFd<'_>,
    parts: &Parts<L>,
    buffers: &impl Buffers<Lease = L>,
) -> Result<usize, Errno> {
    let mut slices = [IoSlice::new(&[]); MAX_PARTS];
    for (slice, part) in slices.iter_mut().zip(parts.iter()) {
        *slice = IoSlice::new(bytes_of(part, buffers));
    }
    let mut no_control = SendAncillaryBuffer::default();
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &slices[..parts.count()], &mut no_control, flags)
}

/// Sends FIN.
pub(super) fn shut_down_writing(socket: BorrowedFd<'_>) {
    // A peer that is already gone shows in what is received.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

/// Prepares a socket for being closed; returns how many bytes its peer has not acknowledged, where
/// that is accounted for.
pub(super) fn prepare_close(socket: BorrowedFd<'_>, mode: CloseMode) -> usize {
    match mode {
        CloseMode::Plain => 0,
        CloseMode::Accounting => sockopt::bytes_queued(socket).unwrap_or(0),
        CloseMode::Reset => {
            // Should it be refused, the kernel keeps the bytes until it gives up by itself.
            let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            0
        }
    }
}
