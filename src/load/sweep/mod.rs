//! Latency against throughput: the same load at one rate after another, and where it tips over.

mod knee;
mod plan;
pub mod report;

pub use self::knee::KNEE_FACTOR;
use self::knee::knee;
use self::plan::Plan;
pub use self::plan::Rates;
use super::config::Config;
use super::host::Host;
use super::outcome::{Evidence, Outcome};
use super::probe::{Probe, Step};
use super::report::Quantile;
use super::run::RunError;

/// What to sweep over.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// At which rates to measure.
    pub rates: Rates,
    /// What is sent at each; its rate is not used.
    pub config: Config,
}

/// What a sweep found.
#[derive(Debug)]
pub struct Findings {
    /// What was swept over.
    pub sweep: Sweep,
    /// The generator's machine.
    pub host: Host,
    /// Ascending by rate.
    pub probes: Vec<Probe>,
    /// Which of them is the knee: the highest rate whose p99 is still within [`KNEE_FACTOR`] times
    /// the lowest. `None` if it is the highest of all: then latency ran away nowhere.
    pub knee: Option<usize>,
    /// Whether the user ended it before its time.
    pub was_interrupted: bool,
    /// Why it ended before its last rate, if that is nothing that the rate can be blamed for.
    pub fault: Option<String>,
}

impl Findings {
    /// Why nothing may be concluded from the sweep; none if something may. That rates beyond what
    /// the server can do are not valid is what a sweep is for.
    pub fn invalid_reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.was_interrupted {
            reasons.push("interrupted before the last rate".to_owned());
        }
        reasons.extend(self.fault.clone());
        if self.valid_rates() == 0 {
            reasons.push("no rate gave a valid measurement".to_owned());
        }
        let is_corrupted =
            |probe: &&Probe| probe.outcome.as_ref().is_ok_and(|run| run.totals.corrupted > 0);
        if let Some(probe) = self.probes.iter().find(is_corrupted) {
            let rate = super::report::format::count(probe.rate);
            reasons.push(format!("replies were corrupted at {rate}/s"));
        }
        reasons
    }

    /// How the sweep came out.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(Evidence {
            was_interrupted: self.was_interrupted,
            is_invalid: !self.invalid_reasons().is_empty(),
            is_missed: self.is_missed(),
            ..Evidence::default()
        })
    }

    /// How many rates gave a valid measurement.
    pub fn valid_rates(&self) -> usize {
        self.probes.iter().filter(|probe| probe.is_valid()).count()
    }

    /// Whether an assertion was missed at a rate that is valid.
    fn is_missed(&self) -> bool {
        self.probes.iter().any(|probe| probe.is_valid() && !probe.is_passed())
    }
}

/// Measures at every rate. Tells each step before it is made, and how it goes.
///
/// # Errors
///
/// When a run cannot be made, or the sweep was interrupted before the first was.
pub fn sweep(sweep: &Sweep, on_step: &mut dyn FnMut(Step)) -> Result<Findings, RunError> {
    let host = Host::detect();
    let mut plan = Plan::new(&sweep.rates);
    let mut probes: Vec<Probe> = Vec::new();
    let mut was_interrupted = false;
    let mut fault = None;
    while fault.is_none()
        && let Some(rate) = plan.next_rate()
    {
        let step = Step { number: probes.len() + 1, of: sweep.rates.count(), rate, progress: None };
        on_step(step);
        let mut on_progress = |progress| on_step(Step { progress: Some(progress), ..step });
        let made = Probe::make(&sweep.config, rate, probes.is_empty(), &mut on_progress);
        let Some(probe) = made? else {
            was_interrupted = true;
            break;
        };
        plan.handle(rate, probe.is_rate_reached());
        fault = probe.fault();
        probes.push(probe);
    }
    if probes.is_empty() {
        return Err(RunError::Interrupted { doing: "measuring the first rate" });
    }
    probes.sort_unstable_by_key(|probe| probe.rate);
    let points: Vec<Option<u64>> = probes.iter().map(usable_p99_ns).collect();
    let knee = knee(&points);
    Ok(Findings { sweep: sweep.clone(), host, probes, knee, was_interrupted, fault })
}

fn usable_p99_ns(probe: &Probe) -> Option<u64> {
    probe.is_valid().then(|| probe.latency_ns(Quantile::P99)).flatten()
}
