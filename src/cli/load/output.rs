//! Where reports go, and in which form.

use std::fs::File;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::error::LoadError;

/// Options of every command that reports.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Reporting {
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// No progress line
    #[arg(long)]
    pub(super) quiet: bool,
}

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Reporting {
    /// Opens what the report is written to, before the run, so that a mistake does not cost one.
    pub(super) fn open(&self) -> Result<Destination, LoadError> {
        let Some(path) = &self.output else { return Ok(Destination(None)) };
        match File::create(path) {
            Ok(file) => Ok(Destination(Some((path.clone(), file)))),
            Err(source) => Err(LoadError::Output { path: path.clone(), source }),
        }
    }
}

/// A file, or stdout if none is named.
#[derive(Debug)]
pub(super) struct Destination(Option<(PathBuf, File)>);

impl Destination {
    /// Writes a whole document.
    pub(super) fn deliver(self, document: &str) -> Result<(), LoadError> {
        let (path, outcome) = match self.0 {
            Some((path, mut file)) => {
                let outcome = file.write_all(document.as_bytes());
                (path, outcome)
            }
            None => (Path::new("stdout").to_owned(), stdout().write_all(document.as_bytes())),
        };
        outcome.map_err(|source| LoadError::Output { path, source })
    }
}
