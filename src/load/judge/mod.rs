//! The verdict on a measurement. Pure: evidence in, reasons out.

mod advice;
mod losses;
mod pace;
#[cfg(test)]
mod tests;

use hdrhistogram::Histogram;

use crate::load::config::Load;
use crate::load::config::assertion::{Assertion, AssertionResult, Measured};
use crate::load::outcome::Outcome;
use crate::load::record::recorder::Recorder;

/// The verdict on a measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// One sentence for each thing that is wrong; none if the measurement is valid.
    pub(crate) reasons: Vec<String>,
    /// One sentence for each thing that a reader should know although it does not make the
    /// measurement invalid.
    pub(crate) warnings: Vec<String>,
    /// True if the server answered what it was offered, in time; always in closed loop, where it
    /// is offered no more than it answers.
    pub(crate) is_rate_reached: bool,
    /// The measurement's outcome.
    pub(crate) outcome: Outcome,
}

impl Verdict {
    /// Returns whether the measurement is what it claims to be.
    pub(crate) fn is_valid(&self) -> bool {
        debug_assert_eq!(self.reasons.is_empty(), self.outcome.is_valid(), "{self:?}");
        self.outcome.is_valid()
    }

    /// Adds the results of the assertions. One that the samples cannot answer was not tested, and
    /// that is not a pass. One that is missed and would hold of the latencies without the
    /// generator's own delays, where there are such, is not missed by the server; unless another
    /// is, it is inconclusive.
    pub(crate) fn evaluate(
        &mut self,
        assertions: &[Assertion],
        results: &[AssertionResult],
        without_lag: Option<&Histogram<u64>>,
    ) {
        let missed = assertions.iter().zip(results).filter(|(_, result)| !result.met);
        let (withheld, known): (Vec<_>, Vec<_>) =
            missed.partition(|(_, result)| result.measured == Measured::Withheld);
        withheld.into_iter().for_each(|(assertion, _)| self.add_withheld(assertion));
        let would_hold = |assertion: &Assertion| {
            without_lag.is_some_and(|without_lag| assertion.would_hold(without_lag))
        };
        if known.iter().any(|(assertion, _)| !would_hold(assertion)) {
            self.outcome = match self.outcome {
                Outcome::Passed | Outcome::Missed => Outcome::Missed,
                _ => Outcome::ServerAtFault,
            };
        } else {
            known.into_iter().for_each(|(assertion, _)| self.add_inconclusive(assertion));
        }
    }

    fn add_withheld(&mut self, assertion: &Assertion) {
        self.reasons.push(format!(
            "{} is inconclusive: fewer than ten samples are beyond that percentile; measure for \
             longer",
            assertion.name,
        ));
        if self.outcome != Outcome::ServerAtFault {
            self.outcome = Outcome::TooFewSamples;
        }
    }

    fn add_inconclusive(&mut self, assertion: &Assertion) {
        if self.outcome == Outcome::Passed {
            self.outcome = Outcome::GeneratorLimited;
        }
        self.reasons.push(format!(
            "{} is inconclusive: it is missed, and would be met without the generator's own \
             delays; give it CPUs of its own (--cpus) or lower --rate",
            assertion.name,
        ));
    }
}

/// Evidence for the verdict beside the records.
pub(crate) struct Evidence {
    pub(crate) load: Load,
    /// Open loop: share of the window in which the busiest generator thread was not waiting.
    pub(crate) busiest: f64,
    /// Share of their time that the generator's threads were on a CPU, where it is known.
    pub(crate) ran_share: Option<f64>,
    /// Share of it that they were able to run while something else had their CPU.
    pub(crate) waited_share: Option<f64>,
    /// Length of the window that was planned.
    pub(crate) planned_ns: u64,
    /// Length of the window that was measured: less if the run was interrupted.
    pub(crate) measured_ns: u64,
    /// When the last connection was gone, since the run started, if that was before its end.
    pub(crate) gone_after_ns: Option<u64>,
}

/// Weighs the evidence of a whole run.
pub(crate) fn judge(recorder: &Recorder, evidence: &Evidence) -> Verdict {
    let mut reasons: Vec<String> = evidence.gone_after_ns.map(losses::of_all).into_iter().collect();
    reasons.extend(losses::of_connections(recorder));
    reasons.extend(losses::of_messages(recorder));
    let mut is_rate_reached = true;
    let mut outcome = if reasons.is_empty() { Outcome::Passed } else { Outcome::ServerAtFault };
    if let Load::Open { rate, arrival } = evidence.load {
        let not_reached = pace::not_reached(recorder, rate, arrival);
        is_rate_reached = not_reached.is_none();
        reasons.extend(not_reached);
        if !is_rate_reached {
            outcome = Outcome::ServerAtFault;
        }
        reasons.extend(pace::lateness(recorder));
        reasons.extend(pace::no_headroom(evidence.busiest));
        if outcome == Outcome::Passed && !reasons.is_empty() {
            outcome = Outcome::GeneratorLimited;
        }
    }
    let warnings = advice::of(recorder, evidence);
    Verdict { reasons, warnings, is_rate_reached, outcome }
}
