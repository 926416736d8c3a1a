//! How the load generator ends.

use std::process::ExitCode;
use tracing::error;

use super::super::exit_codes::load as exit_codes;
use crate::load::format::printable;
use crate::load::study::compare::CompareError;
use crate::load::{Outcome, RunError};

/// The end of a program that has delivered a report of this outcome.
pub(super) fn exit_code(outcome: Outcome) -> ExitCode {
    ExitCode::from(outcome.exit_code())
}

/// Why the program ends without a report, and with which code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    message: String,
    code: u8,
}

impl LoadError {
    /// The command line is not possible.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: exit_codes::USAGE }
    }

    /// Nothing could be measured, read or written.
    pub(super) fn nothing(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: exit_codes::NOTHING }
    }

    /// Logs the error; returns the exit code.
    pub fn report(&self) -> ExitCode {
        // Messages name files and quote what is in them.
        let lines: Vec<String> = self.message.lines().map(printable).collect();
        error!("{}", lines.join("\n"));
        ExitCode::from(self.code)
    }
}

impl From<RunError> for LoadError {
    fn from(error: RunError) -> Self {
        let code = match error {
            RunError::Interrupted { .. } => Outcome::Incomplete.exit_code(),
            _ => exit_codes::NOTHING,
        };
        Self { message: error.to_string(), code }
    }
}

impl From<CompareError> for LoadError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Run(error) => error.into(),
            error => Self::nothing(error.to_string()),
        }
    }
}
