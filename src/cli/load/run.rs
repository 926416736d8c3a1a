//! Without a subcommand: one measurement and its report.

use std::process::ExitCode;

use clap::Args;

use super::super::progress::ProgressLine;
use super::bench::Bench;
use super::error::{LoadError, exit_code};
use super::measure::Measuring;
use super::output::{Format, Reporting, now};
use crate::load::picture::History;
use crate::load::{Interval, Progress, Watch, picture, report, run_watched};

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
        let mut watcher = Watcher {
            line: ProgressLine::new(self.reporting.quiet),
            history: picture_destination.is_some().then(|| History::of(bench.config())),
        };
        let found = run_watched(bench.config(), &mut watcher);
        let Watcher { line, history } = watcher;
        drop(line);
        bench.tear_down()?;
        let found = found?;
        if let Some((destination, history)) = picture_destination.zip(history) {
            destination.deliver(&picture::of_report(&found, history, now()).svg())?;
        }
        destination.deliver(&match self.reporting.format {
            Format::Text => report::text(&found),
            Format::Json => report::json(&found),
        })?;
        Ok(exit_code(&found))
    }
}

/// Shows how the run is going, and remembers it if it is to be drawn.
struct Watcher {
    line: ProgressLine,
    history: Option<History>,
}

impl Watch for Watcher {
    fn progress(&mut self, progress: Progress) {
        self.line.show(progress);
    }

    fn interval(&mut self, interval: &Interval<'_>) {
        if let Some(history) = &mut self.history {
            history.follow(interval);
        }
    }
}
