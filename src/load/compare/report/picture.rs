//! The comparison as a picture: the ratio in each block, with its interval, beside the control.

use super::super::Findings;
use super::super::block::Block;
use super::super::judgement::Judgement;
use super::super::metric::Better;
use super::super::statistics::Estimate;
use super::text::{Advantage, advantage};
use crate::load::chart::{BlockRatios, Figure, Panel, RatioSeries};
use crate::load::report::format::percent;
use crate::load::report::text as run_text;

/// The picture of a comparison.
pub fn figure(findings: &Findings) -> Figure {
    let comparison = &findings.comparison;
    Figure {
        title: title(findings),
        facts: [
            format!("a: {}", comparison.a),
            format!("b: {}", comparison.b),
            run_text::load(&comparison.config),
        ]
        .into_iter()
        .chain(run_text::host_facts(&findings.host))
        .collect(),
        warnings: findings.invalid.iter().map(|reason| format!("INVALID: {reason}")).collect(),
        panels: panel(findings).into_iter().collect(),
    }
}

fn title(findings: &Findings) -> String {
    match (&findings.judgement, &findings.ratio) {
        (Judgement::Better(side), Some(ratio)) => {
            let Advantage { direction, median, .. } = advantage(findings, *side, ratio);
            let metric = findings.comparison.metric.description();
            format!("{} is better: its {metric} is {} {direction}", side.name(), percent(median))
        }
        _ => format!("{}: inconclusive", capitalized(findings.comparison.metric.description())),
    }
}

fn panel(findings: &Findings) -> Option<Panel> {
    let metric = findings.comparison.metric;
    let reading = match metric.better() {
        Better::More => "above 1: b is better",
        Better::Less => "below 1: b is better",
    };
    Some(Panel::Ratios(BlockRatios {
        heading: format!("{}, b / a", capitalized(metric.description())),
        comparison: series(findings, "b / a", findings.ratio?, Block::ratio),
        control: Some(series(findings, "control", findings.control?, Block::control)),
        min_effect: findings.comparison.min_effect,
        reading: reading.to_owned(),
    }))
}

fn series(
    findings: &Findings,
    name: &str,
    estimate: Estimate,
    of: fn(&Block) -> Option<f64>,
) -> RatioSeries {
    RatioSeries {
        name: name.to_owned(),
        ratios: findings.blocks.iter().map(|block| of(block).unwrap_or(f64::NAN)).collect(),
        median: estimate.median,
        low: estimate.low,
        high: estimate.high,
    }
}

/// For a heading.
pub(in crate::load) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
