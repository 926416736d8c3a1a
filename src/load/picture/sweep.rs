//! What a saved sweep tells a picture, and a saved search for the highest rate.

use serde::Deserialize;
use serde_json::Value;

use super::super::chart::{Figure, LoadCurve, LoadPoint, LoadSweep, Mark, Panel};
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

/// Reads a sweep, or a search.
pub(super) fn read(document: Value) -> Result<Saved, ReadError> {
    let mut saving = Saving::deserialize(document)?;
    // A search goes up and down, and tries some rates again: the last time counts.
    saving.rates.reverse();
    saving.rates.sort_by_key(|rate| rate.rate_per_s);
    saving.rates.dedup_by_key(|rate| rate.rate_per_s);
    let curve = LoadSweep {
        name: String::new(),
        points: saving.rates.iter().map(Rate::point).collect(),
        mark: saving.mark(),
    };
    let target = saving.target.map(Target::name).into_iter();
    Ok(Saved::Sweep(Sweep {
        facts: target.chain([saving.config.messages()]).chain(saving.host.facts()).collect(),
        warning: saving.verdict.warning(),
        curve,
    }))
}

/// The picture of sweeps, each with its name.
pub(super) fn of_sweeps(sweeps: Vec<(String, Sweep)>) -> Figure {
    let title = match sweeps.as_slice() {
        [(name, sweep)] => match sweep.curve.mark {
            Some(Mark { point, name: what }) => {
                let per_s = sweep.curve.points[point].achieved_per_s;
                format!("{name}: {what} at {}/s", format::count(per_s.round() as u64))
            }
            None => format!("{name}: latency against throughput"),
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
    #[serde(alias = "probes")]
    rates: Vec<Rate>,
    knee: Option<Knee>,
    bracket: Option<Bracket>,
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

#[derive(Deserialize)]
struct Bracket {
    highest_passed_per_s: Option<u64>,
}

impl Saving {
    fn mark(&self) -> Option<Mark> {
        let (rate, name) = match (&self.knee, &self.bracket) {
            (Some(knee), _) => (knee.rate_per_s, "knee"),
            (None, Some(bracket)) => (bracket.highest_passed_per_s?, "highest rate that passed"),
            (None, None) => return None,
        };
        let point = self.rates.iter().position(|point| point.rate_per_s == rate)?;
        Some(Mark { point, name })
    }
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
