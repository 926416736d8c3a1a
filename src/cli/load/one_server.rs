//! Commands that measure one server, once or at many rates.

use std::fmt::Display;

use clap::Args;
use serde::Serialize;
use tracing::info;

use super::super::progress::ProgressLine;
use super::error::LoadError;
use super::measure::{ChosenRates, Measuring, Setup};
use super::output::{Outputs, Reporting};
use super::test_bed::TestBed;
use crate::load::study::Step;
use crate::load::{Config, RunError};

/// Options of a command that measures one server.
#[derive(Debug, Args)]
pub struct OneServer {
    /// HOST:PORT of the server; without it one is started in this process and measured
    target: Option<String>,
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    reporting: Reporting,
}

impl OneServer {
    pub(super) fn resolve(&self) -> Result<Setup, LoadError> {
        self.measuring.resolve(self.target.as_deref(), None)
    }

    /// Checks the options of a command that chooses the rates.
    pub(super) fn resolve_for_rates(&self, rates: ChosenRates<'_>) -> Result<Setup, LoadError> {
        self.measuring.resolve(self.target.as_deref(), Some(rates))
    }

    /// Looks at the files before the run, so that a mistake does not cost one.
    pub(super) fn open(&self) -> Result<Outputs, LoadError> {
        self.reporting.open()
    }

    pub(super) fn progress_line(&self) -> ProgressLine {
        ProgressLine::new(self.reporting.quiet)
    }

    /// Announces a series of probes, measures it, and writes its report where it belongs.
    pub(super) fn measure_series<T: Serialize + Display>(
        &self,
        setup: Setup,
        announcement: impl FnOnce(&Config) -> String,
        measure: impl FnOnce(&Config, &mut dyn FnMut(Step)) -> Result<T, RunError>,
        draw: impl FnOnce(&T) -> String,
    ) -> Result<T, LoadError> {
        let outputs = self.open()?;
        let bed = TestBed::start(setup)?;
        if !self.reporting.quiet {
            info!("{}", announcement(bed.config()));
        }
        let line = self.progress_line();
        let measured = measure(bed.config(), &mut |step| line.show_probe(step));
        drop(line);
        let stopped = bed.stop();
        let report = measured?;
        outputs.deliver(&report, draw)?;
        stopped?;
        Ok(report)
    }
}
