//! Why a run has no report, or a configuration is not possible.

use std::io;
use std::time::{Duration, SystemTime};

use crate::load::clock;
use crate::load::format::{nanos, rfc3339_exact};

/// Why a value of a configuration is not possible, and what would be, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// No address of the target took a connection.
    #[error("cannot connect to {target}: {source}{}", is_it_there(.source))]
    Connect {
        /// The target as the user wrote it.
        target: String,
        /// The error of the last address.
        source: io::Error,
    },
    /// Whoever listens there is no echo server, or of another protocol.
    #[error(
        "{target} is no server that echoes {protocol} messages: {why}; name another target or \
         --protocol, or measure it all the same with --no-preflight"
    )]
    NoEcho {
        /// The target as the user wrote it.
        target: String,
        /// The protocol's name.
        protocol: &'static str,
        /// The answer, or what came instead of it.
        why: String,
    },
    /// Not one complete reply came.
    #[error("nothing was received from {target}: {why}")]
    NothingReceived {
        /// The target as the user wrote it.
        target: String,
        /// The reasons, as far as they are known.
        why: String,
    },
    /// The interrupt was raised before there was anything to measure.
    #[error("interrupted while {doing}: nothing was measured")]
    Interrupted {
        /// The run's phase.
        doing: &'static str,
    },
    /// The time at which the warm-up was to begin has passed.
    #[error(
        "the start at {} was missed by {}: {why}; nothing was measured; give all parts a later \
         --start-at",
        rfc3339_exact(*.start_at),
        nanos(clock::nanos(*.late)),
    )]
    MissedStart {
        /// The time.
        start_at: SystemTime,
        /// For how long it has passed.
        late: Duration,
        /// The cause, in words.
        why: &'static str,
    },
    /// A generator thread may not run where it should.
    #[error(
        "cannot pin a generator thread to CPU {cpu}: {}; or choose other --cpus",
        crate::cpus::explain(.source)
    )]
    Pin {
        /// The CPU.
        cpu: usize,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel refused something that every run needs.
    #[error("cannot run the load generator (Linux 5.11 or later is needed): {0}")]
    System(#[from] io::Error),
}

fn is_it_there(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut => {
            "; is the server running there?"
        }
        io::ErrorKind::NetworkUnreachable => {
            "; no route leads there: give the address of a single host that `ip route get` reaches"
        }
        _ => "",
    }
}
