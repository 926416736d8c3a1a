//! How the load generator ends.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing::error;

use crate::load::draw::ReadError;
use crate::load::format::printable;
use crate::load::study::compare::CompareError;
use crate::load::{DescriptorLimitError, Outcome, RunError};

/// Nothing could be measured, or not be written.
const EXIT_NOTHING: u8 = 1;
/// The command line is not possible.
const EXIT_USAGE: u8 = 2;
/// An assertion was missed by a valid measurement.
const EXIT_MISSED: u8 = 3;
/// The measurement is not valid.
const EXIT_INVALID: u8 = 4;
/// It was interrupted.
const EXIT_INCOMPLETE: u8 = 5;
/// A comparison decides nothing.
const EXIT_INCONCLUSIVE: u8 = 6;

/// With which code a program ends that has delivered a report of this outcome.
pub(super) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Passed => ExitCode::SUCCESS,
        Outcome::Missed => ExitCode::from(EXIT_MISSED),
        Outcome::GeneratorLimited
        | Outcome::HostAtFault
        | Outcome::TooFewSamples
        | Outcome::ServerAtFault => ExitCode::from(EXIT_INVALID),
        Outcome::Incomplete => ExitCode::from(EXIT_INCOMPLETE),
        Outcome::Inconclusive => ExitCode::from(EXIT_INCONCLUSIVE),
    }
}

/// Why the program ends without a report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option's value is not possible.
    #[error("{0}")]
    Usage(String),
    /// A result's file will not take it.
    #[error("cannot write {what} to {path}: {source}; choose another {option}")]
    Output {
        /// The result.
        what: &'static str,
        /// The option that names its file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// A result could not be written.
    #[error("cannot write {what} to {path}: {source}")]
    Write {
        /// The result.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The target's name has no address.
    #[error("cannot resolve {target}: {source}")]
    Resolve {
        /// The target as the user wrote it.
        target: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// A file that is to be read cannot be.
    #[error("cannot read {path}: {why}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The problem and its place.
        why: String,
    },
    /// A file is not what a picture can be made of.
    #[error("cannot draw {path}: {why}")]
    Draw {
        /// The file.
        path: PathBuf,
        /// The problem.
        why: ReadError,
    },
    /// The host lets the process open too few files.
    #[error(transparent)]
    Descriptors(#[from] DescriptorLimitError),
    /// The host lets the process open too few files for both ends of the connections.
    #[error("{0}; or start the server in a process of its own and name it as TARGET")]
    DescriptorsOfBoth(DescriptorLimitError),
    /// The embedded server does not start.
    #[error("cannot start the embedded server: {0}; or name a TARGET to measure")]
    Server(String),
    /// Completions or man pages cannot be written.
    #[error("{0}")]
    Manual(std::io::Error),
    /// Nothing could be measured.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nothing could be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

impl LoadError {
    /// Logs the error; returns the exit code.
    pub fn report(&self) -> ExitCode {
        // Messages name files and quote what is in them.
        let message = self.to_string();
        let lines: Vec<String> = message.lines().map(printable).collect();
        error!("{}", lines.join("\n"));
        ExitCode::from(match self {
            Self::Usage(_) | Self::Output { .. } => EXIT_USAGE,
            Self::Write { .. }
            | Self::Read { .. }
            | Self::Draw { .. }
            | Self::Resolve { .. }
            | Self::Descriptors(_)
            | Self::DescriptorsOfBoth(_)
            | Self::Server(_)
            | Self::Manual(_)
            | Self::Run(_)
            | Self::Compare(_) => EXIT_NOTHING,
        })
    }
}
