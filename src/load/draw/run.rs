//! Pictures of a run, and of several.

use hdrhistogram::Histogram;

use super::History;
use super::figure::{Figure, Panel};
use super::label;
use super::percentiles::{PercentileCurve, PercentilePoint, PercentileSeries};
use super::timeline::{Timeline, TimelineRun};
use crate::load::format::count;
use crate::load::outcome::Outcome;
use crate::load::record::watch::Tag;
use crate::load::report::Report;
use crate::load::report::document::{Percentiles, Settings};
use crate::load::report::text::{host_facts, sizes};

/// The facts and the curves of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// The server's name for a title, if it is known.
    pub(super) target: Option<String>,
    /// Facts that a reader needs to trust it, each in a few words.
    pub(super) facts: Vec<String>,
    /// Why it should not be trusted.
    pub(super) warning: Option<String>,
    /// Latencies by what they count from, named so; the one that matters most first.
    pub(super) latencies: Vec<PercentileSeries>,
    /// Its seconds, if they are known.
    pub(super) timeline: Option<TimelineRun>,
}

impl Run {
    pub(super) fn add_history(&mut self, history: History) {
        let (timeline, per_point) = history.into_timeline();
        self.timeline = timeline;
        if let Some(per_point) = per_point {
            let per_point = label::latency(per_point.as_nanos() as f64);
            self.facts.push(format!("over time: the worst interval of every {per_point}"));
        }
    }
}

/// The picture of a run that has just ended, as SVG.
pub fn run_picture(report: &Report, history: History) -> String {
    let mut run = Run::from(report);
    run.add_history(history);
    of_run(run).svg()
}

impl From<&Report> for Run {
    fn from(report: &Report) -> Self {
        let latency = &report.latency_ns;
        let of_open_loop = latency.response.as_ref();
        let response =
            of_open_loop.map(|known| series(Tag::Response, known, &report.latency.response));
        let service = series(Tag::Service, &latency.service, &report.latency.service);
        let per_s = count(report.throughput.messages_per_s.round() as u64);
        let facts = [pace(&report.config), messages(&report.config), format!("{per_s}/s answered")];
        Self {
            target: Some(report.target.title().to_owned()),
            facts: facts.into_iter().chain(host_facts(&report.host.host)).collect(),
            warning: warning(
                report.verdict.valid,
                report.verdict.interrupted,
                &report.verdict.reasons,
            ),
            latencies: response.into_iter().chain([service]).collect(),
            timeline: None,
        }
    }
}

/// The whole distribution where it is there, or the percentiles that are known of it.
fn series(tag: Tag, known: &Percentiles, histogram: &Histogram<u64>) -> PercentileSeries {
    if !histogram.is_empty() {
        return PercentileSeries::of(explain(tag.name()), histogram);
    }
    let firm = known.quantiles().map(|(quantile, ns)| (quantile.share(), ns));
    let firm = [(0.0, known.min)].into_iter().chain(firm).filter_map(|(quantile, ns)| {
        Some(PercentilePoint { quantile, latency_ns: ns?, is_firm: true })
    });
    let slowest = known.max.filter(|_| known.count > 0).map(|latency_ns| PercentilePoint {
        quantile: 1.0 - 1.0 / known.count as f64,
        latency_ns,
        is_firm: false,
    });
    PercentileSeries { name: explain(tag.name()), points: firm.chain(slowest).collect() }
}

fn pace(config: &Settings) -> String {
    match config.rate_per_s {
        Some(rate) => format!("open loop at {}/s", count(rate)),
        None => format!("closed loop, {} in flight each", config.depth),
    }
}

pub(super) fn messages(config: &Settings) -> String {
    format!("{}, {}", sizes(config), config.protocol.name())
}

/// The verdict where it is not VALID, by whether the measurement is that and was interrupted.
pub(super) fn warning(is_valid: bool, interrupted: bool, reasons: &[String]) -> Option<String> {
    let outcome = if interrupted { Outcome::Incomplete } else { Outcome::ServerAtFault };
    (!is_valid).then(|| format!("{}: {}", outcome.verdict(), reasons.join("; ")))
}

/// The picture of runs, each with its name; several are drawn over each other.
pub(super) fn of_runs(mut runs: Vec<(String, Run)>) -> Figure {
    if runs.len() == 1 {
        let (name, run) = runs.remove(0);
        return of_run(Run { target: run.target.or(Some(name)), ..run });
    }
    let facts = shared_facts(runs.iter().map(|(_, run)| run.facts.as_slice()));
    let warnings = runs
        .iter()
        .filter_map(|(name, run)| run.warning.as_ref().map(|warning| format!("{name}: {warning}")));
    let warnings = warnings.collect();
    let title = format!("Latency of {} runs", runs.len());
    Figure { title, facts, warnings, panels: overlaid(runs) }
}

/// The moments that a latency lies between, by its tag; an unknown tag stands for itself.
pub(super) fn explain(tag: &str) -> String {
    if tag == Tag::Response.name() {
        format!("{tag}, from the intended send to the reply")
    } else if tag == Tag::Service.name() {
        format!("{tag}, from the send to the reply")
    } else {
        tag.to_owned()
    }
}

fn of_run(run: Run) -> Figure {
    let target = run.target.as_deref().unwrap_or("a run");
    let mut panels = vec![Panel::Percentiles(PercentileCurve { series: run.latencies })];
    panels.extend(run.timeline.map(|run| Panel::Timeline(Timeline { runs: vec![run] })));
    Figure {
        title: format!("Latency of {target}"),
        facts: run.facts,
        warnings: run.warning.into_iter().collect(),
        panels,
    }
}

/// Of each run the latency that matters most.
fn overlaid(runs: Vec<(String, Run)>) -> Vec<Panel> {
    let kind = |run: &Run| run.latencies.first().map(|series| series.name.clone());
    let are_alike = runs.windows(2).all(|pair| kind(&pair[0].1) == kind(&pair[1].1));
    let (mut curve, mut timeline) = (PercentileCurve::default(), Timeline::default());
    for (name, run) in runs {
        if let Some(series) = run.latencies.into_iter().next() {
            let name = if are_alike { name.clone() } else { format!("{name}, {}", series.name) };
            curve.series.push(PercentileSeries { name, ..series });
        }
        timeline.runs.extend(run.timeline.map(|timeline| TimelineRun { name, ..timeline }));
    }
    let mut panels = vec![Panel::Percentiles(curve)];
    if !timeline.runs.is_empty() {
        panels.push(Panel::Timeline(timeline));
    }
    panels
}

/// The facts of the first that hold for all.
pub(super) fn shared_facts<'a>(mut all: impl Iterator<Item = &'a [String]>) -> Vec<String> {
    let mut facts = all.next().unwrap_or_default().to_vec();
    all.for_each(|others| facts.retain(|fact| others.contains(fact)));
    facts
}
