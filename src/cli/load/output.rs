//! Where reports go, and in which form.

use std::fmt::Display;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::destination::Destination;
use super::error::LoadError;
use crate::load::report::json;

/// Options of every command that reports.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Form {
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Options of every command that measures, reports, and can draw the result.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Reporting {
    #[command(flatten)]
    form: Form,
    /// Draw the result into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// No progress line
    #[arg(long)]
    pub(super) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs; `ringback-load schema` describes it
    Json,
}

impl Form {
    /// Looks at the file before the run, so that a mistake does not cost one.
    pub(super) fn open(&self) -> Result<Outputs, LoadError> {
        let report = open_report(self.output.as_deref())?;
        Ok(Outputs { format: self.format, report, picture: None })
    }
}

impl Reporting {
    /// Looks at the files before the run, so that a mistake does not cost one.
    pub(super) fn open(&self) -> Result<Outputs, LoadError> {
        let mut outputs = self.form.open()?;
        outputs.picture = open("the picture", "--svg", self.svg.as_deref())?;
        if let Some(picture) = &outputs.picture {
            Destination::check_distinct(&[&outputs.report, picture])?;
        }
        Ok(outputs)
    }
}

/// Where the report goes, in which form, and the picture if one is wanted.
pub(super) struct Outputs {
    format: Format,
    pub(super) report: Destination,
    pub(super) picture: Option<Destination>,
}

impl Outputs {
    /// Writes a report and its picture where they belong, each whatever becomes of the other.
    pub(super) fn deliver<T: Serialize + Display>(
        mut self,
        report: &T,
        draw: impl FnOnce(&T) -> String,
    ) -> Result<(), LoadError> {
        let drawn = self.picture.take().map(|picture| picture.deliver(&draw(report)));
        self.deliver_report(report)?;
        drawn.unwrap_or(Ok(()))
    }

    /// Writes a report where it belongs; one that its file does not take is shown rather than lost.
    pub(super) fn deliver_report(
        self,
        report: &(impl Serialize + Display),
    ) -> Result<(), LoadError> {
        let document = match self.format {
            Format::Text => report.to_string(),
            Format::Json => json(report),
        };
        let is_stdout = self.report.is_stdout();
        let delivered = self.report.deliver(&document);
        if delivered.is_err() && !is_stdout {
            // The error that is returned is that of the file.
            let _ = stdout().write_all(document.as_bytes());
        }
        delivered
    }
}

/// Where a report goes: into the file that `--output` names, or to stdout.
pub(super) fn open_report(path: Option<&Path>) -> Result<Destination, LoadError> {
    Destination::open("the report", "--output", path)
}

/// Where a result goes that an option names a file for, if it does.
pub(super) fn open(
    what: &'static str,
    option: &'static str,
    path: Option<&Path>,
) -> Result<Option<Destination>, LoadError> {
    path.map(|path| Destination::open(what, option, Some(path))).transpose()
}
