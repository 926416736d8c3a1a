//! The picture of a saved comparison.

use serde::Deserialize;
use serde_json::Value;

use super::super::chart::{BlockRatios, Figure, Panel, RatioSeries};
use super::super::compare;
use super::super::compare::report::capitalized;
use super::json::{Config, Host};
use super::{ReadError, Saved};

/// Reads a comparison.
pub(super) fn read(document: Value) -> Result<Saved, ReadError> {
    Ok(Saved::Comparison(Document::deserialize(document)?.into()))
}

/// The part of a comparison's report that a picture shows.
#[derive(Deserialize)]
struct Document {
    verdict: String,
    reasons: Vec<String>,
    valid: bool,
    metric: Metric,
    min_effect: f64,
    ratio: Option<Estimate>,
    control: Option<Estimate>,
    blocks: Vec<Block>,
    commands: Commands,
    config: Config,
    host: Host,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    better: String,
}

#[derive(Deserialize)]
struct Estimate {
    median: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct Block {
    ratio: Option<f64>,
    control: Option<f64>,
}

#[derive(Deserialize)]
struct Commands {
    a: String,
    b: String,
}

impl From<Document> for Figure {
    fn from(document: Document) -> Self {
        let metric = &document.metric;
        let title = match document.verdict.as_str() {
            "inconclusive" => format!("{}: inconclusive", metric.description()),
            better => format!("{}: {better} is better", metric.description()),
        };
        let facts = [
            format!("a: {}", document.commands.a),
            format!("b: {}", document.commands.b),
            document.config.load(),
            document.config.messages(),
        ];
        let invalid = document.reasons.iter().filter(|_| !document.valid);
        Self {
            title,
            facts: facts.into_iter().chain(document.host.facts()).collect(),
            warnings: invalid.map(|reason| format!("INVALID: {reason}")).collect(),
            panels: document.ratios().map(Panel::Ratios).into_iter().collect(),
        }
    }
}

impl Metric {
    /// What it is, for a heading; its name if it is one of a later version.
    fn description(&self) -> String {
        let metric = compare::Metric::ALL.iter().find(|metric| metric.name() == self.name);
        metric.map_or_else(|| self.name.clone(), |metric| capitalized(metric.description()))
    }
}

impl Document {
    fn ratios(&self) -> Option<BlockRatios> {
        let direction = if self.metric.better == "more" { "above" } else { "below" };
        let blocks = &self.blocks;
        let comparison = self.ratio.as_ref()?;
        let control = self.control.as_ref();
        Some(BlockRatios {
            heading: format!("{}, b / a", self.metric.description()),
            comparison: comparison.series("b / a", blocks.iter().map(|block| block.ratio)),
            control: control
                .map(|control| control.series("control", blocks.iter().map(|block| block.control))),
            min_effect: self.min_effect,
            reading: format!("{direction} 1: b is better"),
        })
    }
}

impl Estimate {
    /// Blocks that are not valid have their place, and no ratio.
    fn series(&self, name: &str, ratios: impl Iterator<Item = Option<f64>>) -> RatioSeries {
        RatioSeries {
            name: name.to_owned(),
            ratios: ratios.map(|ratio| ratio.unwrap_or(f64::NAN)).collect(),
            median: self.median,
            low: self.low,
            high: self.high,
        }
    }
}
