//! Why connections cannot be made.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use rustix::io::Errno;

/// How long a handshake may take: several of the SYN's repetitions, the first after a second.
pub(crate) const HANDSHAKE_LIMIT_S: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// The handshake took too long.
    TimedOut,
    /// The run was over before the handshake was.
    Unfinished,
    /// The kernel said so.
    Errno(i32),
}

/// Attempts that failed, by cause.
pub(crate) type Failures = BTreeMap<Failure, u64>;

impl Failure {
    /// Returns whether this host lacked something, whatever the server does.
    pub(crate) fn is_ours(self) -> bool {
        let lacking =
            [Errno::ADDRNOTAVAIL, Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        match self {
            Self::TimedOut | Self::Unfinished => false,
            Self::Errno(number) => lacking.contains(&Errno::from_raw_os_error(number)),
        }
    }

    pub(crate) fn of(error: &io::Error) -> Self {
        // Every error of a system call has a number.
        Self::Errno(error.raw_os_error().unwrap_or_default())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match self {
            Self::TimedOut => {
                return write!(f, "no handshake completed for {HANDSHAKE_LIMIT_S} s");
            }
            Self::Unfinished => {
                return f.write_str("no handshake completed within --timeout of the window");
            }
            Self::Errno(number) => number,
        };
        write!(f, "{}", io::Error::from_raw_os_error(*number))?;
        f.write_str(match Errno::from_raw_os_error(*number) {
            Errno::ADDRNOTAVAIL => {
                ", all local ports to the target are in use or in TIME_WAIT: connect from more \
                 addresses (--source), set net.ipv4.tcp_tw_reuse=1, or widen \
                 net.ipv4.ip_local_port_range"
            }
            Errno::MFILE => ": raise the limit of open files (ulimit -n)",
            Errno::INVAL => {
                ": a --source on loopback reaches this host only, and a link-local target needs \
                 its interface (`ip link`), as in [fe80::1%eth0]:7"
            }
            _ => "",
        })
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure {
            Failure::TimedOut | Failure::Unfinished => io::ErrorKind::TimedOut,
            Failure::Errno(number) => Self::from_raw_os_error(number).kind(),
        };
        Self::new(kind, failure.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_exhaustion_is_named_with_its_fix() {
        let text = Failure::Errno(Errno::ADDRNOTAVAIL.raw_os_error()).to_string();
        assert!(text.contains("--source") && text.contains("tcp_tw_reuse"), "{text}");
    }
}
