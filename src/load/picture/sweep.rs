//! What a saved sweep tells a picture.

use serde::Deserialize;
use serde_json::Value;

use super::super::chart::{Figure, LoadCurve, LoadPoint, LoadSweep, Panel};
use super::super::report::format;
use super::json::{Config, Document, Host, Target, Verdict};
use super::run::shared;
use super::{ReadError, Saved};

/// What a picture shows of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    facts: Vec<String>,
    warning: Option<String>,
    /// Without a name.
    curve: LoadSweep,
}

/// Reads a sweep.
pub(super) fn read(document: Value) -> Result<Saved, ReadError> {
    let Saving { target, config, host, rates, knee, verdict } = Saving::deserialize(document)?;
    let knee =
        knee.and_then(|knee| rates.iter().position(|rate| rate.rate_per_s == knee.rate_per_s));
    let points: Vec<LoadPoint> = rates.iter().map(Rate::point).collect();
    let facts = target.map(Target::name).into_iter();
    Ok(Saved::Sweep(Sweep {
        facts: facts.chain([config.messages(), host.describe()]).collect(),
        warning: verdict.warning(),
        curve: LoadSweep { name: String::new(), points, knee },
    }))
}

/// The picture of sweeps, each with its name.
pub(super) fn of_sweeps(sweeps: Vec<(String, Sweep)>) -> Figure {
    let title = match sweeps.as_slice() {
        [(name, sweep)] => match sweep.curve.knee.map(|knee| sweep.curve.points[knee]) {
            Some(knee) => {
                let rate = format::count(knee.achieved_per_s.round() as u64);
                format!("{name}: knee at {rate}/s")
            }
            None => format!("{name}: no knee"),
        },
        several => format!("Latency against throughput of {} sweeps", several.len()),
    };
    let warnings = sweeps.iter().filter_map(|(name, sweep)| {
        let warning = sweep.warning.as_ref()?;
        Some(if sweeps.len() == 1 { warning.clone() } else { format!("{name}: {warning}") })
    });
    Figure {
        title,
        facts: shared(sweeps.iter().map(|(_, sweep)| sweep.facts.as_slice())),
        warnings: warnings.collect(),
        panels: vec![Panel::Load(LoadCurve {
            sweeps: sweeps
                .into_iter()
                .map(|(name, sweep)| LoadSweep { name, ..sweep.curve })
                .collect(),
        })],
    }
}

/// The part of a sweep's report that a picture shows.
#[derive(Deserialize)]
struct Saving {
    target: Option<Target>,
    config: Config,
    host: Host,
    rates: Vec<Rate>,
    knee: Option<Knee>,
    verdict: Verdict,
}

#[derive(Deserialize)]
struct Rate {
    rate_per_s: u64,
    valid: bool,
    run: Option<Document>,
}

#[derive(Deserialize)]
struct Knee {
    rate_per_s: u64,
}

impl Rate {
    /// Where nothing was received there is no latency to draw.
    fn point(&self) -> LoadPoint {
        let latency = self.run.as_ref().map(Document::main_latency);
        LoadPoint {
            achieved_per_s: self.run.as_ref().map_or(0.0, Document::messages_per_s),
            p50_ns: latency.and_then(|latency| latency.p50),
            p99_ns: latency.and_then(|latency| latency.p99),
            is_valid: self.valid,
        }
    }
}
