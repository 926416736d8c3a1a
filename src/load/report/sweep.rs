//! The report of a sweep: a row for each rate, and the knee.

use std::fmt::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Settings, Target};
use super::probes::{Probe, SeriesVerdict, heading, row, write_setting};
use crate::load::format::count;
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::record::watch::Tag;

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-sweep/1";

/// Many rates, each measured for itself, by `ringback-load sweep`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Sweep", title = "Report of ringback-load sweep")]
pub struct SweepReport {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The server; null where nothing was received.
    pub target: Option<Target>,
    /// How each rate was measured.
    pub config: Settings,
    /// On what.
    pub host: Host,
    /// Ascending by rate.
    pub rates: Vec<Probe>,
    /// Where latency ran away; null where it did nowhere.
    pub knee: Option<Knee>,
    /// True if the result may be used.
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

/// Latency has run away where the p99 is more than this many times the lowest of the sweep: far
/// more than a p99 varies between runs, and far less than what a queue that grows adds.
pub(in crate::load) const KNEE_FACTOR: u64 = 3;

/// Lines of at most 110 columns, except where a name or a reason is longer.
impl fmt::Display for SweepReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = (self.target.as_ref(), &self.config, &self.host);
        write_setting(out, "sweep", setting, &[])?;
        writeln!(out, "\n{}", Tag::Response.title())?;
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
}

impl SweepReport {
    /// The outcome: missed if an assertion was missed at a rate that is valid.
    pub fn outcome(&self) -> Outcome {
        let is_missed = self.rates.iter().any(|probe| probe.outcome() == Outcome::Missed);
        self.verdict.outcome(is_missed)
    }

    fn write_knee(&self, out: &mut impl Write) -> fmt::Result {
        let rule = format!("the highest rate with a p99 of at most {KNEE_FACTOR} times the lowest");
        match &self.knee {
            Some(knee) => writeln!(out, "\nKnee         {}/s: {rule}", count(knee.rate_per_s)),
            None => {
                writeln!(out, "\nKnee         none: {rule} would be the highest of all, or unknown")
            }
        }
    }

    fn write_assertions(&self, out: &mut impl Write) -> fmt::Result {
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

    fn write_verdict(&self, out: &mut impl Write) -> fmt::Result {
        for probe in self.rates.iter().filter(|probe| !probe.valid) {
            writeln!(out, "\n{}/s is INVALID", count(probe.rate_per_s))?;
            probe.reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))?;
        }
        let verdict = self.outcome().verdict();
        let valid = self.rates.iter().filter(|probe| probe.valid).count();
        writeln!(out, "\nVerdict      {verdict}, {valid} of {} rates are valid", self.rates.len())?;
        self.verdict.reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))?;
        self.verdict.warnings.iter().try_for_each(|warning| writeln!(out, "  ! {warning}"))
    }
}
