//! Without a subcommand: one measurement and its report.

use std::process::ExitCode;

use clap::Args;

use super::super::progress::ProgressLine;
use super::error::{LoadError, exit_code};
use super::one_server::OneServer;
use super::results::{Results, Saving};
use super::test_bed::TestBed;
use crate::load::{Interval, Progress, Watch, run_watched};

/// One measurement.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    of: OneServer,
    #[command(flatten)]
    saving: Saving,
}

impl Run {
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let setup = self.of.resolve()?;
        let results = Results::open(self.of.open()?, &self.saving, &setup.config)?;
        let bed = TestBed::start(setup)?;
        let mut follower = Follower { line: self.of.progress_line(), results };
        let found = run_watched(bed.config(), &mut follower);
        let Follower { line, results } = follower;
        drop(line);
        let stopped = bed.stop();
        let found = found?;
        // A server that does not stop is no reason to lose what was measured.
        results.deliver(&found)?;
        stopped?;
        Ok(exit_code(found.verdict.outcome))
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
