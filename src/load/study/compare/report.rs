//! The report of a comparison: what was compared, each block, the ratio, and what it says.

use std::fmt::{self, Write};

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use super::asserted::Asserted;
use super::block::{Block, Side};
use super::gate::{Gate, GateResult};
use super::judgement::Judgement;
use super::metric::{Better, Metric};
use super::statistics::{CONFIDENCE, Estimate, RESAMPLES};
use super::{Comparison, series::Series};
use crate::cpus::format_list;
use crate::load::clock::nanos;
use crate::load::draw::{Compared, comparison_picture};
use crate::load::format::{counted, percent};
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::record::server_view::shared_cpus;
use crate::load::report::document::Settings;
use crate::load::report::text::{load, measured, on_cpus, write_generator, write_host};

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

/// Lines of at most 100 columns, except where a name or a reason is longer.
impl fmt::Display for CompareReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_setting(out)?;
        self.write_blocks(out)?;
        self.write_estimates(out)?;
        self.write_assertions(out)?;
        self.write_gates(out)?;
        self.write_judgement(out)
    }
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
            notes: notes(&series, ratios.len(), &settings),
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

    fn write_setting(&self, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "ringback-load compare: {}", load(&self.config.run))?;
        writeln!(out, "  a          {}", self.commands.a)?;
        writeln!(out, "  b          {}", self.commands.b)?;
        let (metric, better) = (self.metric.description(), self.metric.better().name());
        writeln!(out, "  metric     {metric}, {better} is better")?;
        writeln!(
            out,
            "  servers    one at a time{}, started for each run and stopped after it",
            on_cpus(&self.commands.server_cpus),
        )?;
        write_generator(out, &self.config.run, " a run")?;
        write_host(out, &self.host, "")?;
        self.notes.iter().try_for_each(|note| writeln!(out, "  note       {note}"))
    }

    fn write_blocks(&self, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "\nBlock  order {:>14} {:>14} {:>8} {:>8}", "a", "b", "b/a", "control")?;
        for (block, number) in self.blocks.iter().zip(1..) {
            let mean = |mean: Option<f64>| {
                mean.map_or_else(|| "-".to_owned(), |value| self.metric.format(value))
            };
            let (a, b) = (mean(block.a), mean(block.b));
            write!(out, "{number:>5}  {:<5} {a:>14} {b:>14}", block.order)?;
            match (block.ratio, block.control) {
                (Some(found), Some(control)) => {
                    writeln!(out, " {:>8} {:>8}", ratio(found), ratio(control))?;
                }
                _ => {
                    writeln!(out, "  not valid")?;
                    block.reasons.iter().try_for_each(|why| writeln!(out, "         {why}"))?;
                }
            }
        }
        Ok(())
    }

    fn write_estimates(&self, out: &mut impl Write) -> fmt::Result {
        let (Some(found), Some(control)) = (&self.ratio, &self.control) else { return Ok(()) };
        let valid = self.blocks.iter().filter(|block| block.valid).count();
        writeln!(
            out,
            "\nRatio b/a    {}  median of {}, {} interval (over blocks)",
            interval(found),
            counted(valid as u64, "block"),
            percent(CONFIDENCE),
        )?;
        writeln!(out, "Control      {}  the same of each server against itself", interval(control))
    }

    fn write_assertions(&self, out: &mut impl Write) -> fmt::Result {
        let widths = self.assertions.iter().map(|asserted| asserted.assertion.chars().count());
        let width = widths.max().unwrap_or_default();
        for (place, asserted) in self.assertions.iter().enumerate() {
            writeln!(
                out,
                "{:<12} {}: {:<width$}  {:<6}  in {} of {} runs, median {}",
                if place == 0 { "Assertions" } else { "" },
                asserted.server.name(),
                asserted.assertion,
                if asserted.met { "met" } else { "MISSED" },
                asserted.met_in,
                asserted.runs,
                measured(asserted.median),
            )?;
        }
        Ok(())
    }

    fn write_gates(&self, out: &mut impl Write) -> fmt::Result {
        for (place, GateResult { gate, met }) in self.gates.iter().enumerate() {
            let title = if place == 0 { "Fail if" } else { "" };
            let answer = match met {
                Some(true) => "MET",
                Some(false) => "not met",
                None => "cannot be said",
            };
            writeln!(out, "{title:<12} {gate}  {answer}")?;
        }
        Ok(())
    }

    fn write_judgement(&self, out: &mut impl Write) -> fmt::Result {
        let better = [Side::A, Side::B].into_iter().find(|side| side.name() == self.verdict);
        if let (Some(side), Some(ratio)) = (better, &self.ratio) {
            return writeln!(
                out,
                "\nVerdict      {} is better: its {} is {}",
                side.name(),
                self.metric.description(),
                self.advantage(side, ratio),
            );
        }
        let verdict = if self.valid { "inconclusive" } else { self.outcome().verdict() };
        writeln!(out, "\nVerdict      {verdict}")?;
        self.reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))
    }

    /// How much more or less of the metric the better server has, as shares of what the other has.
    fn advantage(&self, better: Side, ratio: &Estimate) -> String {
        let ratio = if better == Side::A { ratio.reciprocal() } else { *ratio };
        let (low, high) = ratio.interval().expect("who is better is found by an interval");
        let (direction, [median, least, most]) = match self.metric.better() {
            Better::More => ("higher", [ratio.median - 1.0, low - 1.0, high - 1.0]),
            Better::Less => ("lower", [1.0 - ratio.median, 1.0 - high, 1.0 - low]),
        };
        let [median, least, most] = [median, least, most].map(percent);
        format!("{median} {direction} (between {least} and {most})")
    }
}

fn notes(series: &Series, valid: usize, settings: &Settings) -> Vec<String> {
    /// With fewer, even ratios that all lie on one side do so by chance in more than 5 % of cases.
    const BLOCKS_FOR_CONFIDENCE: usize = 6;
    let (made, invalid) = (series.blocks.len(), series.invalid_blocks());
    let left_out = (invalid > 0)
        .then(|| format!("blocks that are not valid and left out: {invalid} of {made}"));
    let few = (1..BLOCKS_FOR_CONFIDENCE).contains(&valid).then(|| {
        format!(
            "{} can say little of chance: use --blocks {BLOCKS_FOR_CONFIDENCE} or more",
            counted(valid as u64, "block"),
        )
    });
    let shared = shared_cpus(settings.server_cpus.as_deref().unwrap_or_default(), &settings.cpus);
    let shared = (!shared.is_empty()).then(|| {
        let shared = format_list(&shared);
        format!("the servers and the generator share CPU {shared}: each waits for the other")
    });
    [left_out, few, shared].into_iter().flatten().collect()
}

fn interval(estimate: &Estimate) -> String {
    let interval = estimate
        .interval()
        .map_or("no interval".to_owned(), |(low, high)| format!("{}, {}", ratio(low), ratio(high)));
    format!("{} [{interval}]", ratio(estimate.median))
}

/// Four digits after the point near 1, where they tell something, and four in all elsewhere.
fn ratio(ratio: f64) -> String {
    let digits_before_point = ratio.abs().max(1.0).log10().floor() as usize;
    format!("{ratio:.0$}", 4_usize.saturating_sub(digits_before_point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_keep_their_digits() {
        for (value, text) in [(1.0, "1.0000"), (0.987_65, "0.9877"), (12.345, "12.345")] {
            assert_eq!(ratio(value), text);
        }
        assert_eq!(ratio(123_456.7), "123457");
    }
}
