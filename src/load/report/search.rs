//! The report of a search for the highest rate: each probe, the bracket, and what limits it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Settings, Target};
use super::page::{Finding, In, Page, Text, View};
use super::probes::{self, Probe, SeriesVerdict, name_of};
use super::text::{Conclusion, add_host, add_verdict, findings};
use super::words::Subject;
use crate::load::config::Config;
use crate::load::format::{count, percent};
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;

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

/// The lines of a search's report that come before its probes.
pub fn head(config: &Config, view: &View) -> String {
    let settings = Settings { rate_per_s: None, ..Settings::from(config) };
    let names: Vec<String> =
        config.assertions.iter().map(|assertion| assertion.name.clone()).collect();
    head_of(Some(name_of(config)), Outcome::Passed, &settings, &names, view)
}

fn head_of(
    target: Option<&str>,
    outcome: Outcome,
    settings: &Settings,
    assertions: &[String],
    view: &View,
) -> String {
    let subject = Subject { command: Some("find-max"), target };
    let aim = ("Sought", format!("the highest rate with {}", assertions.join(" and ")));
    probes::head(subject, outcome, settings, &[aim], view)
}

/// The line of a probe.
pub fn row(probe: &SearchProbe, view: &View) -> String {
    let result = match (probe.passed, probe.repeated) {
        (true, _) if !probe.probe.valid => "passed (lag)",
        (true, _) => "passed",
        (false, true) => "retried",
        (false, false) if probe.tells_nothing() => "invalid",
        (false, false) => "failed",
    };
    probes::row(&probe.probe, result, view)
}

/// The usual detail.
impl fmt::Display for SearchReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text(&View::default()))
    }
}

impl Text for SearchReport {
    fn text(&self, view: &View) -> String {
        let target = self.target.as_ref().map(Target::shown_name);
        let rows: String = self.probes.iter().map(|probe| row(probe, view)).collect();
        head_of(target, self.outcome(), &self.config.run, &self.assertions, view)
            + &rows
            + &self.rest(view)
    }

    fn rest(&self, view: &View) -> String {
        let mut page = Page::default();
        page.blank(In::USUAL);
        page.clipped(In::BRIEF, self.bracket_in_words());
        page.line(In::USUAL, self.bracket_in_words(), 2);
        let limits = &self.bracket.limited_by;
        let limits = limits.iter().map(|reason| Finding::new("limit", reason)).collect::<Vec<_>>();
        let is_late = |probe: &SearchProbe| probe.passed && !probe.probe.valid;
        if self.probes.iter().any(is_late) {
            let meaning = "passed although the generator was late, which adds to latencies";
            page.row(In::USUAL, "(lag)", meaning);
        }
        let resolution = percent(self.config.resolution);
        page.row(In::FULL, "Resolution", format!("{resolution} of the rate"));
        add_host(&mut page, &self.config.run, &self.host, " a probe", "");
        let found = findings(&self.verdict.reasons, &self.verdict.warnings);
        let (reasons, notes) = found.split_at(self.verdict.reasons.len());
        let findings = [reasons, &limits, notes].concat();
        page.blank(In::USUAL);
        add_verdict(&mut page, view, &Conclusion { outcome: self.outcome(), aside: "", findings });
        page.render(view)
    }
}

impl SearchProbe {
    /// Returns whether it is the host's or the generator's fault that it did not pass.
    pub(in crate::load) fn tells_nothing(&self) -> bool {
        !self.passed && self.probe.outcome().is_worth_repeating()
    }
}

impl SearchReport {
    /// The outcome: missed if no rate passed.
    pub fn outcome(&self) -> Outcome {
        self.verdict.outcome(self.bracket.highest_passed_per_s.is_none())
    }

    fn bracket_in_words(&self) -> String {
        let Bracket { highest_passed_per_s, lowest_failed_per_s, confirmed, .. } = self.bracket;
        let asserted = self.assertions.join(" and ");
        let [passed, failed] = [highest_passed_per_s, lowest_failed_per_s]
            .map(|rate| rate.map(|rate| format!("{}/s", count(rate))));
        let times = if confirmed { "twice" } else { "once" };
        let is_limit = |probe: &&SearchProbe| Some(probe.probe.rate_per_s) == lowest_failed_per_s;
        let is_open = self.probes.iter().rfind(is_limit).is_some_and(SearchProbe::tells_nothing);
        match (passed, failed) {
            (Some(passed), Some(failed)) if is_open => {
                format!("{passed} holds {asserted} ({times}), whether {failed} does cannot be told")
            }
            (None, Some(failed)) if is_open => {
                format!("No rate was found that holds {asserted}: of {failed} nothing can be told")
            }
            (Some(passed), Some(failed)) => {
                format!("{passed} holds {asserted} ({times}), {failed} does not")
            }
            (Some(passed), None) => {
                format!("{passed} holds {asserted} ({times}), and no rate was found that does not")
            }
            (None, Some(failed)) => format!("No rate holds {asserted}: {failed} does not"),
            (None, None) => format!("No rate was found that holds {asserted}"),
        }
    }
}
