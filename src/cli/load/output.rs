//! Where reports go, and in which form.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::destination::Destination;
use super::error::LoadError;
use crate::load::report::json;

/// Options of every command that reports.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Reporting {
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// No progress line
    #[arg(long)]
    pub(super) quiet: bool,
}

/// The option of every command whose result has a picture.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Drawing {
    /// Draw the result into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs; `ringback-load schema` describes it
    Json,
}

impl Reporting {
    /// Looks at the file before the run, so that a mistake does not cost one.
    pub(super) fn open(&self) -> Result<Outputs, LoadError> {
        let report = open_report(self.output.as_deref())?;
        Ok(Outputs { format: self.format, report, picture: None })
    }

    /// As [`open`](Self::open), with a picture if one is wanted.
    pub(super) fn open_with(&self, drawing: &Drawing) -> Result<Outputs, LoadError> {
        let outputs = self.open()?;
        let picture = open("the picture", "--svg", drawing.svg.as_deref())?;
        if let Some(picture) = &picture {
            Destination::check_distinct(&[&outputs.report, picture])?;
        }
        Ok(Outputs { picture, ..outputs })
    }
}

/// Where the report goes, in which form, and the picture if one is wanted.
pub(super) struct Outputs {
    pub(super) format: Format,
    pub(super) report: Destination,
    pub(super) picture: Option<Destination>,
}

impl Outputs {
    /// Writes a report where it belongs, in its form.
    pub(super) fn deliver<T: Serialize + Display>(
        self,
        report: &T,
        draw: Option<fn(&T) -> String>,
    ) -> Result<(), LoadError> {
        self.report.deliver(&self.format.write(report))?;
        match (self.picture, draw) {
            (Some(picture), Some(draw)) => picture.deliver(&draw(report)),
            _ => Ok(()),
        }
    }
}

impl Format {
    /// The report in this form.
    pub(super) fn write(self, report: &(impl Serialize + Display)) -> String {
        match self {
            Self::Text => report.to_string(),
            Self::Json => json(report),
        }
    }
}

/// Where a report goes: into the file that `--output` names, or to stdout.
pub(super) fn open_report(path: Option<&Path>) -> Result<Destination, LoadError> {
    let report = open("the report", "--output", path)?;
    Ok(report.unwrap_or_else(|| Destination::stdout("the report")))
}

/// Where a result goes that an option names a file for, if it does.
pub(super) fn open(
    what: &'static str,
    option: &'static str,
    path: Option<&Path>,
) -> Result<Option<Destination>, LoadError> {
    path.map(|path| Destination::open(what, option, path)).transpose()
}
