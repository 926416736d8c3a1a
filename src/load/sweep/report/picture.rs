//! The sweep as a picture: latency against throughput, the knee marked.

use super::super::Findings;
use crate::load::chart::{Figure, LoadCurve, LoadSweep, Mark, Panel};
use crate::load::probe::Probe;
use crate::load::report::format::count;
use crate::load::report::text as run_text;

/// The picture of a sweep.
pub fn figure(findings: &Findings) -> Figure {
    let config = &findings.sweep.config;
    let server = run_text::server(config);
    let title = match findings.knee {
        Some(knee) => format!("Knee of {server}: {}/s", count(findings.probes[knee].rate)),
        None => format!("No knee of {server}"),
    };
    Figure {
        title,
        facts: [run_text::load_at(config, "each rate")]
            .into_iter()
            .chain(run_text::host_facts(&findings.host))
            .collect(),
        warnings: findings.invalid_reasons(),
        panels: vec![Panel::Load(LoadCurve {
            sweeps: vec![LoadSweep {
                name: server.to_owned(),
                points: findings.probes.iter().map(Probe::point).collect(),
                mark: findings.knee.map(|point| Mark { point, name: "knee" }),
            }],
        })],
    }
}
