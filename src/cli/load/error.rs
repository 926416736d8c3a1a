//! How the load generator ends.

use std::process::ExitCode;
use tracing::error;

use crate::load::format::printable;
use crate::load::study::compare::CompareError;
use crate::load::{Outcome, RunError};

const EXIT_NOTHING: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_MISSED: u8 = 3;
const EXIT_INVALID: u8 = 4;
const EXIT_INCOMPLETE: u8 = 5;
const EXIT_INCONCLUSIVE: u8 = 6;

/// With which code a program ends that has delivered a report of this outcome.
pub(super) fn exit_code(outcome: Outcome) -> ExitCode {
    ExitCode::from(match outcome {
        Outcome::Passed => return ExitCode::SUCCESS,
        Outcome::Missed => EXIT_MISSED,
        Outcome::Incomplete => EXIT_INCOMPLETE,
        Outcome::Inconclusive => EXIT_INCONCLUSIVE,
        Outcome::GeneratorLimited
        | Outcome::HostAtFault
        | Outcome::TooFewSamples
        | Outcome::ServerAtFault => EXIT_INVALID,
    })
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
        Self { message: message.into(), code: EXIT_USAGE }
    }

    /// Nothing could be measured, read or written.
    pub(super) fn nothing(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: EXIT_NOTHING }
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
            RunError::Interrupted { .. } => EXIT_INCOMPLETE,
            _ => EXIT_NOTHING,
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
