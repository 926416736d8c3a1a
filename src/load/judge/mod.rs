//! The verdict on a measurement. Pure: evidence in, reasons out.

mod advice;
mod host;
mod losses;
mod pace;
#[cfg(test)]
mod tests;

use hdrhistogram::Histogram;

use crate::load::config::Load;
use crate::load::config::assertion::{Assertion, AssertionResult, Measured};
use crate::load::format::nanos;
use crate::load::outcome::Outcome;
use crate::load::record::recorder::Recorder;
use crate::load::record::server_view::ServerView;
use crate::load::record::waits::Waited;

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

/// Evidence for the verdict beside the records.
pub(crate) struct Evidence {
    pub(crate) load: Load,
    /// Open loop: share of the window in which the busiest generator thread was not waiting.
    pub(crate) busiest: f64,
    /// Share of their time that the generator's threads were on a CPU, where it is known.
    pub(crate) ran_share: Option<f64>,
    /// Share of it that they were able to run while something else had their CPU.
    pub(crate) waited_share: Option<f64>,
    /// True if the user ended the run before its time.
    pub(crate) was_interrupted: bool,
    /// The CPU quota of the container, in words, if it has one.
    pub(crate) cpu_quota: Option<String>,
    /// Length of the window that was planned.
    pub(crate) planned_ns: u64,
    /// Length of the window that was measured: less if the run was interrupted.
    pub(crate) measured_ns: u64,
    /// Length of the warm-up before it.
    pub(crate) warmup_ns: u64,
    /// Most messages in flight on a connection.
    pub(crate) depth: usize,
    /// Open loop: messages that were due and not answered, at the beginning of the window, at times
    /// evenly spread over it, and at its end.
    pub(crate) backlogs: Vec<u64>,
    /// The server as it was seen.
    pub(crate) server: ServerView,
    /// How long its threads waited for a CPU, where that can be seen.
    pub(crate) server_waited: Option<Waited>,
    /// Time of the window that its CPUs had nothing to run, added up.
    pub(crate) server_idle_ns: u64,
    /// CPUs that server and generator both use.
    pub(crate) shared_cpus: Vec<usize>,
    /// Time that a hypervisor kept the CPUs in use from running, each for so long on average, in
    /// nanoseconds.
    pub(crate) stolen_ns: Option<u64>,
    /// When the last connection was gone, since the run started, if that was before its end.
    pub(crate) gone_after_ns: Option<u64>,
}

impl Evidence {
    /// Share of the window that the server waited for CPUs that others had.
    pub(crate) fn server_waited_share(&self) -> Option<f64> {
        let cpus_ns = self.measured_ns as f64 * self.server.cpus.len().max(1) as f64;
        Some(self.server_waited?.share_for_others(cpus_ns, self.server_idle_ns))
    }
}

/// Weighs the evidence of a whole run.
pub(crate) fn judge(recorder: &Recorder, evidence: &Evidence) -> Verdict {
    let of_host = host::reasons(recorder, evidence);
    let mut of_server: Vec<String> =
        evidence.gone_after_ns.map(losses::of_all).into_iter().collect();
    of_server.extend(losses::of_connections(recorder));
    of_server.extend(losses::of_messages(recorder));
    of_server.extend(losses::of_silent_connections(recorder));
    let is_whole = of_server.is_empty();
    let mut is_rate_reached = true;
    let mut of_generator = Vec::new();
    if let Load::Open { rate, arrival } = evidence.load {
        let not_reached = pace::not_reached(recorder, evidence, rate, arrival);
        is_rate_reached = not_reached.is_none();
        of_server.extend(not_reached);
        of_generator.extend(pace::lateness(recorder));
        of_generator.extend(pace::no_headroom(evidence.busiest));
    }
    let outcome = if evidence.was_interrupted {
        Outcome::Incomplete
    } else if is_whole && !of_host.is_empty() {
        // A server that could not run did not fail by being slow.
        Outcome::HostAtFault
    } else if !of_server.is_empty() {
        Outcome::ServerAtFault
    } else if !of_generator.is_empty() {
        Outcome::GeneratorLimited
    } else {
        Outcome::Passed
    };
    let interruption = interruption(evidence).into_iter();
    Verdict {
        reasons: interruption.chain(of_host).chain(of_server).chain(of_generator).collect(),
        warnings: advice::of(recorder, evidence),
        is_rate_reached,
        outcome,
        generator_fault: losses::of_generator(recorder),
    }
}

fn interruption(evidence: &Evidence) -> Option<String> {
    let Evidence { was_interrupted, planned_ns, measured_ns, .. } = *evidence;
    was_interrupted.then(|| {
        format!(
            "the run was interrupted: {} of {} were measured",
            nanos(measured_ns),
            nanos(planned_ns)
        )
    })
}
