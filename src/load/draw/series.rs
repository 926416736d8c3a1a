//! Pictures of probes at several rates: a sweep, or a search for the highest rate.

use super::figure::{Figure, Panel};
use super::load_curve::{LoadCurve, LoadPoint, LoadSweep, Mark};
use super::run::{messages, shared_facts, warning};
use crate::load::format::count;
use crate::load::record::host::Host;
use crate::load::report::document::{Settings, Target};
use crate::load::report::probes::{Probe, SeriesVerdict};
use crate::load::report::search::SearchReport;
use crate::load::report::sweep::SweepReport;
use crate::load::report::text::host_facts;

/// The facts and the curve of a series of probes.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The server's name, where it ever answered.
    target: Option<String>,
    facts: Vec<String>,
    warning: Option<String>,
    /// Without a name.
    curve: LoadSweep,
}

/// The picture of a sweep, as SVG.
pub fn sweep_picture(sweep: &SweepReport) -> String {
    Series::from(sweep).picture()
}

/// The picture of a search, as SVG.
pub fn search_picture(search: &SearchReport) -> String {
    Series::from(search).picture()
}

impl From<&SweepReport> for Series {
    fn from(report: &SweepReport) -> Self {
        let mark = report.knee.as_ref().map(|knee| (knee.rate_per_s, "knee"));
        let probes: Vec<&Probe> = report.rates.iter().collect();
        let SweepReport { target, config, host, verdict, .. } = report;
        Self::new(target.as_ref(), config, host, verdict, (&probes, mark))
    }
}

impl From<&SearchReport> for Series {
    /// A search goes up and down, and tries some rates again: the last time counts.
    fn from(report: &SearchReport) -> Self {
        let best = report.bracket.highest_passed_per_s;
        let mut probes: Vec<&Probe> = report.probes.iter().map(|probe| &probe.probe).collect();
        probes.reverse();
        probes.sort_by_key(|probe| probe.rate_per_s);
        probes.dedup_by_key(|probe| probe.rate_per_s);
        let mark = best.map(|rate| (rate, "highest rate that passed"));
        let SearchReport { target, config, host, verdict, .. } = report;
        Self::new(target.as_ref(), &config.run, host, verdict, (&probes, mark))
    }
}

impl Series {
    /// Of probes that are ascending by rate, one of which may be marked by a name.
    fn new(
        target: Option<&Target>,
        config: &Settings,
        host: &Host,
        verdict: &SeriesVerdict,
        (probes, marked): (&[&Probe], Option<(u64, &'static str)>),
    ) -> Self {
        let mark = marked.and_then(|(rate, name)| {
            let point = probes.iter().position(|probe| probe.rate_per_s == rate)?;
            Some(Mark { point, name })
        });
        let points = probes.iter().map(|probe| point(probe)).collect();
        let target = target.map(|target| target.title().to_owned());
        Self {
            facts: target
                .iter()
                .cloned()
                .chain([messages(config)])
                .chain(host_facts(host))
                .collect(),
            target,
            warning: warning(verdict.valid, verdict.interrupted, &verdict.reasons),
            curve: LoadSweep { name: String::new(), points, mark },
        }
    }

    fn picture(self) -> String {
        let name = self.target.clone().unwrap_or_else(|| "a server".to_owned());
        of_series(vec![(name, self)]).svg()
    }
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

/// The picture of series, each with its name.
pub(super) fn of_series(all: Vec<(String, Series)>) -> Figure {
    let title = match all.as_slice() {
        [(name, series)] => match series.curve.mark {
            Some(Mark { point, name: what }) => {
                let per_s = series.curve.points[point].achieved_per_s;
                format!("{name}: {what} at {}/s", count(per_s.round() as u64))
            }
            None => format!("{name}: latency against throughput"),
        },
        several => format!("Latency against throughput of {} sweeps", several.len()),
    };
    let warnings = all.iter().filter_map(|(name, series)| {
        let warning = series.warning.as_ref()?;
        Some(if all.len() == 1 { warning.clone() } else { format!("{name}: {warning}") })
    });
    let warnings = warnings.collect();
    let facts = shared_facts(all.iter().map(|(_, series)| series.facts.as_slice()));
    let sweeps = all.into_iter().map(|(name, series)| LoadSweep { name, ..series.curve });
    let panels = vec![Panel::Load(LoadCurve { sweeps: sweeps.collect() })];
    Figure { title, facts, warnings, panels }
}
