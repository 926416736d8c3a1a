//! What can be wrong with a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use crate::load::clock;
use crate::load::report::format::nanos;

/// A server did not do what it must to be measured. What is left of it, because it could not be
/// killed, is named.
#[derive(Debug)]
pub struct ServerError(pub(super) Box<Failure>);

/// What there is to be said of a server that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the user calls it.
    pub(super) name: String,
    pub(super) command: String,
    pub(super) fault: Fault,
    /// What it wrote last.
    pub(super) last_lines: Vec<String>,
    /// Processes of it that could not be killed.
    pub(super) survivors: Vec<String>,
}

/// What was wrong.
#[derive(Debug)]
pub enum Fault {
    /// No port could be had.
    Port(io::Error),
    /// It cannot be started.
    Spawn(io::Error),
    /// It ended before it took a connection.
    EndedEarly {
        /// How it ended, if the kernel said so.
        status: Option<ExitStatus>,
        /// Where it should have listened.
        address: SocketAddr,
        /// Somebody else had the port.
        was_taken: bool,
    },
    /// Somebody else answered at its address.
    ForeignPort(SocketAddr),
    /// It took no connection in time.
    NeverListened {
        /// Where it should have listened.
        address: SocketAddr,
        /// The time that it had.
        timeout: Duration,
    },
    /// It ended while it was measured.
    Died {
        /// How it ended, if the kernel said so.
        status: Option<ExitStatus>,
    },
    /// SIGTERM did not end it.
    IgnoredTerm {
        /// The time that it had.
        timeout: Duration,
    },
    /// It ended, and processes that it had started did not.
    LeftBehind {
        /// How it ended, if the kernel said so.
        status: Option<ExitStatus>,
        /// A description of each.
        left: Vec<String>,
    },
    /// Nothing is left of it, and yet somebody takes connections at its address.
    PortOpen(SocketAddr),
    /// The interrupt was raised before it took a connection.
    Interrupted,
}

impl ServerError {
    /// Whether it is the user who ended it.
    pub fn is_interruption(&self) -> bool {
        matches!(self.0.fault, Fault::Interrupted)
    }

    /// Whether it never took a connection.
    pub(in crate::load) fn is_start(&self) -> bool {
        match self.0.fault {
            Fault::Port(_)
            | Fault::Spawn(_)
            | Fault::EndedEarly { .. }
            | Fault::ForeignPort(_)
            | Fault::NeverListened { .. }
            | Fault::Interrupted => true,
            Fault::Died { .. }
            | Fault::IgnoredTerm { .. }
            | Fault::LeftBehind { .. }
            | Fault::PortOpen(_) => false,
        }
    }

    /// Whether another port may help.
    pub(super) fn is_about_the_port(&self) -> bool {
        matches!(self.0.fault, Fault::EndedEarly { was_taken: true, .. } | Fault::ForeignPort(_))
    }
}

impl std::error::Error for ServerError {}

/// What happened, and under it what the server wrote last.
impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { name, command, fault, last_lines, survivors } = &*self.0;
        write!(f, "server {name} ({command}) {fault}")?;
        if !survivors.is_empty() {
            write!(f, "; could not be killed, end it yourself: {}", survivors.join(", "))?;
        }
        if last_lines.is_empty() {
            return Ok(());
        }
        f.write_str("; it wrote last:")?;
        last_lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(error) => write!(f, "has no port to listen on: {error}"),
            Self::Spawn(error) => {
                write!(f, "cannot be started: {error}; is the program there, and executable?")
            }
            Self::EndedEarly { status, address, was_taken } => {
                write!(f, "ended before it listened on {address} ({})", describe(*status))?;
                if *was_taken {
                    return f.write_str(", a port that somebody else has");
                }
                f.write_str(": it must listen where it is told, and stay in the foreground")
            }
            Self::ForeignPort(address) => {
                write!(f, "does not listen on {address}, and another process does")
            }
            Self::NeverListened { address, timeout } => write!(
                f,
                "did not listen on {address} within {}: it must take connections where {{addr}} \
                 says; if it is slow to start, raise --start-timeout",
                time(*timeout),
            ),
            Self::Died { status } => {
                write!(f, "died while it was measured ({})", describe(*status))
            }
            Self::IgnoredTerm { timeout } => write!(
                f,
                "did not end within {} of SIGTERM and was killed; if it is slow to stop, raise \
                 --stop-timeout",
                time(*timeout),
            ),
            Self::LeftBehind { status, left } => write!(
                f,
                "ended ({}) and left behind what had to be killed: {}",
                describe(*status),
                left.join(", "),
            ),
            Self::PortOpen(address) => write!(
                f,
                "ended, but {address} still takes connections, by a process that is none of its \
                 descendants: the command must run the server itself"
            ),
            Self::Interrupted => f.write_str("was stopped while it started: interrupted"),
        }
    }
}

fn describe(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string())
}

fn time(duration: Duration) -> String {
    nanos(clock::nanos(duration))
}
