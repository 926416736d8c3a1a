//! Probes: runs that differ only in their rate, as their reports show them.

use std::fmt::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Report;
use super::document::{Settings, Target};
use super::text::{load, write_generator, write_host, write_target};
use crate::load::format::{count, nanos};
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;

/// A measurement at one rate.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Messages a second that were to be sent.
    pub rate_per_s: u64,
    /// True if its numbers may be used.
    pub valid: bool,
    /// Why not, or why it failed.
    pub reasons: Vec<String>,
    /// The run's whole report; null where nothing was received.
    pub run: Option<Report>,
}

impl Probe {
    /// The outcome: without a reply the server is at fault.
    pub fn outcome(&self) -> Outcome {
        self.run.as_ref().map_or(Outcome::ServerAtFault, |run| run.verdict.outcome)
    }

    /// The reason why further probes would tell nothing of the server's limits: it is gone or
    /// answers no more or wrongly, or this host ran out of what a connection takes.
    pub(in crate::load) fn fault(&self) -> Option<String> {
        match &self.run {
            Some(run) if run.totals.corrupted > 0 => {
                Some(format!("replies were corrupted at {}/s", count(self.rate_per_s)))
            }
            Some(run) => run.generator_fault.clone(),
            None => self.reasons.first().cloned(),
        }
    }

    /// Returns whether the server answered as much as it was offered, in time.
    pub fn is_rate_reached(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.verdict.rate_reached)
    }
}

/// The verdict on a series of probes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SeriesVerdict {
    /// True if the numbers may be used.
    pub valid: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// Sentences that a reader should know although the numbers may be used.
    pub warnings: Vec<String>,
    /// True if it was ended before its time.
    pub interrupted: bool,
}

impl SeriesVerdict {
    pub(in crate::load) fn new(
        reasons: Vec<String>,
        warnings: Vec<String>,
        interrupted: bool,
    ) -> Self {
        Self { valid: reasons.is_empty(), reasons, warnings, interrupted }
    }

    /// The outcome of the series, whose assertions are missed or not.
    pub(in crate::load) fn outcome(&self, is_missed: bool) -> Outcome {
        match (self.interrupted, self.valid, is_missed) {
            (true, _, _) => Outcome::Incomplete,
            (false, false, _) => Outcome::ServerAtFault,
            (false, true, true) => Outcome::Missed,
            (false, true, false) => Outcome::Passed,
        }
    }
}

/// Warnings that hold of a whole series: every probe that was answered has them, be it as reasons.
pub(in crate::load) fn common_warnings<'a>(
    probes: impl Iterator<Item = &'a Probe> + Clone,
) -> Vec<String> {
    let verdicts = probes.filter_map(|probe| probe.run.as_ref()).map(|run| &run.verdict);
    let mut warnings: Vec<String> = Vec::new();
    for warning in verdicts.clone().flat_map(|verdict| &verdict.warnings) {
        let is_common = verdicts
            .clone()
            .all(|verdict| verdict.warnings.contains(warning) || verdict.reasons.contains(warning));
        if is_common && !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    warnings
}

/// The server, by the first probe that was answered.
pub(in crate::load) fn target<'a>(mut probes: impl Iterator<Item = &'a Probe>) -> Option<Target> {
    probes.find_map(|probe| probe.run.as_ref()).map(|run| run.target.clone())
}

/// The head of a report for people; `beside` are lines of its own.
pub(super) fn write_setting(
    out: &mut impl Write,
    command: &str,
    (target, settings, host): (Option<&Target>, &Settings, &Host),
    beside: &[(&str, String)],
) -> fmt::Result {
    writeln!(out, "ringback-load {command}: {}", load(settings))?;
    write_target(out, target, settings)?;
    write_generator(out, settings, " at each rate")?;
    for (name, value) in beside {
        writeln!(out, "  {name:<10} {value}")?;
    }
    write_host(out, host, "")
}

/// The names of the columns that [`row`] fills.
pub(super) fn heading() -> String {
    columns(["rate", "answered", "p50", "p90", "p99", "p99.9", "max", "CPU/message"])
}

/// A probe's row: the response, and the server's CPU time per message.
pub(super) fn row(probe: &Probe) -> String {
    let rate = format!("{}/s", count(probe.rate_per_s));
    let Some(run) = &probe.run else {
        return columns([rate.as_str(), "-", "-", "-", "-", "-", "-", "-"]);
    };
    let latency = run.latency_ns.main();
    let cpu_ns = run.server_cpu.map(|cpu| cpu.cpu_ns_per_message.round() as u64);
    columns([
        rate.as_str(),
        &format!("{}/s", count(run.throughput.messages_per_s.round() as u64)),
        &or_dash(latency.p50),
        &or_dash(latency.p90),
        &or_dash(latency.p99),
        &or_dash(latency.p99_9),
        &or_dash(latency.max),
        &or_dash(cpu_ns),
    ])
}

fn or_dash(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".to_owned(), nanos)
}

fn columns(cells: [&str; 8]) -> String {
    let [rate, answered, latencies @ .., cpu] = cells;
    let latencies: String = latencies.iter().map(|cell| format!(" {cell:>9}")).collect();
    format!("{rate:>12} {answered:>12}{latencies} {cpu:>12}")
}
