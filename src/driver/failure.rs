//! Meaning of the kernel's errors, whichever driver meets them.

use rustix::io::Errno;

use crate::lifecycle::Cause;

/// Returns whether a failed accept says that descriptors or memory ran out, so that the next will
/// fail too. Other errors are of the connection that was to be accepted (`accept(2)`), or say
/// «again».
pub(super) fn stops_accepting(error: Errno) -> bool {
    !matches!(
        error,
        Errno::CANCELED
            | Errno::INTR
            | Errno::AGAIN
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTUNREACH
    )
}

/// Why a connection ends when one of its operations failed so; `None` where that only says
/// «again».
pub(super) fn cause_of(error: Errno) -> Option<Cause> {
    match error {
        Errno::CANCELED | Errno::INTR | Errno::AGAIN => None,
        // Of keepalive probes: bytes that are not acknowledged stall a connection much sooner.
        Errno::TIMEDOUT => Some(Cause::Unanswered),
        Errno::CONNRESET
        | Errno::PIPE
        | Errno::CONNABORTED
        | Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::NETDOWN
        | Errno::NETRESET => Some(Cause::Reset),
        _ => Some(Cause::Failed),
    }
}
