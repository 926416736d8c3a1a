//! The runs that merged logs are of, by their notes.

use schemars::JsonSchema;
use serde::Serialize;

use super::Verdict;
use crate::load::config::part::Part;
use crate::load::format::printable;
use crate::load::judge::merged::{Contribution, judge};
use crate::load::outcome::Outcome;
use crate::load::record::host::ClockState;
use crate::load::record::recorder::Totals;
use crate::load::report::document::Throughput;
use crate::load::report::hlog::{Log, LoggedRun, NO_RESULT, runs_of};

/// One run whose log was added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MergedRun {
    /// The name of its log.
    pub log: String,
    /// The part of a run that it is; null where it is none, or the log does not say.
    pub part: Option<Part>,
    /// The generator's host, where the log says.
    pub host: Option<String>,
    /// How that host kept the time of day, where the log says.
    pub clock: Option<ClockState>,
    /// The outcome; `unknown` where the log does not say.
    pub outcome: Outcome,
}

pub(super) fn all(logs: &[Log]) -> Vec<MergedRun> {
    let mut all: Vec<MergedRun> = runs_of(logs)
        .map(|(log, run)| MergedRun {
            log: log.to_owned(),
            part: run.part(),
            host: run.note.as_ref().map(|note| printable(&note.host)),
            clock: clock(run),
            outcome: run.outcome().unwrap_or(Outcome::Unknown),
        })
        .collect();
    all.sort_by_key(|run| run.part.map(|part| part.index));
    all
}

pub(super) fn totals(logs: &[Log]) -> Option<Totals> {
    let totals = runs_of(logs).map(|(_, run)| run.result.as_ref()?.totals);
    let totals: Vec<Totals> = totals.collect::<Option<_>>()?;
    totals.into_iter().reduce(Totals::saturating_add)
}

/// Rates of runs at different times do not add up.
pub(super) fn throughput(logs: &[Log]) -> Option<Throughput> {
    let are_parts = runs_of(logs).all(|(_, run)| run.part().is_some());
    let is_one = runs_of(logs).count() == 1;
    let rates = runs_of(logs).map(|(_, run)| run.result.as_ref()?.throughput);
    let rates: Vec<Throughput> = rates.collect::<Option<_>>()?;
    let sum = |one: Throughput, other: Throughput| Throughput {
        messages_per_s: one.messages_per_s + other.messages_per_s,
        bytes_per_s: one.bytes_per_s + other.bytes_per_s,
        offered_per_s: one.offered_per_s.zip(other.offered_per_s).map(|(one, other)| one + other),
    };
    rates.into_iter().reduce(sum).filter(|_| are_parts || is_one)
}

/// Bytes that the generators exchanged before their loads, which are not in their totals.
pub(super) fn preflight_bytes(logs: &[Log]) -> u64 {
    let notes = runs_of(logs).filter_map(|(_, run)| run.note.as_ref());
    notes.fold(0, |sum, note| sum.saturating_add(note.preflight_bytes))
}

/// Logs that are not complete say so first.
pub(super) fn verdict(logs: &[Log]) -> Verdict {
    let contributions: Vec<Contribution> = runs_of(logs)
        .map(|(log, run)| Contribution {
            log: log.to_owned(),
            part: run.part(),
            outcome: run.outcome(),
            reasons: run.reasons(),
            warnings: run.warnings(),
            failure: run.failure.clone(),
            window: run.window(),
            clock: clock(run),
        })
        .collect();
    let incomplete = logs.iter().filter_map(|log| log.incomplete.clone());
    let killed = runs_of(logs).filter(|(_, run)| run.was_killed());
    let killed = killed.map(|(log, _)| match log {
        "" => NO_RESULT.to_owned(),
        log => format!("{log}: {NO_RESULT}"),
    });
    let found = Verdict::from(judge(&contributions));
    Verdict { reasons: incomplete.chain(killed).chain(found.reasons).collect(), ..found }
}

fn clock(run: &LoggedRun) -> Option<ClockState> {
    run.result.as_ref()?.clock
}
