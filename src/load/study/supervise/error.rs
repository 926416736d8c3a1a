//! Failures of a server.

use std::process::ExitStatus;
use std::time::Duration;

use crate::load::clock;
use crate::load::format::nanos;

/// A server did not do what it must to be measured; under the failure the last lines that it wrote.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ServerError {
    pub(super) stage: Stage,
    pub(super) message: String,
}

/// When a server failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before it took a connection.
    Start,
    /// Likewise, since somebody else has its port: another may help.
    PortTaken,
    /// Before it took a connection, or while it was to end: the user does not want to go on.
    Interrupted,
    /// Afterwards.
    Run,
}

impl ServerError {
    /// Returns whether it is the user who ended it.
    pub fn is_interruption(&self) -> bool {
        self.stage == Stage::Interrupted
    }

    /// Returns whether it never took a connection.
    pub(in crate::load) fn is_start(&self) -> bool {
        self.stage != Stage::Run
    }
}

/// How a process ended, in words.
pub(super) fn end(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string())
}

pub(super) fn time(duration: Duration) -> String {
    nanos(clock::nanos(duration))
}
