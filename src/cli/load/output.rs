//! Where reports go, and in which form.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tracing::info;

use super::super::look::{self, Color};
use super::destination::Destination;
use super::error::LoadError;
use crate::load::Quantile;
use crate::load::report::json;
use crate::load::report::page::{Detail, Text, View};
use crate::log;

/// Options of every command that reports.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Form {
    /// Form of the report [default: text; json into an --output that is called so]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show everything that was measured
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Two lines, and nothing while it runs
    #[arg(short, long)]
    quiet: bool,
    /// Colour the words that matter
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    #[arg(hide_short_help = true)]
    color: Color,
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
}

/// Options of every command that reports a latency.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Percentiles {
    /// Percentiles to show, as in 50,75,95,99.9; all that are known are in the JSON
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = Quantile::from_str)]
    #[arg(hide_short_help = true)]
    percentiles: Vec<Quantile>,
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
    pub(super) fn open(&self, percentiles: &Percentiles) -> Result<Outputs, LoadError> {
        let report = open_report(self.output.as_deref())?;
        let format = self.format.unwrap_or_else(|| match &self.output {
            Some(path) if path.extension().is_some_and(|ending| ending == "json") => Format::Json,
            _ => Format::Text,
        });
        let view = View {
            detail: match (self.quiet, self.verbose) {
                (true, _) => Detail::Brief,
                (false, true) => Detail::Full,
                (false, false) => Detail::Usual,
            },
            percentiles: percentiles.percentiles.clone(),
            is_ascii: look::is_ascii(),
            has_color: self.color.is_wanted()
                && (report.is_stdout() || self.color == Color::Always),
            has_hints: self.output.is_none(),
        };
        Ok(Outputs { format, view, report, picture: None, is_begun: false })
    }
}

impl Percentiles {
    /// For a command that reports no latency.
    pub(super) const NONE: Self = Self { percentiles: Vec::new() };
}

impl Reporting {
    /// Looks at the files before the run, so that a mistake does not cost one.
    pub(super) fn open(&self, percentiles: &Percentiles) -> Result<Outputs, LoadError> {
        let mut outputs = self.form.open(percentiles)?;
        outputs.picture = open("the picture", "--svg", self.svg.as_deref())?;
        if let Some(picture) = &outputs.picture {
            Destination::check_distinct(&[&outputs.report, picture])?;
        }
        Ok(outputs)
    }

    /// Returns whether nothing is to be said while it runs.
    pub(super) fn is_quiet(&self) -> bool {
        self.form.quiet
    }

    /// Says what is about to be run.
    pub(super) fn announce(&self, text: &str) {
        if !self.is_quiet() {
            info!("{}", look::line(text));
        }
    }
}

/// Where the report goes, in which form, and the picture if one is wanted.
pub(super) struct Outputs {
    format: Format,
    pub(super) view: View,
    pub(super) report: Destination,
    pub(super) picture: Option<Destination>,
    /// True if a part of the report is written.
    is_begun: bool,
}

impl Outputs {
    /// Says what is about to be run, in the line that its report begins with: where both are read
    /// on one terminal, as the report's head, so that it stands there once.
    pub(super) fn announce(&mut self, announcement: &str, head: impl FnOnce(&View) -> String) {
        match self.format {
            _ if self.view.detail == Detail::Brief => {}
            Format::Text if self.report.is_stdout() && look::is_one_terminal() => {
                log::flush();
                self.show(head, |_| String::new());
            }
            _ => info!("{}", look::line(announcement)),
        }
    }

    /// Writes lines of a report for people while it is measured, where it goes to stdout; `head` comes
    /// before the first.
    pub(super) fn show(
        &mut self,
        head: impl FnOnce(&View) -> String,
        lines: impl FnOnce(&View) -> String,
    ) {
        if self.format == Format::Json || !self.report.is_stdout() {
            return;
        }
        let head = if self.is_begun { String::new() } else { head(&self.view) };
        self.is_begun = true;
        // Where that fails the rest of the report cannot be written either, and says so.
        let _ = self.report.write_all((head + &lines(&self.view)).as_bytes());
    }

    /// Writes a report and its picture where they belong, each whatever becomes of the other.
    pub(super) fn deliver<T: Serialize + Text>(
        mut self,
        report: &T,
        draw: impl FnOnce(&T) -> String,
    ) -> Result<(), LoadError> {
        let drawn = self.picture.take().map(|picture| picture.deliver(&draw(report)));
        self.deliver_report(report)?;
        drawn.unwrap_or(Ok(()))
    }

    /// Writes a report where it belongs; one that its file does not take is shown rather than lost.
    pub(super) fn deliver_report(self, report: &(impl Serialize + Text)) -> Result<(), LoadError> {
        let document = match (self.format, self.is_begun) {
            (Format::Text, false) => report.text(&self.view),
            (Format::Text, true) => report.rest(&self.view),
            (Format::Json, _) => json(report),
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
