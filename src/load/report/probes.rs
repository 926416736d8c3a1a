//! Probes: runs that differ only in their rate, as their reports show them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Report;
use super::document::{Settings, Target};
use super::page::{In, Page, View};
use super::text::findings;
use super::words::{Subject, headline, nanos_or_dash, per_s, target_name};
use crate::load::config::quantile::Quantile;
use crate::load::config::{Config, Server};
use crate::load::format::count;
use crate::load::judge::warnings::summarised;
use crate::load::outcome::Outcome;

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

/// The warnings of the probes that are valid.
pub(in crate::load) fn series_warnings<'a>(probes: impl Iterator<Item = &'a Probe>) -> Vec<String> {
    let valid = probes.filter(|probe| probe.valid).filter_map(|probe| probe.run.as_ref());
    summarised(&valid.map(|run| run.verdict.warnings.as_slice()).collect::<Vec<_>>())
}

/// The server, by the first probe that was answered.
pub(in crate::load) fn target<'a>(mut probes: impl Iterator<Item = &'a Probe>) -> Option<Target> {
    probes.find_map(|probe| probe.run.as_ref()).map(|run| run.target.clone())
}

/// The first lines of a report, written before anything was measured: the headline, lines below it,
/// and the names of the columns that [`row`] fills.
pub(in crate::load) fn head(
    subject: Subject<'_>,
    outcome: Outcome,
    settings: &Settings,
    beside: &[(&str, String)],
    view: &View,
) -> String {
    let mut page = Page::default();
    page.line(In::USUAL, headline(subject, outcome, settings, " a rate"), 15);
    beside.iter().for_each(|(label, text)| page.row(In::USUAL, label, text.as_str()));
    page.blank(In::USUAL);
    page.table(In::USUAL, heading(view));
    page.render(view)
}

/// The server's name before anything was measured.
pub(in crate::load) fn name_of(config: &Config) -> &str {
    let is_embedded = matches!(config.server, Server::Embedded { .. });
    target_name(&config.target.name, is_embedded)
}

fn heading(view: &View) -> String {
    let names = percentiles(view).iter().map(|quantile| quantile.name());
    columns(["rate/s", "answered/s"], names, "max", "CPU/msg")
}

fn percentiles(view: &View) -> &[Quantile] {
    /// With what stands beside them they fit a line.
    const FITTING: [Quantile; 3] = [Quantile::P50, Quantile::P99, Quantile::P99_9];
    match view.percentiles.as_slice() {
        [] => &FITTING,
        chosen => chosen,
    }
}

/// A probe's row: the response, the server's CPU time per message, and the result; in full with what
/// led to it.
pub(in crate::load) fn row(probe: &Probe, result: &str, view: &View) -> String {
    let rate = count(probe.rate_per_s);
    let shown = percentiles(view);
    let cells = match &probe.run {
        None => columns([rate.as_str(), "-"], shown.iter().map(|_| "-".to_owned()), "-", "-"),
        Some(run) => {
            let histogram = run.main_latency();
            let quantiles = shown.iter().map(|quantile| nanos_or_dash(quantile.of(histogram)));
            let cpu_ns = run.server_cpu.map(|cpu| cpu.cpu_ns_per_message.round() as u64);
            columns(
                [&rate, &per_s(run.throughput.messages_per_s)],
                quantiles,
                &nanos_or_dash(run.latency_ns.main().max),
                &nanos_or_dash(cpu_ns),
            )
        }
    };
    let mut page = Page::default();
    page.table(In::USUAL, format!("{cells}  {result}").trim_end());
    page.findings(In::FULL, findings(&probe.reasons, &[]));
    page.render(view)
}

fn columns(
    [rate, answered]: [&str; 2],
    latencies: impl Iterator<Item = String>,
    max: &str,
    cpu: &str,
) -> String {
    let latencies: String = latencies.map(|cell| format!("{cell:>9}")).collect();
    format!("{rate:>10}{answered:>11}{latencies}{max:>9}{cpu:>9}")
}
