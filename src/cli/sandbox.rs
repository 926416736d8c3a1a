//! Closing the process in, once it serves.

use std::fs;

use clap::ValueEnum;

use crate::server::{DriverKind, Server};
use crate::sys;

/// Choices of closing the process in, as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sandbox {
    /// Where the kernel can, else with a warning
    Auto,
    /// Or do not serve
    On,
    /// Not at all
    Off,
}

/// Why a process that must be closed in is not.
#[derive(Debug, thiserror::Error)]
#[error("{0}: start with --sandbox auto to serve all the same, or allow seccomp(2)")]
pub struct SandboxError(String);

/// State of a process that was closed in or not, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// A line on what is closed.
    Yes(String),
    /// A warning that it is open.
    No(String),
}

impl Sandbox {
    /// Closes the process in as far as it is asked for: from now on its threads may only do what
    /// serving takes. Nothing must be opened or started afterwards.
    ///
    /// # Errors
    ///
    /// When it must be and cannot.
    pub fn close(self, server: &Server) -> Result<Closed, SandboxError> {
        let rings = match server.driver() {
            DriverKind::Uring => "rings restricted, ",
            DriverKind::TokioUring => "rings not restricted (tokio-uring makes its own), ",
            DriverKind::Epoll => "",
        };
        if self == Self::Off {
            return Ok(Closed::Yes(format!("sandbox: {rings}seccomp off")));
        }
        // Counted before: the directory cannot be opened afterwards.
        let threads = fs::read_dir("/proc/self/task").map(|tasks| format!("{}", tasks.count()));
        let threads = threads.unwrap_or_else(|_| "all".to_owned());
        match (sys::filter_system_calls(), self) {
            (Ok(()), _) => Ok(Closed::Yes(format!("sandbox: {rings}seccomp on {threads} threads"))),
            (Err(error), Self::On) => Err(SandboxError(error.to_string())),
            (Err(error), _) => Ok(Closed::No(format!(
                "sandbox: {rings}no seccomp: {error}: system calls are not filtered; allow seccomp(2), \
                 or say --sandbox off"
            ))),
        }
    }
}
