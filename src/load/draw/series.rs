//! The facts and the curve of probes at several rates: a sweep, or a search for the highest rate.

use super::load_curve::{LoadCurve, LoadPoint};
use super::run::messages;
use super::saved::{Curves, Saved, warning};
use super::together::picture_of;
use crate::load::record::host::Host;
use crate::load::report::document::{Settings, Target};
use crate::load::report::probes::{Probe, SeriesVerdict};
use crate::load::report::search::SearchReport;
use crate::load::report::sweep::SweepReport;
use crate::load::report::words::host_facts;

/// The picture of a sweep, as SVG.
pub fn sweep_picture(sweep: &SweepReport) -> String {
    picture_of(title(sweep.target.as_ref()), Saved::from(sweep))
}

/// The picture of a search, as SVG.
pub fn search_picture(search: &SearchReport) -> String {
    picture_of(title(search.target.as_ref()), Saved::from(search))
}

fn title(target: Option<&Target>) -> &str {
    target.map_or("a server", Target::title)
}

impl From<&SweepReport> for Saved {
    fn from(report: &SweepReport) -> Self {
        let SweepReport { target, config, host, verdict, knee, rates, .. } = report;
        let marked = knee.as_ref().map(|knee| (knee.rate_per_s, "knee"));
        let probes: Vec<&Probe> = rates.iter().collect();
        let curve = curve(&probes, marked);
        of_probes("a sweep", target.as_ref(), (config, host), verdict, curve)
    }
}

impl From<&SearchReport> for Saved {
    /// A search goes up and down, and tries some rates again: the last time counts.
    fn from(report: &SearchReport) -> Self {
        let SearchReport { target, config, host, verdict, bracket, probes, .. } = report;
        let marked = bracket.highest_passed_per_s.map(|rate| (rate, "highest rate that passed"));
        let mut probes: Vec<&Probe> = probes.iter().map(|probe| &probe.probe).rev().collect();
        probes.sort_by_key(|probe| probe.rate_per_s);
        probes.dedup_by_key(|probe| probe.rate_per_s);
        let curve = curve(&probes, marked);
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
    let target = target.map(|target| target.title().to_owned());
    let facts = target.iter().cloned().chain([messages(config)]).chain(host_facts(host));
    Saved {
        kind,
        facts: facts.collect(),
        target,
        warning: warning(verdict.outcome(false), &verdict.reasons),
        curves: Curves::Rates(curve),
    }
}

/// Of probes that are ascending by rate, one of which may be marked by a name.
fn curve(probes: &[&Probe], marked: Option<(u64, &'static str)>) -> LoadCurve {
    let marked = marked.and_then(|(rate, name)| {
        Some((probes.iter().position(|probe| probe.rate_per_s == rate)?, name))
    });
    let points = probes.iter().map(|probe| point(probe)).collect();
    LoadCurve { name: String::new(), points, marked }
}

/// Where nothing was received there is no latency to draw.
fn point(probe: &Probe) -> LoadPoint {
    let latency = probe.run.as_ref().map(|run| run.latency_ns.main());
    LoadPoint {
        achieved_per_s: probe.run.as_ref().map_or(0.0, |run| run.throughput.messages_per_s),
        p50_ns: latency.and_then(|latency| latency.p50),
        p99_ns: latency.and_then(|latency| latency.p99),
        is_valid: probe.valid,
    }
}
