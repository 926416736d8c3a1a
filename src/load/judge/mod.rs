//! The verdict on a measurement. Pure: evidence in, reasons out.

mod advice;
mod host;
mod losses;
pub(crate) mod merged;
mod pace;
#[cfg(test)]
mod tests;
pub(crate) mod warnings;

use hdrhistogram::Histogram;

pub(crate) use self::host::OWN_CLOCK;
use crate::load::clock;
use crate::load::config::assertion::{Assertion, AssertionResult, Measured};
use crate::load::config::{Config, Load};
use crate::load::format::nanos;
use crate::load::outcome::Outcome;
use crate::load::record::evidence::Evidence;
use crate::load::record::recorder::Recorder;

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
    pub(crate) outcome: Outcome,
    /// The resource that this host lacked to make the load, if it lacked one.
    pub(crate) generator_fault: Option<String>,
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
                Outcome::Passed => Outcome::Missed,
                Outcome::Incomplete => Outcome::Incomplete,
                Outcome::HostAtFault => Outcome::HostAtFault,
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
        if matches!(self.outcome, Outcome::Passed | Outcome::GeneratorLimited) {
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

/// Evaluates the records of a whole run and what was seen beside them.
pub(crate) fn judge(config: &Config, recorder: &Recorder, evidence: &Evidence) -> Verdict {
    let of_host = host::reasons(config.load, recorder, evidence);
    let mut of_server: Vec<String> =
        evidence.gone_after_ns.map(losses::of_all).into_iter().collect();
    of_server.extend(losses::of_connections(recorder));
    of_server.extend(losses::of_messages(recorder));
    of_server.extend(losses::of_silent_connections(recorder));
    let is_whole = of_server.is_empty();
    let mut is_rate_reached = true;
    let mut of_generator = Vec::new();
    if let Load::Open { rate, arrival } = config.load {
        let own = (config.own_rate(rate), arrival);
        let not_reached = pace::not_reached(config, recorder, &evidence.backlogs, own);
        is_rate_reached = not_reached.is_none();
        of_server.extend(not_reached);
        of_generator.extend(pace::lateness(recorder));
        of_generator.extend(pace::no_headroom(evidence.busiest));
    }
    let outcome = if evidence.was_interrupted {
        Outcome::Incomplete
    } else if (is_whole && !of_host.is_empty()) || losses::are_of_generator_alone(recorder) {
        // A server that could not run did not fail by being slow.
        Outcome::HostAtFault
    } else if !of_server.is_empty() {
        Outcome::ServerAtFault
    } else if !of_generator.is_empty() {
        Outcome::GeneratorLimited
    } else {
        Outcome::Passed
    };
    let interruption = interruption(config, evidence).into_iter();
    Verdict {
        reasons: interruption.chain(of_host).chain(of_server).chain(of_generator).collect(),
        warnings: advice::of(config, recorder, evidence),
        is_rate_reached,
        outcome,
        generator_fault: losses::of_generator(recorder),
    }
}

fn interruption(config: &Config, evidence: &Evidence) -> Option<String> {
    evidence.was_interrupted.then(|| {
        let [measured, planned] =
            [evidence.measured_ns(), clock::nanos(config.duration)].map(nanos);
        format!("the run was interrupted: {measured} of {planned} were measured")
    })
}
