//! The runs that the intervals of a log are of, by its notes.

use std::time::{Duration, SystemTime};

use super::note::{ResultNote, RunNote};
use super::read::Log;
use crate::load::config::part::Part;
use crate::load::format::printable;
use crate::load::judge::OWN_CLOCK;
use crate::load::outcome::Outcome;

/// A run that stands in a log, as far as the log tells.
#[derive(Debug, Clone, Default)]
pub(in crate::load) struct LoggedRun {
    pub(in crate::load::report) note: Option<RunNote>,
    pub(in crate::load::report) result: Option<ResultNote>,
    /// The cause, where nothing was measured.
    pub(in crate::load::report) failure: Option<String>,
    /// True if a comment says that it ended before its time.
    pub(in crate::load::report) is_incomplete: bool,
    /// When its first interval started.
    start: Option<SystemTime>,
}

/// The reason of a run that [was killed](LoggedRun::was_killed).
pub(in crate::load::report) const NO_RESULT: &str =
    "the log has no result: its run was killed, or is not over";

impl LoggedRun {
    pub(in crate::load::report) fn part(&self) -> Option<Part> {
        self.note.as_ref()?.config.part
    }

    /// The outcome; `None` where the log does not say.
    pub(in crate::load::report) fn outcome(&self) -> Option<Outcome> {
        if self.is_incomplete || self.was_killed() {
            return Some(Outcome::Incomplete);
        }
        let outcome = self.result.as_ref()?.outcome;
        (outcome != Outcome::Unknown).then_some(outcome)
    }

    /// Returns whether its log begins and does not end. Of parts that is the verdict's matter on all.
    pub(in crate::load::report) fn was_killed(&self) -> bool {
        let is_begun = self.note.is_some() && self.part().is_none();
        is_begun && self.result.is_none() && self.failure.is_none()
    }

    /// Sentences that a reader should know although it is valid, but for its clock, whose state is noted.
    pub(in crate::load::report) fn warnings(&self) -> Vec<String> {
        let warnings = self.result.iter().flat_map(|result| &result.warnings);
        let warnings = warnings.filter(|warning| !warning.contains(OWN_CLOCK));
        warnings.map(|warning| printable(warning)).collect()
    }

    /// The reasons why it is not valid.
    pub(in crate::load::report) fn reasons(&self) -> Vec<String> {
        let reasons = self.result.iter().flat_map(|result| &result.reasons);
        reasons.map(|reason| printable(reason)).collect()
    }

    /// When its window started, and how long it was.
    pub(in crate::load::report) fn window(&self) -> Option<(SystemTime, Duration)> {
        let measured_ns = self.result.as_ref()?.measured_ns?;
        Some((self.start?, Duration::from_nanos(measured_ns)))
    }
}

impl Log {
    /// The cause, where one of its runs measured nothing.
    pub fn failure(&self) -> Option<&str> {
        self.runs.iter().find_map(|run| run.failure.as_deref())
    }

    /// Messages a second that its run was to send, where it is of one run.
    pub(in crate::load) fn offered_per_s(&self) -> Option<f64> {
        let [run] = self.runs.as_slice() else { return None };
        run.result.as_ref()?.throughput?.offered_per_s
    }

    /// The verdict on the first of its runs that is not valid, and the reasons.
    pub(in crate::load) fn flaw(&self) -> Option<(Outcome, Vec<String>)> {
        let flawed = self.runs.iter().find_map(|run| {
            let outcome = run.outcome().filter(|outcome| !outcome.is_valid())?;
            let killed = run.was_killed().then(|| NO_RESULT.to_owned());
            Some((outcome, killed.into_iter().chain(run.reasons()).collect()))
        });
        match (flawed, &self.incomplete) {
            (Some((Outcome::Incomplete, _)), Some(why)) => {
                Some((Outcome::Incomplete, vec![why.clone()]))
            }
            (flawed, _) => flawed,
        }
    }
}

/// The runs of all logs, each with the name of its log.
pub(in crate::load::report) fn runs_of(logs: &[Log]) -> impl Iterator<Item = (&str, &LoggedRun)> {
    logs.iter().flat_map(|log| log.runs.iter().map(|run| (log.name.as_str(), run)))
}

/// The runs of a log while it is read, one after the other.
#[derive(Debug, Default)]
pub(super) struct Runs {
    all: Vec<LoggedRun>,
    /// True if what follows is of the last one.
    is_open: bool,
}

impl Runs {
    pub(super) fn begin(&mut self, note: RunNote) {
        self.all.push(LoggedRun { note: Some(note), ..LoggedRun::default() });
        self.is_open = true;
    }

    pub(super) fn add_interval(&mut self, start: SystemTime) {
        let first = &mut self.current().start;
        *first = Some(first.map_or(start, |first| first.min(start)));
    }

    pub(super) fn end(&mut self, result: ResultNote) {
        self.current().result = Some(result);
        self.is_open = false;
    }

    pub(super) fn fail(&mut self, why: String) {
        self.current().failure = Some(why);
        self.is_open = false;
    }

    /// The comment stands behind the result, if there is one.
    pub(super) fn interrupt(&mut self) {
        match self.all.last_mut() {
            Some(last) => last.is_incomplete = true,
            None => self.current().is_incomplete = true,
        }
    }

    /// Returns whether a log without intervals says whose it is.
    pub(super) fn is_known(&self) -> bool {
        self.all.iter().any(|run| run.note.is_some())
    }

    pub(super) fn into_all(self) -> Vec<LoggedRun> {
        self.all
    }

    /// The run that something is of; one without a note where that is not known.
    fn current(&mut self) -> &mut LoggedRun {
        if !self.is_open {
            self.all.push(LoggedRun::default());
            self.is_open = true;
        }
        self.all.last_mut().expect("one is open")
    }
}
