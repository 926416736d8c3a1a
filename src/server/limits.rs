//! The descriptors that the host lets this process have, and what they are needed for.

use std::io;
use std::os::fd::BorrowedFd;

use rlimit::Resource;
use rustix::io::fcntl_dupfd_cloexec;

/// Connections beyond the limits that are accepted at the same time to be told that there is no
/// room, over all workers; more are closed without a word.
const MAX_OVERFLOW_CONNECTIONS: usize = 64;

/// Descriptors that the kernel gives a process where nobody says otherwise (`INR_OPEN_CUR` of
/// `linux/fs.h`).
pub(super) const DEFAULT_DESCRIPTORS: usize = 1024;

/// How many descriptors this process can give itself, which a server does when it starts
/// ([`raise_descriptor_limit`]).
///
/// # Errors
///
/// When the limit cannot be read: seccomp filters refuse that.
pub(super) fn descriptor_limit() -> io::Result<usize> {
    let (_, hard) = Resource::NOFILE.get()?;
    Ok(usize::try_from(hard).unwrap_or(usize::MAX))
}

/// Raises the soft limit of descriptors to the hard one, unless it cannot be read: that is for
/// whoever asks for the [`descriptor_limit`].
///
/// # Errors
///
/// When the kernel or a security module refuses it.
pub(super) fn raise_descriptor_limit() -> io::Result<()> {
    Resource::NOFILE.get().map_or(Ok(()), |(_, hard)| Resource::NOFILE.set(hard, hard))
}

/// How many connections leave room for everything else that needs a descriptor: standard streams,
/// signals and shutdown, what the workers have of their own and their listeners, and connections
/// that are told that there is no room.
pub(super) fn connections_within(descriptors: usize, of_workers: usize) -> usize {
    const STREAMS_AND_SIGNALS: usize = 16;
    let reserve = STREAMS_AND_SIGNALS + of_workers + overflow_within(descriptors);
    descriptors.saturating_sub(reserve)
}

/// How many connections may be told at the same time that there is no room.
pub(super) fn overflow_within(descriptors: usize) -> usize {
    (descriptors / 8).min(MAX_OVERFLOW_CONNECTIONS)
}

/// Checks that a server that has everything it starts with can accept a connection, tried with
/// copies of a descriptor of its own.
///
/// # Errors
///
/// When no descriptor is left for one.
pub(super) fn try_descriptors(own: BorrowedFd<'_>) -> io::Result<()> {
    /// A connection, one that is refused, and two for what else a program may open.
    const NEEDED: usize = 4;
    let spare: io::Result<Vec<_>> = (0..NEEDED).map(|_| Ok(fcntl_dupfd_cloexec(own, 0)?)).collect();
    spare.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_needs_descriptors_is_kept_back() {
        assert_eq!(connections_within(10, 4), 0);
        assert_eq!(connections_within(1024, 12), 1024 - 16 - 12 - 64);
        assert!(connections_within(usize::MAX, 2) > 1 << 40);
    }

    #[test]
    fn the_lane_for_refusals_is_never_more_than_an_eighth() {
        assert_eq!(overflow_within(256), 32);
        assert_eq!(overflow_within(usize::MAX), MAX_OVERFLOW_CONNECTIONS);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise_descriptor_limit().expect("nothing forbids it");
        let (soft, hard) = Resource::NOFILE.get().expect("it can be read");
        assert_eq!(soft, hard);
        assert_eq!(descriptor_limit().expect("it can be read") as u64, hard);
    }
}
