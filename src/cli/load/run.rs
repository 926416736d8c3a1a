//! Without a subcommand: one measurement and its report.

use std::process::ExitCode;

use clap::Args;

use super::super::progress::ProgressLine;
use super::bench::Bench;
use super::error::{LoadError, exit_code};
use super::measure::Measuring;
use super::output::{Drawing, Reporting};
use super::results::{Results, Saving};
use crate::load::{Interval, Progress, Watch, run_watched};

/// One measurement.
#[derive(Debug, Args)]
pub struct Run {
    /// HOST:PORT of the server; without it one is started in this process and measured
    target: Option<String>,
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    drawing: Drawing,
    #[command(flatten)]
    saving: Saving,
}

impl Run {
    /// Measures, and writes the results where they belong; says with which code to exit.
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let setup = self.measuring.resolve(self.target.as_deref())?;
        let outputs = self.reporting.open_with(&self.drawing)?;
        let results = Results::open(outputs, &self.saving, &setup.config)?;
        let bench = Bench::set_up(setup)?;
        let mut follower = Follower { line: ProgressLine::new(self.reporting.quiet), results };
        let found = run_watched(bench.config(), &mut follower);
        let Follower { line, results } = follower;
        drop(line);
        let stopped = bench.tear_down();
        let found = found?;
        // A server that does not stop is no reason to lose what was measured.
        results.deliver(&found)?;
        stopped?;
        Ok(exit_code(found.outcome()))
    }
}

/// Shows how the run is going, and lets the results have its seconds.
struct Follower {
    line: ProgressLine,
    results: Results,
}

impl Watch for Follower {
    fn progress(&mut self, progress: Progress) {
        self.line.show(progress);
    }

    fn interval(&mut self, interval: &Interval<'_>) {
        self.results.follow(interval);
    }
}
