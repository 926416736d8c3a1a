//! One run of several that differ only in their rate, and the series of them.

use std::fmt::{self, Write};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load::config::{Config, Load};
use crate::load::format::{count, nanos};
use crate::load::host::Host;
use crate::load::outcome::Outcome;
use crate::load::quantile::Quantile;
use crate::load::report::Report;
use crate::load::report::document::{Settings, Target};
use crate::load::report::text::{load, write_generator, write_host, write_target};
use crate::load::run::{RunError, run};
use crate::load::watch::Progress;

/// What was measured at a rate.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Messages a second that were to be sent.
    pub rate_per_s: u64,
    /// Whether its numbers may be used.
    pub valid: bool,
    /// Why not, or why it failed.
    pub reasons: Vec<String>,
    /// The run's whole report; null where nothing was received.
    pub run: Option<Report>,
}

impl Probe {
    /// Measures at this rate. The run drains before it ends, so that nothing of it is left for
    /// the next one. A server that was there before and takes no connections now is a result.
    fn measure(
        config: &Config,
        rate: u64,
        is_first: bool,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, RunError> {
        match run(&at_rate(config, rate), on_progress) {
            Ok(run) => Ok(Self {
                rate_per_s: rate,
                valid: run.verdict.valid,
                reasons: run.verdict.reasons.clone(),
                run: Some(run),
            }),
            Err(error @ RunError::NothingReceived { .. }) => Ok(Self::without_reply(rate, &error)),
            Err(error @ RunError::Connect { .. }) if !is_first => {
                Ok(Self::without_reply(rate, &error))
            }
            Err(error) => Err(error),
        }
    }

    fn without_reply(rate_per_s: u64, error: &RunError) -> Self {
        Self { rate_per_s, valid: false, reasons: vec![error.to_string()], run: None }
    }

    /// What it came to: without a reply the server is at fault.
    pub fn outcome(&self) -> Outcome {
        self.run.as_ref().map_or(Outcome::ServerAtFault, |run| run.verdict.outcome)
    }

    /// Whether the server answered as much as it was offered, in time.
    pub fn is_rate_reached(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.verdict.rate_reached)
    }

    /// A percentile of the response, if there were enough samples to say.
    pub(super) fn latency_ns(&self, quantile: Quantile) -> Option<u64> {
        let quantiles = self.run.as_ref()?.latency_ns.main().quantiles();
        quantiles.into_iter().find(|(known, _)| *known == quantile)?.1
    }
}

fn at_rate(config: &Config, rate: u64) -> Config {
    let load = match config.load {
        Load::Closed => Load::at_rate(rate),
        Load::Open { arrival, .. } => Load::Open { rate, arrival },
    };
    Config { load, ..config.clone() }
}

/// How far a series of probes is.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The probe under way, counted from 1.
    pub number: usize,
    /// How many there will be, where that is known.
    pub of: Option<usize>,
    /// Its rate.
    pub rate: u64,
    /// How it is going; `None` before it started.
    pub progress: Option<Progress>,
}

/// Whether a series of probes may be used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SeriesVerdict {
    /// Whether the numbers may be used.
    pub valid: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// What a reader should know although they may be used.
    pub warnings: Vec<String>,
    /// Whether it was ended before its time.
    pub interrupted: bool,
}

impl SeriesVerdict {
    pub(super) fn new(reasons: Vec<String>, warnings: Vec<String>, interrupted: bool) -> Self {
        Self { valid: reasons.is_empty(), reasons, warnings, interrupted }
    }
}

/// Whether a series came to its end.
pub(super) struct IsInterrupted(pub(super) bool);

/// Measures at the rates that `next` asks for, each after it was given the probe before, until it
/// asks for none or the user ends the series: half a run is no probe. Reports each step before it
/// is made, and how it goes.
///
/// # Errors
///
/// When a run cannot be made, or the series was interrupted before the first was.
pub(super) fn measure_series(
    config: &Config,
    of: Option<usize>,
    on_step: &mut dyn FnMut(Step),
    next: &mut dyn FnMut(Option<Probe>) -> Option<u64>,
) -> Result<IsInterrupted, RunError> {
    let mut number = 1;
    let mut rate = next(None);
    while let Some(rate_per_s) = rate {
        let step = Step { number, of, rate: rate_per_s, progress: None };
        on_step(step);
        let mut on_progress = |progress| on_step(Step { progress: Some(progress), ..step });
        let probe = Probe::measure(config, rate_per_s, number == 1, &mut on_progress);
        if config.interrupt.is_raised() {
            return match number {
                1 => Err(RunError::Interrupted { doing: "measuring the first rate" }),
                _ => Ok(IsInterrupted(true)),
            };
        }
        rate = next(Some(probe?));
        number += 1;
    }
    Ok(IsInterrupted(false))
}

/// About how long a probe takes.
pub fn probe_time(config: &Config) -> Duration {
    /// Connecting and draining.
    const OVERHEAD: Duration = Duration::from_millis(100);
    config.ramp_up + config.warmup + config.duration + OVERHEAD
}

/// The configuration of all probes.
pub(super) fn settings(config: &Config) -> Settings {
    Settings { rate_per_s: None, ..Settings::from(config) }
}

/// What was measured, by the first probe that was answered.
pub(super) fn target<'a>(mut probes: impl Iterator<Item = &'a Probe>) -> Option<Target> {
    probes.find_map(|probe| probe.run.as_ref()).map(|run| run.target.clone())
}

/// The head of a report for people; `beside` are lines of its own.
pub(super) fn write_setting(
    out: &mut String,
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

/// What was measured at a rate: the response, and the server's CPU time per message.
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
