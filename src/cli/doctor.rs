//! The command line of `ringback doctor`.

use clap::{Args, ValueEnum};

use super::exit_codes::server as exit_codes;
use crate::doctor::Diagnosis;

/// Options of `ringback doctor`.
#[derive(Debug, Args)]
#[command(after_help = exit_codes::below("\
Each line is ok, warn or fail; what is not ok comes first and says what mends it. The report goes to
standard output."))]
pub struct Doctor {
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show what is ok as well
    #[arg(short, long)]
    verbose: bool,
}

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Doctor {
    /// The report in the form that was asked for.
    pub fn report(&self, diagnosis: &Diagnosis) -> String {
        match self.format {
            Format::Text => diagnosis.to_text(self.verbose),
            Format::Json => diagnosis.to_json(),
        }
    }
}
