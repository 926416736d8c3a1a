//! Latency against throughput: the same load at one rate after another, and where it tips over.

use std::fmt::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::knee::{KNEE_FACTOR, knee};
use super::plan::Plan;
pub use super::plan::Rates;
use super::probe::{
    IsInterrupted, Probe, SeriesVerdict, Step, heading, measure_series, row, settings, target,
    write_setting,
};
use crate::load::config::Config;
use crate::load::format::count;
use crate::load::host::Host;
use crate::load::outcome::Outcome;
use crate::load::quantile::Quantile;
use crate::load::report::document::{Settings, Target};
use crate::load::run::RunError;

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-sweep/1";

/// Many rates, each measured for itself, by `ringback-load sweep`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Sweep", title = "Report of ringback-load sweep")]
pub struct SweepReport {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// What was measured; null where nothing was received.
    pub target: Option<Target>,
    /// How each rate was measured.
    pub config: Settings,
    /// On what.
    pub host: Host,
    /// Ascending by rate.
    pub rates: Vec<Probe>,
    /// Where latency ran away; null where it did nowhere.
    pub knee: Option<Knee>,
    /// Whether the result may be used.
    pub verdict: SeriesVerdict,
}

/// Where latency runs away.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Knee {
    /// The last rate before it.
    pub rate_per_s: u64,
    /// Its p99 of the response.
    pub p99_ns: Option<u64>,
    /// The p99 is at most this many times the lowest.
    pub factor: u64,
}

/// Measures at every rate; that of `config` is not used. Reports each step before it is made, and
/// how it goes.
///
/// # Errors
///
/// When a run cannot be made, or the sweep was interrupted before the first was.
pub fn sweep(
    config: &Config,
    rates: &Rates,
    on_step: &mut dyn FnMut(Step),
) -> Result<SweepReport, RunError> {
    let host = Host::detect();
    let mut plan = Plan::new(rates);
    let mut probes: Vec<Probe> = Vec::new();
    let IsInterrupted(interrupted) =
        measure_series(config, rates.count(), on_step, &mut |probe| {
            if let Some(probe) = probe {
                plan.handle(probe.rate_per_s, probe.is_rate_reached());
                probes.push(probe);
            }
            plan.next_rate()
        })?;
    probes.sort_unstable_by_key(|probe| probe.rate_per_s);
    let p99_ns = |probe: &Probe| probe.valid.then(|| probe.latency_ns(Quantile::P99)).flatten();
    let points: Vec<Option<u64>> = probes.iter().map(p99_ns).collect();
    let knee = knee(&points).map(|point| Knee {
        rate_per_s: probes[point].rate_per_s,
        p99_ns: points[point],
        factor: KNEE_FACTOR,
    });
    let reasons = invalid_reasons(&probes);
    Ok(SweepReport {
        schema: SCHEMA.to_owned(),
        target: target(probes.iter()),
        config: settings(config),
        host,
        knee,
        verdict: SeriesVerdict::new(reasons, Vec::new(), interrupted),
        rates: probes,
    })
}

/// Why nothing may be concluded from the sweep. That rates beyond what the server can do are not
/// valid is what a sweep is for.
fn invalid_reasons(probes: &[Probe]) -> Vec<String> {
    let mut reasons = Vec::new();
    if !probes.iter().any(|probe| probe.valid) {
        reasons.push("no rate gave a valid measurement".to_owned());
    }
    let is_corrupted =
        |probe: &&Probe| probe.run.as_ref().is_some_and(|run| run.totals.corrupted > 0);
    if let Some(probe) = probes.iter().find(is_corrupted) {
        reasons.push(format!("replies were corrupted at {}/s", count(probe.rate_per_s)));
    }
    reasons
}

impl SweepReport {
    /// What it came to: missed if an assertion was at a rate that is valid.
    pub fn outcome(&self) -> Outcome {
        if !self.verdict.valid {
            return Outcome::ServerAtFault;
        }
        let is_missed = self.rates.iter().any(|probe| probe.outcome() == Outcome::Missed);
        if is_missed { Outcome::Missed } else { Outcome::Passed }
    }

    /// The sweep in lines of at most 110 columns, except where a name or a reason is longer.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("writing to a string does not fail");
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let note = self.verdict.interrupted.then(|| "interrupted before the last rate".to_owned());
        let note: Vec<_> = note.map(|note| ("note", note)).into_iter().collect();
        let setting = (self.target.as_ref(), &self.config, &self.host);
        write_setting(out, "sweep", setting, &note)?;
        writeln!(out, "\nResponse: from the intended send to the reply")?;
        writeln!(out, "  {}", heading())?;
        for probe in &self.rates {
            let is_knee =
                self.knee.as_ref().is_some_and(|knee| knee.rate_per_s == probe.rate_per_s);
            let mark = if is_knee { ">" } else { " " };
            let verdict = if probe.valid { "" } else { "  INVALID" };
            writeln!(out, "{mark} {}{verdict}", row(probe))?;
        }
        self.write_knee(out)?;
        self.write_assertions(out)?;
        self.write_verdict(out)
    }

    fn write_knee(&self, out: &mut String) -> fmt::Result {
        let rule = format!("the highest rate with a p99 of at most {KNEE_FACTOR} times the lowest");
        match &self.knee {
            Some(knee) => writeln!(out, "\nKnee         {}/s: {rule}", count(knee.rate_per_s)),
            None => {
                writeln!(out, "\nKnee         none: {rule} would be the highest of all, or unknown")
            }
        }
    }

    fn write_assertions(&self, out: &mut String) -> fmt::Result {
        let of_probe = |probe: &Probe| probe.run.as_ref().map(|run| run.verdict.assertions.clone());
        let names = self.rates.iter().find_map(of_probe).unwrap_or_default();
        for (place, named) in names.iter().enumerate() {
            let title = if place == 0 { "Assertions" } else { "" };
            let is_met = |probe: &&Probe| {
                let run = probe.run.as_ref().filter(|run| run.verdict.valid);
                run.is_some_and(|run| run.verdict.assertions[place].met)
            };
            let (met, all) = (self.rates.iter().filter(is_met).count(), self.rates.len());
            write!(out, "{title:<12} {}  met at {met} of {all} rates", named.assertion)?;
            match self.rates.iter().rfind(is_met) {
                Some(highest) => writeln!(out, ", the highest {}/s", count(highest.rate_per_s))?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    }

    fn write_verdict(&self, out: &mut String) -> fmt::Result {
        for probe in self.rates.iter().filter(|probe| !probe.valid) {
            writeln!(out, "\n{}/s is INVALID", count(probe.rate_per_s))?;
            probe.reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))?;
        }
        let verdict = if self.verdict.valid { "VALID" } else { "INVALID" };
        let valid = self.rates.iter().filter(|probe| probe.valid).count();
        writeln!(out, "\nVerdict      {verdict}, {valid} of {} rates are valid", self.rates.len())?;
        self.verdict.reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))
    }
}
