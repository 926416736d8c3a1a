//! The sweep for programs. Its keys are a contract: fields are added, never renamed.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::{Findings, KNEE_FACTOR};
use crate::load::Probe;
use crate::load::report::Quantile;
use crate::load::report::json as run_json;
use crate::load::report::schema::{json_of, schema_of};

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-sweep/1";

/// The sweep as one JSON object, ended by a line feed.
pub fn json(findings: &Findings) -> String {
    json_of(&Document::from(findings))
}

/// The JSON Schema (draft 2020-12) of that object, ended by a line feed.
pub fn json_schema() -> String {
    schema_of::<Document<'static>>()
}

/// Many rates, each measured for itself, by `ringback-load sweep`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Report of ringback-load sweep")]
struct Document<'a> {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// What was measured; null where nothing was received.
    target: Option<run_json::Target<'a>>,
    /// How each rate was measured.
    config: run_json::Config<'a>,
    /// On what.
    host: run_json::Machine<'a>,
    /// In the order in which they were measured.
    rates: Vec<Rate<'a>>,
    /// Where latency ran away; null where it did nowhere.
    knee: Option<Knee>,
    /// Whether the result may be used.
    verdict: Verdict,
}

#[derive(Serialize, JsonSchema)]
struct Rate<'a> {
    /// Messages a second that were to be sent.
    rate_per_s: u64,
    /// Whether its numbers may be used.
    valid: bool,
    /// Why not.
    reasons: Vec<String>,
    /// The run's whole report; null where nothing was received.
    run: Option<run_json::Document<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Knee {
    /// The last rate before it.
    rate_per_s: u64,
    /// Its p99 of the response.
    p99_ns: Option<u64>,
    /// The p99 is at most this many times the lowest.
    factor: u64,
}

#[derive(Serialize, JsonSchema)]
struct Verdict {
    /// Whether the numbers may be used.
    valid: bool,
    /// Why not.
    reasons: Vec<String>,
    /// Whether it was ended before its time.
    interrupted: bool,
}

impl<'a> From<&'a Findings> for Document<'a> {
    fn from(findings: &'a Findings) -> Self {
        let reasons = findings.invalid_reasons();
        let mut reports = findings.probes.iter().filter_map(|probe| probe.outcome.as_ref().ok());
        Self {
            schema: SCHEMA,
            target: reports.next().map(run_json::Target::from),
            config: run_json::Config::from(&findings.sweep.config).without_rate(),
            host: run_json::Machine::from(&findings.host),
            rates: findings.probes.iter().map(Rate::from).collect(),
            knee: findings.knee.map(|knee| Knee::from(&findings.probes[knee])),
            verdict: Verdict {
                valid: reasons.is_empty(),
                reasons,
                interrupted: findings.was_interrupted,
            },
        }
    }
}

impl<'a> From<&'a Probe> for Rate<'a> {
    fn from(probe: &'a Probe) -> Self {
        Self {
            rate_per_s: probe.rate,
            valid: probe.is_valid(),
            reasons: probe.invalid_reasons(),
            run: probe.outcome.as_ref().ok().map(run_json::Document::from),
        }
    }
}

impl From<&Probe> for Knee {
    fn from(probe: &Probe) -> Self {
        Self {
            rate_per_s: probe.rate,
            p99_ns: probe.latency_ns(Quantile::P99),
            factor: KNEE_FACTOR,
        }
    }
}
