//! The comparison for programs. Its keys are a contract: fields are added, never renamed.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::block::{self, Side};
use super::super::judgement::Judgement;
use super::super::statistics::{self, CONFIDENCE, RESAMPLES};
use super::super::{Claim, Comparison, Findings};
use crate::load::assertion::Measured;
use crate::load::clock::nanos;
use crate::load::report::json as run_json;
use crate::load::report::schema::{json_of, schema_of};

/// Names this form of the report; a change that breaks readers gets another.
pub const SCHEMA: &str = "ringback-compare/1";

/// The comparison as one JSON object, ended by a line feed.
pub fn json(findings: &Findings) -> String {
    json_of(&Document::from(findings))
}

/// The JSON Schema (draft 2020-12) of that object, ended by a line feed.
pub fn json_schema() -> String {
    schema_of::<Document<'static>>()
}

/// Two servers compared by `ringback-load compare`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Report of ringback-load compare")]
struct Document<'a> {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// Which server is better.
    #[schemars(extend("enum" = ["a", "b", "inconclusive"]))]
    verdict: &'static str,
    /// Why it is inconclusive or not valid; empty if a server is better.
    reasons: Vec<&'a str>,
    /// Whether the comparison may be used at all.
    valid: bool,
    /// What was compared.
    metric: Metric,
    /// A smaller difference is none: a share of one.
    min_effect: f64,
    /// B/A: the median over the blocks and its interval.
    ratio: Option<Estimate>,
    /// Each server against itself.
    control: Option<Estimate>,
    /// In the order in which they were measured.
    blocks: Vec<Block>,
    /// What became of the assertions, of each server.
    assertions: Vec<Assertion<'a>>,
    /// What became of what must not be (--fail-if).
    gates: Vec<Gate<'a>>,
    /// What a reader of the numbers should know.
    notes: &'a [String],
    /// Whether the user ended it before its time.
    interrupted: bool,
    /// What was started.
    commands: Commands<'a>,
    /// How each server was measured.
    config: Config<'a>,
    /// On what.
    host: run_json::Machine<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Metric {
    name: &'static str,
    unit: &'static str,
    better: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct Estimate {
    median: f64,
    /// Null where there is one block.
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct Gate<'a> {
    /// As the user wrote it.
    gate: &'a str,
    /// Whether the ratio is as it must not be; null where it cannot be said.
    met: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
struct Block {
    order: String,
    /// Geometric mean of the server's two runs.
    a: Option<f64>,
    b: Option<f64>,
    ratio: Option<f64>,
    control: Option<f64>,
    valid: bool,
    reasons: Vec<String>,
    /// In the order in which they were made; null where a run is not valid.
    runs: Vec<Option<f64>>,
}

#[derive(Serialize, JsonSchema)]
struct Assertion<'a> {
    #[schemars(extend("enum" = ["a", "b"]))]
    server: &'static str,
    /// As the user wrote it.
    assertion: &'a str,
    /// Valid runs of the server.
    runs: usize,
    /// Of those, the ones that showed it.
    met_in: usize,
    /// What the middle one of them measured, the smaller of two.
    #[schemars(with = "Option<f64>")]
    median: Measured,
    /// Whether every run showed it.
    met: bool,
}

#[derive(Serialize, JsonSchema)]
struct Commands<'a> {
    a: String,
    b: String,
    server_cpus: &'a [usize],
    start_timeout_ns: u64,
    stop_timeout_ns: u64,
}

#[derive(Serialize, JsonSchema)]
struct Config<'a> {
    blocks: usize,
    confidence: f64,
    resamples: usize,
    #[serde(flatten)]
    run: run_json::Config<'a>,
}

impl<'a> From<&'a Findings> for Document<'a> {
    fn from(findings: &'a Findings) -> Self {
        let comparison = &findings.comparison;
        Self {
            schema: SCHEMA,
            verdict: findings.judgement.name(),
            reasons: reasons(findings),
            valid: findings.is_valid(),
            metric: Metric {
                name: comparison.metric.name(),
                unit: comparison.metric.unit(),
                better: comparison.metric.better().name(),
            },
            min_effect: comparison.min_effect,
            ratio: findings.ratio.map(Estimate::from),
            control: findings.control.map(Estimate::from),
            blocks: findings.blocks.iter().map(Block::from).collect(),
            assertions: findings.claims.iter().map(Assertion::from).collect(),
            gates: findings
                .gates
                .iter()
                .map(|finding| Gate { gate: &finding.gate, met: finding.is_met })
                .collect(),
            notes: &findings.notes,
            interrupted: findings.was_interrupted,
            commands: Commands::from(comparison),
            config: Config {
                blocks: comparison.blocks,
                confidence: CONFIDENCE,
                resamples: RESAMPLES,
                run: run_json::Config::from(&comparison.config)
                    .with_server_on(&comparison.server_cpus),
            },
            host: run_json::Machine::from(&findings.host),
        }
    }
}

fn reasons(findings: &Findings) -> Vec<&str> {
    let doubts = match &findings.judgement {
        Judgement::Better(_) => [].iter(),
        Judgement::Inconclusive(doubts) if findings.is_valid() => doubts.iter(),
        Judgement::Inconclusive(_) => findings.invalid.iter(),
    };
    doubts.map(String::as_str).collect()
}

impl From<statistics::Estimate> for Estimate {
    fn from(statistics::Estimate { median, interval }: statistics::Estimate) -> Self {
        let (low, high) = (interval.map(|ends| ends.low), interval.map(|ends| ends.high));
        Self { median, low, high }
    }
}

impl From<&block::Block> for Block {
    fn from(block: &block::Block) -> Self {
        Self {
            order: block.order.to_string(),
            a: block.mean(Side::A),
            b: block.mean(Side::B),
            ratio: block.ratio(),
            control: block.control(),
            valid: block.is_valid(),
            reasons: block.reasons().collect(),
            runs: block.runs.iter().map(|run| run.metric.as_ref().ok().copied()).collect(),
        }
    }
}

impl<'a> From<&'a Claim> for Assertion<'a> {
    fn from(claim: &'a Claim) -> Self {
        Self {
            server: claim.side.name(),
            assertion: &claim.assertion,
            runs: claim.runs,
            met_in: claim.met_in,
            median: claim.median,
            met: claim.is_met(),
        }
    }
}

impl<'a> From<&'a Comparison> for Commands<'a> {
    fn from(comparison: &'a Comparison) -> Self {
        Self {
            a: comparison.a.to_string(),
            b: comparison.b.to_string(),
            server_cpus: &comparison.server_cpus,
            start_timeout_ns: nanos(comparison.start_timeout),
            stop_timeout_ns: nanos(comparison.stop_timeout),
        }
    }
}
