//! `schema`: what the documents for programs look like.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::error::LoadError;
use super::output::open_report;
use crate::load::Report;
use crate::load::report::search::SearchReport;
use crate::load::report::sweep::SweepReport;
use crate::load::report::{Merged, json_schema};
use crate::load::study::compare::CompareReport;

/// Prints the JSON Schema (draft 2020-12) of a report
///
/// It is made from what writes the reports, so it is always that of this version. The key `schema`
/// of a report names its form: keys are added to it, never renamed; a form that would break readers
/// gets another name.
#[derive(Debug, Args)]
#[command(
    after_help = "More options and examples: ringback-load schema --help",
    after_long_help = "\
Examples:
  ringback-load schema -o report.schema.json
  ringback-load schema compare"
)]
pub struct Schema {
    /// Of which report
    #[arg(value_enum, value_name = "OF", default_value_t = Kind::Run)]
    of: Kind,
    /// Write the schema to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One measurement
    Run,
    /// `ringback-load sweep`
    Sweep,
    /// `ringback-load find-max`
    FindMax,
    /// `ringback-load compare`
    Compare,
    /// `ringback-load merge`
    Merge,
}

impl Schema {
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let schema = match self.of {
            Kind::Run => json_schema::<Report>(),
            Kind::Sweep => json_schema::<SweepReport>(),
            Kind::FindMax => json_schema::<SearchReport>(),
            Kind::Compare => json_schema::<CompareReport>(),
            Kind::Merge => json_schema::<Merged>(),
        };
        open_report(self.output.as_deref())?.deliver(&schema)?;
        Ok(ExitCode::SUCCESS)
    }
}
