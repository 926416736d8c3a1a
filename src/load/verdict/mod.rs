//! Whether a measurement is what it claims to be. Pure: evidence in, reasons out.

mod advice;
mod host;
mod losses;
mod pace;
#[cfg(test)]
mod tests;

use hdrhistogram::Histogram;

use self::host::Gravity;
use super::assertion::{Assertion, Finding, Measured};
use super::config::Load;
use super::recorder::Recorder;
use super::report::format::nanos;
use super::server_view::ServerView;
use super::waits::Waited;

/// Whether a measurement may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence for each thing that is wrong; none if the measurement is valid.
    pub reasons: Vec<String>,
    /// One sentence for each thing that a reader should know although it does not make the
    /// measurement invalid.
    pub warnings: Vec<String>,
    /// Whether the server answered what it was offered, in time; always in closed loop, where it
    /// is offered no more than it answers.
    pub is_rate_reached: bool,
    /// Whether nothing is wrong but that the generator was late, so that response times are longer
    /// than they would have been, never shorter.
    pub is_merely_late: bool,
    /// What this host lacked to make the load, if it lacked something.
    pub generator_fault: Option<String>,
    /// Whether an assertion is missed whatever the generator's delays were.
    pub is_missed: bool,
}

impl Verdict {
    /// Whether the measurement is what it claims to be.
    pub fn is_valid(&self) -> bool {
        self.reasons.is_empty()
    }

    /// What the assertions say. One that the samples cannot answer was not tested, and that is not a
    /// pass. One that is missed and would hold of the latencies without the generator's own delays,
    /// where there are such, is not missed by the server; unless another is, it cannot be told.
    pub(super) fn weigh(
        &mut self,
        assertions: &[Assertion],
        findings: &[Finding],
        punctual: Option<&Histogram<u64>>,
    ) {
        let missed = assertions.iter().zip(findings).filter(|(_, finding)| !finding.met);
        let (withheld, told): (Vec<_>, Vec<_>) =
            missed.partition(|(_, finding)| finding.measured == Measured::Withheld);
        withheld.into_iter().for_each(|(assertion, _)| self.withhold(assertion));
        let would_hold =
            |assertion: &Assertion| punctual.is_some_and(|punctual| assertion.would_hold(punctual));
        self.is_missed = told.iter().any(|(assertion, _)| !would_hold(assertion));
        if !self.is_missed {
            told.into_iter().for_each(|(assertion, _)| self.suspect(assertion));
        }
    }

    fn withhold(&mut self, assertion: &Assertion) {
        self.reasons.push(format!(
            "{} cannot be told: fewer than ten samples are beyond that percentile; measure for \
             longer",
            assertion.name,
        ));
        self.is_merely_late = false;
    }

    fn suspect(&mut self, assertion: &Assertion) {
        self.is_merely_late |= self.is_valid();
        self.reasons.push(format!(
            "{} cannot be told: it is missed, and would be met without the generator's own delays; \
             give it CPUs of its own (--cpus) or lower --rate",
            assertion.name,
        ));
    }
}

/// What the verdict rests on beside what was recorded.
pub(super) struct Circumstances {
    pub(super) load: Load,
    /// Open loop: share of the window in which the busiest generator thread was not waiting.
    pub(super) busiest: f64,
    /// Share of their time that the generator's threads were on a CPU, where it is known.
    pub(super) ran_share: Option<f64>,
    /// Share of it that they were able to run while something else had their CPU.
    pub(super) waited_share: Option<f64>,
    /// Whether the user ended the run before its time.
    pub(super) was_interrupted: bool,
    /// Length of the window that was planned.
    pub(super) planned_ns: u64,
    /// Length of the window that was measured: less if the run was interrupted.
    pub(super) measured_ns: u64,
    /// Length of the warm-up before it.
    pub(super) warmup_ns: u64,
    /// Most messages in flight on a connection.
    pub(super) depth: usize,
    /// Open loop: messages that were due and not answered, at the beginning of the window, at times
    /// evenly spread over it, and at its end.
    pub(super) backlogs: Vec<u64>,
    /// When the last connection was gone, since the run began, if that was before its end.
    pub(super) gone_after_ns: Option<u64>,
    /// The server as it was seen.
    pub(super) server: ServerView,
    /// What its threads waited for a CPU, where that can be seen.
    pub(super) server_waited: Option<Waited>,
    /// Time of the window that its CPUs had nothing to run, added up.
    pub(super) server_idle_ns: u64,
    /// CPUs that server and generator both use.
    pub(super) shared_cpus: Vec<usize>,
    /// Time that a hypervisor kept the CPUs in use from running, each for so long on average, in
    /// nanoseconds.
    pub(super) stolen_ns: Option<u64>,
    /// What was different between the halves of the window.
    pub(super) drifts: Vec<String>,
}

impl Circumstances {
    /// Share of the window that the server waited for CPUs that others had.
    pub(super) fn server_waited_share(&self) -> Option<f64> {
        let cpus_ns = self.measured_ns as f64 * self.server.cpus.len().max(1) as f64;
        Some(self.server_waited?.share_for_others(cpus_ns, self.server_idle_ns))
    }
}

/// Weighs the evidence of a whole run.
pub(super) fn judge(recorder: &Recorder, circumstances: &Circumstances) -> Verdict {
    let mut reasons: Vec<String> = interruption(circumstances).into_iter().collect();
    reasons.extend(host::of_server(circumstances, Gravity::Fatal));
    reasons.extend(host::steal(circumstances, Gravity::Fatal));
    reasons.extend(circumstances.gone_after_ns.map(losses::of_all));
    reasons.extend(losses::of_connections(recorder));
    reasons.extend(losses::of_messages(recorder));
    reasons.extend(losses::of_silent_connections(recorder));
    reasons.extend(host::stalls(recorder, Gravity::Fatal));
    let mut is_rate_reached = true;
    let mut is_merely_late = false;
    if let Load::Open { rate, arrival } = circumstances.load {
        let not_reached = pace::not_reached(recorder, circumstances, rate, arrival);
        is_rate_reached = not_reached.is_none();
        reasons.extend(not_reached);
        let is_otherwise_valid = reasons.is_empty();
        reasons.extend(pace::lateness(recorder));
        reasons.extend(pace::no_headroom(circumstances.busiest));
        is_merely_late = is_otherwise_valid && !reasons.is_empty();
    }
    Verdict {
        reasons,
        warnings: advice::of(recorder, circumstances),
        is_rate_reached,
        is_merely_late,
        generator_fault: losses::of_generator(recorder),
        is_missed: false,
    }
}

fn interruption(circumstances: &Circumstances) -> Option<String> {
    let Circumstances { was_interrupted, planned_ns, measured_ns, .. } = *circumstances;
    was_interrupted.then(|| {
        format!(
            "the run was interrupted: {} of {} were measured",
            nanos(measured_ns),
            nanos(planned_ns)
        )
    })
}
