//! The report of a comparison, made of its series.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use super::asserted::Asserted;
use super::block::{Block, Side};
use super::gate::{Gate, GateResult};
use super::judgement::Judgement;
use super::metric::Metric;
use super::statistics::{CONFIDENCE, Estimate, RESAMPLES};
use super::{Comparison, series::Series};
use crate::load::clock::nanos;
use crate::load::draw::{Compared, comparison_picture};
use crate::load::format::{counted, part};
use crate::load::judge::warnings::summarised;
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::report::document::Settings;

/// Names this form of the report; a change that breaks readers gets another.
const SCHEMA: &str = "ringback-compare/1";

/// Two servers compared by `ringback-load compare`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Comparison", title = "Report of ringback-load compare")]
pub struct CompareReport {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: &'static str,
    /// Which server is better.
    #[schemars(extend("enum" = ["a", "b", "inconclusive"]))]
    pub verdict: &'static str,
    /// Why it is inconclusive or not valid; empty if a server is better.
    pub reasons: Vec<String>,
    /// True if the comparison may be used at all.
    pub valid: bool,
    /// The metric that was compared.
    pub metric: Metric,
    /// A smaller difference is none: a share of one.
    pub min_effect: f64,
    /// B/A: the median over the blocks and its interval; null without a valid block.
    pub ratio: Option<Estimate>,
    /// Each server against itself.
    pub control: Option<Estimate>,
    /// All blocks that were started and not cut short by the user, in their order.
    pub blocks: Vec<Block>,
    /// The results of the assertions, of each server.
    pub assertions: Vec<Asserted>,
    /// The results of the gates (--fail-if).
    pub gates: Vec<GateResult>,
    /// Sentences that a reader of the numbers should know.
    pub notes: Vec<String>,
    /// True if the user ended it before its time.
    pub interrupted: bool,
    /// The commands of the servers.
    pub commands: Commands,
    /// How each server was measured.
    pub config: CompareSettings,
    /// On what.
    pub host: Host,
    /// True if it fails where it decides nothing.
    #[serde(skip)]
    must_conclude: bool,
    /// The latencies of both servers in all runs that are valid.
    #[serde(skip)]
    latencies: [Histogram<u64>; 2],
}

/// How servers are started and stopped.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Commands {
    pub a: String,
    pub b: String,
    pub server_cpus: Vec<usize>,
    pub start_timeout_ns: u64,
    pub stop_timeout_ns: u64,
}

/// How servers are measured and compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CompareConfig")]
pub struct CompareSettings {
    /// Blocks that were to be measured.
    pub blocks: usize,
    /// The share of resampled medians that an interval holds.
    pub confidence: f64,
    /// How often the blocks are resampled.
    pub resamples: usize,
    /// How each run is made.
    #[serde(flatten)]
    pub run: Settings,
}

impl CompareReport {
    pub(super) fn new(comparison: &Comparison, host: Host, series: Series) -> Self {
        let valid = |of: fn(&Block) -> Option<f64>| -> Vec<f64> {
            series.blocks.iter().filter_map(of).collect()
        };
        let seed = comparison.config.seed;
        let ratios = valid(|block| block.ratio);
        let ratio = Estimate::of(&ratios, seed);
        let control = Estimate::of(&valid(|block| block.control), seed);
        let invalid = series.invalidity(comparison.blocks);
        let judgement = match (&ratio, &control) {
            (Some(ratio), Some(control)) if invalid.is_empty() => Judgement::of(
                ratio,
                control,
                ratios.len(),
                comparison.metric.better(),
                comparison.min_effect,
            ),
            _ => Judgement::Inconclusive(invalid.clone()),
        };
        let settings = Settings {
            server_cpus: Some(comparison.server_cpus.clone()),
            ..Settings::from(&comparison.config)
        };
        let check = |gate: &Gate| gate.check(ratio.as_ref(), control.as_ref());
        Self {
            schema: SCHEMA,
            gates: comparison.gates.iter().map(check).collect(),
            must_conclude: comparison.must_conclude,
            verdict: judgement.name(),
            valid: invalid.is_empty(),
            reasons: match judgement {
                Judgement::Better(_) => Vec::new(),
                Judgement::Inconclusive(reasons) => reasons,
            },
            metric: comparison.metric,
            min_effect: comparison.min_effect,
            ratio,
            control,
            assertions: Asserted::all(comparison.config.assertions.len(), &series.results),
            notes: notes(&series, ratios.len()),
            blocks: series.blocks,
            latencies: series.latencies,
            interrupted: series.was_interrupted,
            commands: Commands {
                a: comparison.a.to_string(),
                b: comparison.b.to_string(),
                server_cpus: comparison.server_cpus.clone(),
                start_timeout_ns: nanos(comparison.start_timeout),
                stop_timeout_ns: nanos(comparison.stop_timeout),
            },
            config: CompareSettings {
                blocks: comparison.blocks,
                confidence: CONFIDENCE,
                resamples: RESAMPLES,
                run: settings,
            },
            host,
        }
    }

    /// The outcome: missed if a server missed an assertion in a valid run, or a gate is met.
    pub fn outcome(&self) -> Outcome {
        let is_gate_met = self.gates.iter().any(|gate| gate.met == Some(true));
        let is_missed = is_gate_met || self.assertions.iter().any(|asserted| !asserted.met);
        match (self.valid, is_missed) {
            _ if self.interrupted => Outcome::Incomplete,
            (false, _) => Outcome::ServerAtFault,
            (true, true) => Outcome::Missed,
            (true, false) if self.must_conclude && self.is_inconclusive() => Outcome::Inconclusive,
            (true, false) => Outcome::Passed,
        }
    }

    /// The latencies of both servers by percentile, as SVG.
    pub fn picture(&self) -> String {
        let Commands { a, b, .. } = &self.commands;
        let [of_a, of_b] = &self.latencies;
        let servers = [
            Compared { name: Side::A.name(), command: a, latency: of_a },
            Compared { name: Side::B.name(), command: b, latency: of_b },
        ];
        let reasons = self.reasons.as_slice();
        comparison_picture(&servers, (&self.config.run, &self.host), (self.outcome(), reasons))
    }

    fn is_inconclusive(&self) -> bool {
        match self.gates.as_slice() {
            [] => !self.reasons.is_empty(),
            gates => gates.iter().any(|gate| gate.met.is_none()),
        }
    }
}

fn notes(series: &Series, valid: usize) -> Vec<String> {
    /// With fewer, even ratios that all lie on one side do so by chance in more than 5 % of cases.
    const BLOCKS_FOR_CONFIDENCE: usize = 6;
    let (made, invalid) = (series.blocks.len() as u64, series.invalid_blocks() as u64);
    let left_out = (invalid > 0 && valid > 0)
        .then(|| format!("left out, since not valid: {}", part(invalid, made, "block")));
    let few = (1..BLOCKS_FOR_CONFIDENCE).contains(&valid).then(|| {
        format!(
            "{} can say little of chance: use --blocks {BLOCKS_FOR_CONFIDENCE} or more",
            counted(valid as u64, "block"),
        )
    });
    let of_runs: Vec<&[String]> = series.warnings.iter().map(Vec::as_slice).collect();
    [left_out, few].into_iter().flatten().chain(summarised(&of_runs)).collect()
}
