//! One run of several that differ only in their rate.

use super::chart::LoadPoint;
use super::clock::nanos;
use super::config::{Config, Load};
use super::report::{Quantile, Report};
use super::run::{RunError, run};
use super::watch::Progress;

/// What was measured at a rate.
#[derive(Debug)]
pub struct Probe {
    /// Messages a second that were offered.
    pub rate: u64,
    /// The run, or why nothing was received in it.
    pub outcome: Result<Report, String>,
}

impl Probe {
    /// Measures at this rate. The run drains before it ends, so that nothing of it is left for
    /// the next one. `None` if it was interrupted: half a run is no probe.
    ///
    /// # Errors
    ///
    /// When the run cannot be made. A server that was there before and takes no connections now is
    /// a finding.
    pub(super) fn make(
        config: &Config,
        rate: u64,
        is_first: bool,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Self>, RunError> {
        let outcome = match run(&at_rate(config, rate), on_progress) {
            Ok(report) => Ok(report),
            Err(error @ RunError::NothingReceived { .. }) => Err(error.to_string()),
            Err(error @ (RunError::Connect { .. } | RunError::NoEcho { .. })) if !is_first => {
                Err(error.to_string())
            }
            Err(RunError::Interrupted { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok((!config.interrupt.is_raised()).then_some(Self { rate, outcome }))
    }

    /// Why further probes would tell nothing of the server's limits: it is gone, answers no more, or
    /// this host ran out of what a connection takes.
    pub(super) fn fault(&self) -> Option<String> {
        match &self.outcome {
            Ok(report) => report.verdict.generator_fault.clone(),
            Err(reason) => Some(reason.clone()),
        }
    }

    /// Whether its numbers may be used.
    pub fn is_valid(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|report| report.verdict.is_valid())
    }

    /// Whether the server answered as much as it was offered, in time.
    pub fn is_rate_reached(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|report| report.verdict.is_rate_reached)
    }

    /// Whether it is not valid although the server kept up, returned everything as it was and missed
    /// no assertion for certain: the generator or the machine is at fault.
    pub fn is_spoilt(&self) -> bool {
        let Ok(report) = &self.outcome else { return false };
        let totals = &report.totals;
        let is_whole = totals.lost == 0 && totals.corrupted == 0 && totals.connect_errors == 0;
        !self.is_valid() && self.is_rate_reached() && is_whole && !report.verdict.is_missed
    }

    /// Whether it is valid and everything asserted holds.
    pub fn is_passed(&self) -> bool {
        self.is_valid()
            && self.outcome.iter().all(|report| report.findings.iter().all(|finding| finding.met))
    }

    /// Why its numbers may not be used.
    pub fn invalid_reasons(&self) -> Vec<String> {
        match &self.outcome {
            Ok(report) => report.verdict.reasons.clone(),
            Err(reason) => vec![reason.clone()],
        }
    }

    /// As a point of latency against throughput.
    pub(super) fn point(&self) -> LoadPoint {
        LoadPoint {
            achieved_per_s: self
                .outcome
                .as_ref()
                .map_or(0.0, |report| report.throughput.messages_per_s),
            p50_ns: self.latency_ns(Quantile::P50),
            p99_ns: self.latency_ns(Quantile::P99),
            is_valid: self.is_valid(),
        }
    }

    /// A percentile of the response, if there were enough samples to say.
    pub(super) fn latency_ns(&self, quantile: Quantile) -> Option<u64> {
        self.outcome.as_ref().ok().and_then(|report| quantile.of(report.latency.main()))
    }
}

fn at_rate(config: &Config, rate: u64) -> Config {
    let load = match config.load {
        Load::Closed => Load::at_rate(rate),
        Load::Open { arrival, .. } => Load::Open { rate, arrival },
    };
    Config { load, ..config.clone() }
}

/// How far a series of probes is.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The probe under way, counted from 1.
    pub number: usize,
    /// How many there will be, where that is known.
    pub of: Option<usize>,
    /// Its rate.
    pub rate: u64,
    /// How it is going; `None` before it began.
    pub progress: Option<Progress>,
}

/// About how long a probe takes.
pub fn probe_time(config: &Config) -> std::time::Duration {
    /// Connecting and draining.
    const OVERHEAD_NS: u64 = 100_000_000;
    let busy = nanos(config.ramp_up) + nanos(config.warmup) + nanos(config.duration);
    std::time::Duration::from_nanos(busy + OVERHEAD_NS)
}
