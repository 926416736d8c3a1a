//! Commands that measure one server, once or at many rates.

use clap::Args;
use serde::Serialize;

use super::super::mistakes::{is_rate, rate_behind_quiet};
use super::super::progress::ProgressLine;
use super::error::LoadError;
use super::measure::{ChosenRates, Measuring, Scope, Setup};
use super::output::{Outputs, Percentiles, Reporting};
use super::sharing::Sharing;
use super::test_bed::TestBed;
use crate::load::report::page::{Text, View};
use crate::load::study::Event;
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
    #[command(flatten)]
    percentiles: Percentiles,
}

impl OneServer {
    /// Checks the options of a command that measures one load, maybe with others.
    pub(super) fn resolve(&self, sharing: Sharing) -> Result<Setup, LoadError> {
        if let Some(rate) = self.target.as_deref().filter(|target| is_rate(target))
            && self.reporting.is_quiet()
        {
            return Err(LoadError::usage(rate_behind_quiet(rate)));
        }
        self.measuring.resolve(self.target.as_deref(), Scope::Load(sharing))
    }

    /// Checks the options of a command that chooses the rates.
    pub(super) fn resolve_for_rates(&self, rates: ChosenRates<'_>) -> Result<Setup, LoadError> {
        self.measuring.resolve(self.target.as_deref(), Scope::Rates(rates))
    }

    /// Looks at the files before the run, so that a mistake does not cost one.
    pub(super) fn open(&self) -> Result<Outputs, LoadError> {
        self.reporting.open(&self.percentiles)
    }

    pub(super) fn announce(&self, text: &str) {
        self.reporting.announce(text);
    }

    pub(super) fn progress_line(&self) -> ProgressLine {
        ProgressLine::new(self.reporting.is_quiet())
    }

    /// Announces a series of probes, measures it, and writes its report where it belongs, on stdout
    /// each probe as it was measured.
    pub(super) fn measure_series<T: Serialize + Text, P>(
        &self,
        setup: Setup,
        study: &Study<'_, T, P>,
    ) -> Result<T, LoadError> {
        let mut outputs = self.open()?;
        let bed = TestBed::start(setup)?;
        let config = bed.config();
        self.announce(&(study.announcement)(config));
        let line = self.progress_line();
        let measured = (study.measure)(config, &mut |event| match event {
            Event::Step(step) => line.show_probe(step),
            Event::Probe(probe) => {
                line.clear();
                outputs.show(|view| (study.head)(config, view), |view| (study.row)(probe, view));
            }
        });
        drop(line);
        let stopped = bed.stop();
        let report = measured?;
        outputs.deliver(&report, study.draw)?;
        stopped?;
        Ok(report)
    }
}

/// A series of probes: how it is announced, measured, shown and drawn.
pub(super) struct Study<'a, T, P> {
    pub(super) announcement: &'a dyn Fn(&Config) -> String,
    pub(super) measure: Measure<'a, T, P>,
    pub(super) head: fn(&Config, &View) -> String,
    pub(super) row: fn(&P, &View) -> String,
    pub(super) draw: fn(&T) -> String,
}

type Measure<'a, T, P> = &'a dyn Fn(&Config, &mut dyn FnMut(Event<'_, P>)) -> Result<T, RunError>;
