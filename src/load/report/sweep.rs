//! The report of a sweep: a row for each rate, and the knee.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Settings, Target};
use super::page::{Detail, In, Page, Text, View};
use super::probes::{self, Probe, SeriesVerdict, name_of};
use super::text::{Conclusion, add_host, add_verdict, findings};
use super::words::Subject;
use crate::load::config::Config;
use crate::load::config::assertion::AssertionResult;
use crate::load::format::{count, nanos, part};
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;

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
    /// Its p50 of the response.
    pub p50_ns: Option<u64>,
    /// Its p99 of the response.
    pub p99_ns: Option<u64>,
    /// The p50 is at most this many times the lowest.
    pub factor: u64,
}

/// Latency has run away where the p50 is more than this many times the lowest of the sweep: far
/// more than a p50 varies between runs, and far less than what a queue that grows adds. The p99 of
/// a short run is as much the host's stalls as the server's queue.
pub(in crate::load) const KNEE_FACTOR: u64 = 3;

/// The lines of a sweep's report that come before its rates.
pub fn head(config: &Config, view: &View) -> String {
    let settings = Settings { rate_per_s: None, ..Settings::from(config) };
    head_of(Some(name_of(config)), Outcome::Passed, &settings, view)
}

fn head_of(target: Option<&str>, outcome: Outcome, settings: &Settings, view: &View) -> String {
    let subject = Subject { command: Some("sweep"), target };
    probes::head(subject, outcome, settings, &[], view)
}

/// The line of a rate.
pub fn row(probe: &Probe, view: &View) -> String {
    let result = match probe.outcome() {
        Outcome::Passed => "",
        Outcome::Missed => "missed",
        other => other.verdict(),
    };
    probes::row(probe, result, view)
}

/// The usual detail.
impl fmt::Display for SweepReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text(&View::default()))
    }
}

impl Text for SweepReport {
    fn text(&self, view: &View) -> String {
        let target = self.target.as_ref().map(Target::shown_name);
        let rows: String = self.rates.iter().map(|probe| row(probe, view)).collect();
        head_of(target, self.outcome(), &self.config, view) + &rows + &self.rest(view)
    }

    fn rest(&self, view: &View) -> String {
        let mut page = Page::default();
        page.blank(In::USUAL);
        page.clipped(In::BRIEF, self.knee_in_words());
        page.line(In::USUAL, self.knee_in_words(), 2);
        page.row(In::USUAL, "Assertions", self.assertions_in_words());
        add_host(&mut page, &self.config, &self.host, " at each rate", "");
        let valid = self.rates.iter().filter(|probe| probe.valid).count() as u64;
        let aside = match self.verdict.valid {
            true => format!(" at {}", part(valid, self.rates.len() as u64, "rate")),
            false => String::new(),
        };
        let mut notes = self.verdict.warnings.clone();
        // In full they stand below the rates.
        if view.detail != Detail::Full {
            notes.extend(self.rates.iter().filter_map(why_not_valid));
        }
        let findings = findings(&self.verdict.reasons, &notes);
        page.blank(In::USUAL);
        add_verdict(
            &mut page,
            view,
            &Conclusion { outcome: self.outcome(), aside: &aside, findings },
        );
        page.render(view)
    }
}

impl SweepReport {
    /// The outcome: missed if an assertion was missed at a rate that is valid.
    pub fn outcome(&self) -> Outcome {
        let is_missed = self.rates.iter().any(|probe| probe.outcome() == Outcome::Missed);
        self.verdict.outcome(is_missed)
    }

    /// The p50 beyond which latency has run away; none where no rate is valid.
    pub(in crate::load) fn knee_bound_ns(&self) -> Option<u64> {
        self.lowest_p50_ns().map(|ns| ns.saturating_mul(KNEE_FACTOR))
    }

    fn lowest_p50_ns(&self) -> Option<u64> {
        let p50_ns = |probe: &Probe| probe.run.as_ref()?.latency_ns.main().p50;
        self.valid_rates().filter_map(p50_ns).min()
    }

    fn valid_rates(&self) -> impl DoubleEndedIterator<Item = &Probe> {
        self.rates.iter().filter(|probe| probe.valid)
    }

    fn knee_in_words(&self) -> String {
        let Some(lowest) = self.lowest_p50_ns().map(nanos) else {
            return "No knee: no rate is valid".to_owned();
        };
        match &self.knee {
            Some(knee) => format!(
                "Knee at {}/s: the highest rate with p50 ≤ {KNEE_FACTOR} × the lowest ({lowest})",
                count(knee.rate_per_s),
            ),
            None => {
                let highest = self.valid_rates().next_back().map_or(0, |probe| probe.rate_per_s);
                format!(
                    "No knee: {}/s, the highest valid rate, has p50 ≤ {KNEE_FACTOR} × the lowest \
                     ({lowest}) as well",
                    count(highest),
                )
            }
        }
    }

    fn assertions_in_words(&self) -> String {
        let of_probe = |probe: &Probe| probe.run.as_ref().map(|run| run.verdict.assertions.clone());
        let names = self.rates.iter().find_map(of_probe).unwrap_or_default();
        let one = |(place, named): (usize, &AssertionResult)| {
            let is_met = |probe: &&Probe| {
                let run = probe.run.as_ref().filter(|run| run.verdict.valid);
                run.is_some_and(|run| run.verdict.assertions[place].met)
            };
            let met = self.rates.iter().filter(is_met).count() as u64;
            let met = part(met, self.rates.len() as u64, "rate");
            let highest = self
                .rates
                .iter()
                .rfind(is_met)
                .map(|highest| format!(", the highest {}/s", count(highest.rate_per_s)));
            let highest = highest.unwrap_or_default();
            format!("{} met at {met}{highest}", named.assertion)
        };
        names.iter().enumerate().map(one).collect::<Vec<_>>().join("  ")
    }
}

/// The first reason of a rate that is not valid.
fn why_not_valid(probe: &Probe) -> Option<String> {
    let reason = probe.reasons.first().filter(|_| !probe.valid)?;
    Some(format!("{}/s is not valid: {reason}", count(probe.rate_per_s)))
}
