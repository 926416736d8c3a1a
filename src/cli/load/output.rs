//! Where reports go, and in which form.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, ValueEnum};

use super::destination::Destination;
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
    /// Draw the result into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// No progress line
    #[arg(long)]
    pub(super) quiet: bool,
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
    /// Where the report goes: looked at before the run, so that a mistake does not cost one.
    pub(super) fn open(&self) -> Result<Destination, LoadError> {
        open_report(self.output.as_deref())
    }

    /// Where the picture goes, if one is wanted, beside the report.
    pub(super) fn open_picture(
        &self,
        report: &Destination,
    ) -> Result<Option<Destination>, LoadError> {
        let picture = open("the picture", "--svg", self.svg.as_deref())?;
        if let Some(picture) = &picture {
            Destination::check_distinct(&[report, picture])?;
        }
        Ok(picture)
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

/// The time of day, to the minute, for a picture.
pub(super) fn now() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("{} {} UTC", &now[..10], &now[11..16])
}
