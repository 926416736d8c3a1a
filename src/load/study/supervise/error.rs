//! Failures of a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use crate::load::clock;
use crate::load::format::nanos;

/// A server did not do what it must to be measured.
#[derive(Debug)]
pub struct ServerError(pub(super) Box<Failure>);

/// The facts about a server that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The user's name for it.
    pub(super) name: String,
    pub(super) command: String,
    pub(super) fault: Fault,
    /// Where it should have listened, once it was started.
    pub(super) address: Option<SocketAddr>,
    /// Who listens there although nothing is left of its group.
    pub(super) port_owner: Option<String>,
    /// The last lines that it wrote.
    pub(super) last_lines: Vec<String>,
}

/// The kinds of failure.
#[derive(Debug)]
pub(super) enum Fault {
    /// No port could be had.
    Port(io::Error),
    /// It cannot be started.
    Spawn(io::Error),
    /// It ended before it took a connection.
    EndedEarly { status: Option<ExitStatus>, is_port_taken: bool },
    /// It took no connection in time.
    NeverListened { timeout: Duration },
    /// It ended while it was measured.
    Died { status: Option<ExitStatus> },
    /// SIGTERM did not end it.
    IgnoredTerm { timeout: Duration },
    /// It ended, and processes of its group did not.
    LeftBehind { status: Option<ExitStatus>, left: Vec<String> },
    /// Nothing is left of its group, and yet somebody takes connections at its address.
    PortOpen,
    /// The interrupt was raised before it took a connection.
    Interrupted,
}

impl ServerError {
    /// Returns whether it is the user who ended it.
    pub fn is_interruption(&self) -> bool {
        matches!(self.0.fault, Fault::Interrupted)
    }

    /// Returns whether it never took a connection.
    pub(in crate::load) fn is_start(&self) -> bool {
        match self.0.fault {
            Fault::Port(_)
            | Fault::Spawn(_)
            | Fault::EndedEarly { .. }
            | Fault::NeverListened { .. }
            | Fault::Interrupted => true,
            Fault::Died { .. }
            | Fault::IgnoredTerm { .. }
            | Fault::LeftBehind { .. }
            | Fault::PortOpen => false,
        }
    }

    /// Returns whether another port may help. A server that went into the background has its port
    /// itself, and ends without an error.
    pub(super) fn is_port_taken(&self) -> bool {
        match self.0.fault {
            Fault::EndedEarly { is_port_taken, status } => {
                is_port_taken && status.is_none_or(|status| !status.success())
            }
            _ => false,
        }
    }
}

impl std::error::Error for ServerError {}

/// The failure, and under it the last lines of the server.
impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { name, command, fault, address, port_owner, last_lines } = &*self.0;
        write!(f, "server {name} ({command}) {fault}")?;
        if let (Some(address), Some(owner)) = (address, port_owner) {
            write!(
                f,
                "; {address} is served by {owner}: if the command left it behind, end it, and let \
                 the command run the server in the foreground"
            )?;
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
        let end = |status: &Option<ExitStatus>| {
            status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string())
        };
        let time = |duration: &Duration| nanos(clock::nanos(*duration));
        match self {
            Self::Port(error) => write!(f, "has no port to listen on: {error}"),
            Self::Spawn(error) => {
                write!(f, "cannot be started: {error}; is the program there, and executable?")
            }
            Self::EndedEarly { status, .. } => write!(
                f,
                "ended before it took a connection ({}): it must listen where {{addr}} says, and \
                 stay in the foreground",
                end(status),
            ),
            Self::NeverListened { timeout } => write!(
                f,
                "did not take a connection within {}: it must listen where {{addr}} says; if it is \
                 slow to start, raise --start-timeout",
                time(timeout),
            ),
            Self::Died { status } => write!(f, "died while it was measured ({})", end(status)),
            Self::IgnoredTerm { timeout } => write!(
                f,
                "did not end within {} of SIGTERM and was killed; if it is slow to stop, raise \
                 --stop-timeout",
                time(timeout),
            ),
            Self::LeftBehind { status, left } => write!(
                f,
                "ended ({}) and left behind what had to be killed: {}",
                end(status),
                left.join(", "),
            ),
            Self::PortOpen => f.write_str("ended, but its port is still open"),
            Self::Interrupted => f.write_str("was stopped while it started: interrupted"),
        }
    }
}
