//! The search for programs. Its keys are a contract: fields are added, never renamed.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::{Findings, Trial};
use crate::load::report::json as run_json;
use crate::load::report::schema::{json_of, schema_of};

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-find-max/1";

/// The search as one JSON object, ended by a line feed.
pub fn json(findings: &Findings) -> String {
    json_of(&Document::from(findings))
}

/// The JSON Schema (draft 2020-12) of that object, ended by a line feed.
pub fn json_schema() -> String {
    schema_of::<Document<'static>>()
}

/// The highest rate that meets assertions, sought by `ringback-load find-max`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Report of ringback-load find-max")]
struct Document<'a> {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// What was measured; null where nothing was received.
    target: Option<run_json::Target<'a>>,
    /// How it was sought.
    config: Config<'a>,
    /// On what.
    host: run_json::Machine<'a>,
    /// What the rate must meet.
    assertions: Vec<&'a str>,
    /// Between which rates it is.
    bracket: Bracket,
    /// The rates that were tried, in their order.
    probes: Vec<Probe<'a>>,
    /// Whether the result may be used.
    verdict: Verdict,
}

#[derive(Serialize, JsonSchema)]
struct Config<'a> {
    /// The first rate.
    start_per_s: u64,
    /// The search does not go below this.
    least_per_s: u64,
    /// How close the bracket is to be: a share of the rate.
    resolution: f64,
    #[serde(flatten)]
    run: run_json::Config<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Bracket {
    /// Null if none passed.
    highest_passed_per_s: Option<u64>,
    /// Null if none failed.
    lowest_failed_per_s: Option<u64>,
    /// Whether the highest rate passed twice.
    confirmed: bool,
    /// Why the lowest rate failed.
    limited_by: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Probe<'a> {
    /// Why this rate was tried.
    purpose: &'static str,
    /// Messages a second that were to be sent.
    rate_per_s: u64,
    /// Whether it met every assertion, in a valid measurement.
    passed: bool,
    /// Whether its numbers may be used.
    valid: bool,
    /// It was not valid and made again.
    repeated: bool,
    /// Why it failed.
    reasons: Vec<String>,
    /// The run's whole report; null where nothing was received.
    run: Option<run_json::Document<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Verdict {
    /// Whether the numbers may be used.
    valid: bool,
    /// Why not.
    reasons: Vec<String>,
    /// What a reader should know although they may be used.
    warnings: Vec<String>,
    /// Whether it was ended before its time.
    interrupted: bool,
}

impl<'a> From<&'a Findings> for Document<'a> {
    fn from(findings: &'a Findings) -> Self {
        let bounds = findings.quest.bounds;
        let config = &findings.quest.config;
        let reasons = findings.invalid_reasons();
        let mut reports =
            findings.trials.iter().filter_map(|trial| trial.probe.outcome.as_ref().ok());
        Self {
            schema: SCHEMA,
            target: reports.next().map(run_json::Target::from),
            config: Config {
                start_per_s: bounds.start,
                least_per_s: bounds.least,
                resolution: bounds.resolution,
                run: run_json::Config::from(config).without_rate(),
            },
            host: run_json::Machine::from(&findings.host),
            assertions: config.assertions.iter().map(|claim| claim.name.as_str()).collect(),
            bracket: Bracket {
                highest_passed_per_s: findings.highest_passed,
                lowest_failed_per_s: findings.lowest_failed,
                confirmed: findings.is_confirmed,
                limited_by: findings.limit().map(Trial::failures).unwrap_or_default(),
            },
            probes: findings.trials.iter().map(Probe::from).collect(),
            verdict: Verdict {
                valid: reasons.is_empty(),
                reasons,
                warnings: findings.warnings(),
                interrupted: findings.was_interrupted,
            },
        }
    }
}

impl<'a> From<&'a Trial> for Probe<'a> {
    fn from(trial: &'a Trial) -> Self {
        Self {
            purpose: trial.purpose.name(),
            rate_per_s: trial.probe.rate,
            passed: trial.has_passed,
            valid: trial.probe.is_valid(),
            repeated: trial.is_repeated,
            reasons: trial.failures(),
            run: trial.probe.outcome.as_ref().ok().map(run_json::Document::from),
        }
    }
}
