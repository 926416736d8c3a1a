//! The facts and the curve of probes at several rates: a sweep, or a search for the highest rate.

use super::load_curve::{Aim, Bound, LoadCurve, LoadPoint, PointResult};
use super::run::messages;
use super::saved::{Curves, Saved, warning};
use super::together::picture_of;
use crate::load::config::assertion::{Assertion, Metric};
use crate::load::config::quantile::Quantile;
use crate::load::format::nanos;
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::report::document::{Report, Settings, Target};
use crate::load::report::probes::{Probe, SeriesVerdict};
use crate::load::report::search::{SearchProbe, SearchReport};
use crate::load::report::sweep::{KNEE_FACTOR, SweepReport};
use crate::load::report::words::{host, started};

/// The picture of a sweep, as SVG.
pub fn sweep_picture(sweep: &SweepReport) -> String {
    of_target(sweep.target.as_ref(), Saved::from(sweep))
}

/// The picture of a search, as SVG.
pub fn search_picture(search: &SearchReport) -> String {
    of_target(search.target.as_ref(), Saved::from(search))
}

/// A picture that is called after the server, which is no fact beside its title then.
fn of_target(target: Option<&Target>, saved: Saved) -> String {
    let name = match target {
        None => "A server",
        Some(target) if target.embedded => "The embedded server",
        Some(target) => target.title(),
    };
    picture_of(name, Saved { target: None, ..saved })
}

impl From<&SweepReport> for Saved {
    fn from(report: &SweepReport) -> Self {
        const DRAWN: [Metric; 2] = [Metric::Latency(Quantile::P99), Metric::Latency(Quantile::P50)];
        /// The place of the median, by which the knee goes.
        const MEDIAN: usize = 1;
        let SweepReport { target, config, host, verdict, knee, rates, .. } = report;
        let rate_per_s = knee.as_ref().map(|knee| knee.rate_per_s);
        let place = rates.iter().position(|probe| Some(probe.rate_per_s) == rate_per_s);
        let curve = LoadCurve {
            name: String::new(),
            percentiles: DRAWN.iter().filter_map(name).collect(),
            points: rates.iter().map(|probe| point(probe, swept(probe), &DRAWN)).collect(),
            aim: place.map(|point| Aim {
                point,
                words: "knee at",
                rate_per_s: rates[point].rate_per_s,
                percentile: MEDIAN,
            }),
            bounds: report.knee_bound_ns().map(bound_of_knee).into_iter().collect(),
        };
        of_probes("a sweep", target.as_ref(), (config, host), verdict, curve)
    }
}

impl From<&SearchReport> for Saved {
    /// A search goes up and down, and tries some rates again: the last time counts.
    fn from(report: &SearchReport) -> Self {
        let SearchReport { target, config, host, verdict, bracket, probes, .. } = report;
        let asserted: Vec<Assertion> =
            report.assertions.iter().filter_map(|text| text.parse().ok()).collect();
        let drawn = drawn(&asserted);
        let mut probes: Vec<&SearchProbe> = probes.iter().rev().collect();
        probes.sort_by_key(|probe| probe.probe.rate_per_s);
        probes.dedup_by_key(|probe| probe.probe.rate_per_s);
        let best = bracket.highest_passed_per_s;
        let place = probes.iter().position(|probe| Some(probe.probe.rate_per_s) == best);
        let points = probes.iter().map(|probe| point(&probe.probe, searched(probe), &drawn));
        let curve = LoadCurve {
            name: String::new(),
            percentiles: drawn.iter().filter_map(name).collect(),
            points: points.collect(),
            aim: place.map(|point| Aim {
                point,
                words: "holds",
                rate_per_s: probes[point].probe.rate_per_s,
                percentile: 0,
            }),
            bounds: asserted
                .iter()
                .filter(|each| name(&each.metric).is_some())
                .map(bound)
                .collect(),
        };
        of_probes("a search", target.as_ref(), (&config.run, host), verdict, curve)
    }
}

fn of_probes(
    kind: &'static str,
    target: Option<&Target>,
    (config, host): (&Settings, &Host),
    verdict: &SeriesVerdict,
    curve: LoadCurve,
) -> Saved {
    Saved {
        kind,
        facts: vec![messages(config), self::host(host)],
        date: started(host),
        target: target.map(|target| target.title().to_owned()),
        warning: warning(verdict.outcome(false), &verdict.reasons),
        curves: Curves::Rates(curve),
    }
}

/// The percentiles that are asserted, and the median; of an assertion on that alone the p99 as
/// well.
fn drawn(asserted: &[Assertion]) -> Vec<Metric> {
    const P99: Metric = Metric::Latency(Quantile::P99);
    const P50: Metric = Metric::Latency(Quantile::P50);
    let asserted = asserted.iter().map(|assertion| assertion.metric);
    let asserted: Vec<Metric> = asserted.filter(|metric| name(metric).is_some()).collect();
    let is_tail_asserted = asserted.iter().any(|metric| *metric != P50);
    let beside: &[Metric] = if is_tail_asserted { &[P50] } else { &[P99, P50] };
    let mut drawn: Vec<Metric> = Vec::new();
    for metric in asserted.iter().chain(beside) {
        if !drawn.contains(metric) {
            drawn.push(*metric);
        }
    }
    drawn
}

/// The name of a metric of latency.
fn name(metric: &Metric) -> Option<String> {
    match metric {
        Metric::Latency(quantile) => Some(quantile.name()),
        Metric::Mean => Some("mean".to_owned()),
        Metric::Min => Some("min".to_owned()),
        Metric::Max => Some("max".to_owned()),
        Metric::Throughput => None,
    }
}

fn bound(assertion: &Assertion) -> Bound {
    Bound { name: assertion.name.clone(), latency_ns: assertion.limit, is_asserted: true }
}

fn bound_of_knee(latency_ns: u64) -> Bound {
    let name = format!("{KNEE_FACTOR} × the lowest p50: {}", nanos(latency_ns));
    Bound { name, latency_ns, is_asserted: false }
}

fn swept(probe: &Probe) -> PointResult {
    match probe.outcome() {
        Outcome::Missed | Outcome::ServerAtFault => PointResult::Failed,
        outcome if outcome.is_valid() => PointResult::Passed,
        _ => PointResult::NotValid,
    }
}

fn searched(probe: &SearchProbe) -> PointResult {
    match probe.passed {
        true => PointResult::Passed,
        false if probe.tells_nothing() => PointResult::NotValid,
        false => PointResult::Failed,
    }
}

/// Where nothing was received there is no latency to draw.
fn point(probe: &Probe, result: PointResult, drawn: &[Metric]) -> LoadPoint {
    let run = probe.run.as_ref();
    let latency_ns = |metric: &Metric| run.and_then(|run| latency_ns(run, *metric));
    LoadPoint {
        achieved_per_s: run.map_or(0.0, |run| run.throughput.messages_per_s),
        latencies_ns: drawn.iter().map(latency_ns).collect(),
        result,
    }
}

/// A report that was read back knows some percentiles only.
fn latency_ns(run: &Report, metric: Metric) -> Option<u64> {
    let known = run.latency_ns.main();
    match metric {
        Metric::Latency(quantile) => {
            let same = known.quantiles().into_iter().find(|(shown, _)| *shown == quantile);
            same.map_or_else(|| quantile.of(run.main_latency()), |(_, ns)| ns)
        }
        Metric::Mean => known.mean.map(|mean| mean.round() as u64),
        Metric::Min => known.min,
        Metric::Max => known.max,
        Metric::Throughput => None,
    }
}
