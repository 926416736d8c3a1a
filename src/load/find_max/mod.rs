//! The highest rate at which a claim holds: doubling, then halving the distance, then asking the
//! best once more.
//!
//! Every probe is a run of its own that drains before it ends. It passes if it is valid and every
//! assertion holds, or if they hold although the generator's lateness is in the response times. One
//! that fails and is not valid although the server did everything right says nothing of the server:
//! it is made once more, and fails only if it is not valid again. Whatever the search takes for the
//! best must pass a second time, or it counts as failed and the search goes on below it: a rate
//! that passes now and then is not one to rely on.

pub mod report;
mod search;

use self::search::Search;
pub use self::search::{Bounds, Purpose};
use super::assertion::Assertion;
use super::config::Config;
use super::host::Host;
use super::outcome::{Evidence, Outcome};
use super::probe::{Probe, Step};
use super::report::format::count;
use super::run::RunError;

/// What to look for.
#[derive(Debug, Clone)]
pub struct Quest {
    /// Where to begin, and where to end.
    pub bounds: Bounds,
    /// What is sent, and what must hold; its rate is not used.
    pub config: Config,
}

/// A probe and what it was for.
#[derive(Debug)]
pub struct Trial {
    /// What it was for.
    pub purpose: Purpose,
    /// What was measured.
    pub probe: Probe,
    /// Whether it is as good as was asked for.
    pub has_passed: bool,
    /// Whether it was made again because it was not valid.
    pub is_repeated: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Findings {
    /// What was looked for.
    pub quest: Quest,
    /// The generator's machine.
    pub host: Host,
    /// All probes, in the order in which they were made.
    pub trials: Vec<Trial>,
    /// The highest rate that passed.
    pub highest_passed: Option<u64>,
    /// The lowest rate that failed, above it.
    pub lowest_failed: Option<u64>,
    /// Whether the highest rate passed when it was asked again.
    pub is_confirmed: bool,
    /// Whether the user ended the search before its time.
    pub was_interrupted: bool,
    /// Why it ended before it was over, if that is nothing that a rate can be blamed for.
    pub fault: Option<String>,
}

impl Trial {
    /// Why it failed, each a few words; none if it passed.
    pub fn failures(&self) -> Vec<String> {
        if self.has_passed {
            return Vec::new();
        }
        let mut failures = self.probe.invalid_reasons();
        let is_merely_late =
            self.probe.outcome.as_ref().is_ok_and(|report| report.verdict.is_merely_late);
        if failures.is_empty() || is_merely_late {
            failures.extend(self.missed());
        }
        failures
    }

    fn missed(&self) -> impl Iterator<Item = String> {
        let findings = self.probe.outcome.iter().flat_map(|run| &run.findings);
        findings.filter(|finding| !finding.met).map(|finding| {
            let measured = super::report::text::measured(finding.measured);
            format!("{} missed: {measured}", finding.assertion)
        })
    }
}

impl Findings {
    /// The trial that made the highest rate's number: its last.
    pub fn best(&self) -> Option<&Trial> {
        let rate = self.highest_passed?;
        self.trials.iter().rfind(|trial| trial.probe.rate == rate && trial.has_passed)
    }

    /// Why the next rate fails: the last trial at the lowest rate that failed.
    pub fn limit(&self) -> Option<&Trial> {
        let rate = self.lowest_failed?;
        self.trials.iter().rfind(|trial| trial.probe.rate == rate && !trial.has_passed)
    }

    /// How the search came out: no rate at which the assertions hold is a miss.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(Evidence {
            was_interrupted: self.was_interrupted,
            is_invalid: !self.invalid_reasons().is_empty(),
            is_missed: self.highest_passed.is_none(),
            ..Evidence::default()
        })
    }

    /// What a reader should know although the result may be used.
    pub fn warnings(&self) -> Vec<String> {
        let Some(limit) = self.limit().map(|trial| &trial.probe) else { return Vec::new() };
        if !limit.is_spoilt() {
            return Vec::new();
        }
        vec![format!(
            "the search ended where the measurement was not valid, not where the server failed: at \
             {}/s it kept up, and may well hold the claim; quieten the machine, or give the \
             generator more --threads and --cpus",
            count(limit.rate),
        )]
    }

    /// Why the result may not be used; none if it may, be it that no rate passes.
    pub fn invalid_reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.was_interrupted {
            reasons.push("interrupted before the search was over".to_owned());
        }
        reasons.extend(self.fault.clone());
        if !self.trials.iter().any(|trial| trial.has_passed || trial.probe.is_valid()) {
            reasons.push("no rate gave a valid measurement".to_owned());
        }
        reasons
    }
}

/// Whether everything asserted holds in a probe that is valid, or that is not only because the
/// generator was late: what holds of times that are too long holds of the true ones.
fn holds(assertions: &[Assertion], probe: &Probe) -> bool {
    let Ok(report) = &probe.outcome else { return false };
    let is_safe = report.verdict.is_merely_late && assertions.iter().all(Assertion::holds_sooner);
    (probe.is_valid() || is_safe) && report.findings.iter().all(|finding| finding.met)
}

/// Searches. Tells each step before it is made, and how it goes.
///
/// # Errors
///
/// When a run cannot be made, or the search was interrupted before the first was.
pub fn find_max(quest: &Quest, on_step: &mut dyn FnMut(Step)) -> Result<Findings, RunError> {
    let host = Host::detect();
    let mut search = Search::new(quest.bounds);
    let mut trials: Vec<Trial> = Vec::new();
    let mut was_interrupted = false;
    let mut fault = None;
    while fault.is_none()
        && let Some((rate, purpose)) = search.next_probe()
    {
        let is_repeated = trials.last().is_some_and(|last| last.is_repeated);
        let step = Step { number: trials.len() + 1, of: None, rate, progress: None };
        on_step(step);
        let mut on_progress = |progress| on_step(Step { progress: Some(progress), ..step });
        let made = Probe::make(&quest.config, rate, trials.is_empty(), &mut on_progress);
        let Some(probe) = made? else {
            was_interrupted = true;
            break;
        };
        let has_passed = holds(&quest.config.assertions, &probe);
        fault = probe.fault();
        let must_repeat = !has_passed && probe.is_spoilt() && !is_repeated;
        if !must_repeat && fault.is_none() {
            search.handle(rate, has_passed);
        }
        trials.push(Trial { purpose, probe, has_passed, is_repeated: must_repeat });
    }
    if trials.is_empty() {
        return Err(RunError::Interrupted { doing: "measuring the first rate" });
    }
    Ok(Findings {
        quest: quest.clone(),
        host,
        highest_passed: search.highest_passed(),
        lowest_failed: search.lowest_failed(),
        is_confirmed: search.is_confirmed(),
        trials,
        was_interrupted,
        fault,
    })
}
