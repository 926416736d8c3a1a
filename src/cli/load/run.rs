//! Without a subcommand: one measurement and its report.

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;

use super::super::progress::ProgressLine;
use super::bench::Bench;
use super::error::{LoadError, exit_code};
use super::measure::Measuring;
use super::output::{Format, Reporting};
use crate::load::{Config, Report, picture, report, run};

/// One measurement.
#[derive(Debug, Args)]
pub struct Run {
    /// HOST:PORT of the server; without it one is started in this process and measured
    target: Option<String>,
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    reporting: Reporting,
}

impl Run {
    /// Measures, and writes the report where it belongs; says with which code to exit.
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let setup = self.measuring.resolve(self.target.as_deref())?;
        let destination = self.reporting.open()?;
        let picture_destination = self.reporting.open_picture(&destination)?;
        let bench = Bench::set_up(setup)?;
        let found = measure(bench.config(), self.reporting.quiet);
        bench.tear_down()?;
        let found = found?;
        if let Some(destination) = picture_destination {
            destination.deliver(&picture::of_report(&found, None, now()).svg())?;
        }
        destination.deliver(&match self.reporting.format {
            Format::Text => report::text(&found),
            Format::Json => report::json(&found),
        })?;
        Ok(exit_code(&found))
    }
}

/// The time of day, to the minute.
fn now() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("{} {} UTC", &now[..10], &now[11..16])
}

fn measure(config: &Config, is_quiet: bool) -> Result<Report, LoadError> {
    let line = ProgressLine::new(is_quiet);
    Ok(run(config, &mut |progress| line.show(progress))?)
}
