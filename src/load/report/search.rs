//! The report of a search for the highest rate: each probe, the bracket, and what limits it.

use std::fmt::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Settings, Target};
use super::probes::{Probe, SeriesVerdict, heading, row, write_setting};
use super::text::write_verdict;
use crate::load::format::{count, percent};
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::record::watch::Tag;

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-find-max/1";

/// The highest rate that meets assertions, sought by `ringback-load find-max`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FindMax", title = "Report of ringback-load find-max")]
pub struct SearchReport {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The server; null where nothing was received.
    pub target: Option<Target>,
    /// How it was sought.
    pub config: SearchSettings,
    /// On what.
    pub host: Host,
    /// The assertions that the rate must meet.
    pub assertions: Vec<String>,
    /// Between which rates it is.
    pub bracket: Bracket,
    /// The rates that were tried, in their order.
    pub probes: Vec<SearchProbe>,
    /// True if the result may be used.
    pub verdict: SeriesVerdict,
}

/// How the highest rate was sought.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SearchSettings {
    /// The first rate.
    pub start_per_s: u64,
    /// The search does not go below this.
    pub least_per_s: u64,
    /// How close the bracket is to be: a share of the rate.
    pub resolution: f64,
    /// How each probe was measured.
    #[serde(flatten)]
    pub run: Settings,
}

/// Between which rates the highest is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Bracket {
    /// Null if none passed.
    pub highest_passed_per_s: Option<u64>,
    /// Null if none failed.
    pub lowest_failed_per_s: Option<u64>,
    /// True if the highest rate passed twice.
    pub confirmed: bool,
    /// Why the lowest rate failed.
    pub limited_by: Vec<String>,
}

/// A probe and what it was for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SearchProbe {
    /// Why this rate was tried.
    pub purpose: Purpose,
    /// True if it met every assertion, in a measurement that is valid or flawed by generator lag alone.
    pub passed: bool,
    /// It was not valid and made again.
    pub repeated: bool,
    /// The measured value.
    #[serde(flatten)]
    pub probe: Probe,
}

/// The purpose of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Up to a rate that fails.
    Double,
    /// Down to a rate that passes.
    Halve,
    /// Between the two.
    Bisect,
    /// Does the best pass again?
    Confirm,
}

impl Purpose {
    /// The name as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::Halve => "halve",
            Self::Bisect => "bisect",
            Self::Confirm => "confirm",
        }
    }
}

/// Lines of at most 120 columns, except where a name or a reason is longer.
impl fmt::Display for SearchReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = (self.target.as_ref(), &self.config.run, &self.host);
        let beside = [
            ("assertions", self.assertions.join(" and ")),
            ("resolution", percent(self.config.resolution)),
        ];
        write_setting(out, "find-max", setting, &beside)?;
        writeln!(out, "\n{}", Tag::Response.title())?;
        writeln!(out, "         {}", heading())?;
        for probe in &self.probes {
            let result = match (probe.passed, probe.repeated) {
                (true, _) if !probe.probe.valid => "passed despite generator lag",
                (true, _) => "passed",
                (false, true) => "invalid, retried",
                (false, false) => "failed",
            };
            writeln!(out, "{:<8} {}  {result}", probe.purpose.name(), row(&probe.probe))?;
        }
        self.write_bracket(out)?;
        write_verdict(out, self.outcome(), &self.verdict.reasons, &self.verdict.warnings)
    }
}

impl SearchReport {
    /// The outcome: missed if no rate passed.
    pub fn outcome(&self) -> Outcome {
        self.verdict.outcome(self.bracket.highest_passed_per_s.is_none())
    }

    fn write_bracket(&self, out: &mut impl Write) -> fmt::Result {
        let Bracket { highest_passed_per_s, lowest_failed_per_s, confirmed, limited_by } =
            &self.bracket;
        match highest_passed_per_s {
            Some(passed) => {
                let times = if *confirmed { "twice" } else { "once" };
                writeln!(out, "\nHighest rate {}/s passed, {times}", count(*passed))?;
            }
            None => writeln!(out, "\nHighest rate none passed")?,
        }
        match lowest_failed_per_s {
            Some(failed) => writeln!(out, "Lowest rate  {}/s failed", count(*failed))?,
            None => writeln!(out, "Lowest rate  none failed")?,
        }
        limited_by.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))
    }
}
