//! The search as a picture: latency against throughput, the highest rate that passed marked.

use std::collections::BTreeMap;

use super::super::Findings;
use crate::load::chart::{Figure, LoadCurve, LoadSweep, Mark, Panel};
use crate::load::probe::Probe;
use crate::load::report::format::count;
use crate::load::report::text as run_text;

/// The picture of a search.
pub fn figure(findings: &Findings) -> Figure {
    let config = &findings.quest.config;
    let claims: Vec<&str> = config.assertions.iter().map(|claim| claim.name.as_str()).collect();
    let claims = claims.join(" and ");
    let server = run_text::server(config);
    let title = match findings.highest_passed {
        Some(rate) => format!("{claims} of {server}: up to {}/s", count(rate)),
        None => format!("{claims} of {server}: at no rate"),
    };
    // Of several at a rate, the last.
    let probes: BTreeMap<u64, &Probe> =
        findings.trials.iter().map(|trial| (trial.probe.rate, &trial.probe)).collect();
    let best =
        findings.highest_passed.and_then(|best| probes.keys().position(|rate| *rate == best));
    Figure {
        title,
        facts: [run_text::load_at(config, "each rate")]
            .into_iter()
            .chain(run_text::host_facts(&findings.host))
            .collect(),
        warnings: [findings.invalid_reasons(), findings.warnings()].concat(),
        panels: vec![Panel::Load(LoadCurve {
            sweeps: vec![LoadSweep {
                name: server.to_owned(),
                points: probes.into_values().map(Probe::point).collect(),
                mark: best.map(|point| Mark { point, name: "highest rate that passed" }),
            }],
        })],
    }
}
