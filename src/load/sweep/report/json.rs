//! The sweep for programs. Its keys are a contract: fields are added, never renamed.

use serde::Serialize;

use super::super::{Findings, KNEE_FACTOR};
use crate::load::Probe;
use crate::load::report::Quantile;
use crate::load::report::json as run_json;

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-sweep/1";

/// The sweep as one JSON object, ended by a line feed.
pub fn json(findings: &Findings) -> String {
    let mut text = serde_json::to_string_pretty(&Document::from(findings))
        .expect("the document holds strings and finite numbers only");
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    target: Option<run_json::Target<'a>>,
    config: run_json::Config<'a>,
    host: run_json::Machine<'a>,
    rates: Vec<Rate<'a>>,
    /// Null where latency ran away nowhere.
    knee: Option<Knee>,
    verdict: Verdict,
}

#[derive(Serialize)]
struct Rate<'a> {
    rate_per_s: u64,
    valid: bool,
    reasons: Vec<String>,
    /// The run's whole report; null where nothing was received.
    run: Option<run_json::Document<'a>>,
}

#[derive(Serialize)]
struct Knee {
    rate_per_s: u64,
    p99_ns: Option<u64>,
    /// The p99 is at most this many times the lowest.
    factor: u64,
}

#[derive(Serialize)]
struct Verdict {
    valid: bool,
    reasons: Vec<String>,
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
