//! What drivers do with a connection's socket beside receiving and sending.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::net::Shutdown;
use socket2::SockRef;

use super::{Account, Manner};
use crate::lifecycle::{Admission, Probe};
use crate::sys::sockopt;

/// The peer's address, where somebody counts by it.
pub(super) fn address_of(socket: BorrowedFd<'_>, admission: &Admission) -> Option<IpAddr> {
    if !admission.asks_for_address() {
        return None;
    }
    let address = rustix::net::getpeername(socket).ok()??;
    SocketAddr::try_from(address).ok().map(|address| address.ip())
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

/// Sends FIN.
pub(super) fn shut_down_writing(socket: BorrowedFd<'_>) {
    // A peer that is already gone shows in what is received.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

/// Prepares a socket for being closed; returns what is to be accounted for and how many bytes the
/// peer has not acknowledged.
pub(super) fn prepare_close(socket: BorrowedFd<'_>, manner: Manner) -> Option<(Account, usize)> {
    match manner {
        Manner::Plain => None,
        Manner::Accounting(account) => Some((account, sockopt::bytes_queued(socket).unwrap_or(0))),
        Manner::Reset => {
            // Should it be refused, the kernel keeps the bytes until it gives up by itself.
            let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            None
        }
    }
}
