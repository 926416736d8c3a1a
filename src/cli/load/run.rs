//! Without a subcommand: one measurement and its report.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::error::{LoadError, exit_code};
use super::one_server::OneServer;
use super::results::{Results, Saving};
use super::sharing::Sharing;
use super::test_bed::TestBed;
use super::ticker::parse_interval;
use crate::load::run_watched;

/// One measurement.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    of: OneServer,
    #[command(flatten)]
    sharing: Sharing,
    #[command(flatten)]
    saving: Saving,
    /// Say every so often how it goes, as in 1s: rate and latencies of that time, on stderr
    #[arg(short, long, value_name = "TIME", value_parser = parse_interval)]
    #[arg(help_heading = "Output")]
    interval: Option<Duration>,
}

impl Run {
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let setup = self.of.resolve(self.sharing)?;
        let mut results = Results::open(self.of.open()?, &self.saving, &setup.config)?;
        let bed = TestBed::start(setup)?;
        results.begin(bed.config());
        self.sharing.announcement().iter().for_each(|line| self.of.announce(line));
        results.announce(bed.config());
        match self.interval {
            Some(every) => results.tick(every),
            None => results.line = Some(self.of.progress_line()),
        }
        let found = run_watched(bed.config(), &mut results);
        results.line = None;
        let stopped = bed.stop();
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                results.fail(&error);
                return Err(error.into());
            }
        };
        // A server that does not stop is no reason to lose what was measured.
        results.deliver(&found)?;
        stopped?;
        Ok(exit_code(found.verdict.outcome))
    }
}
