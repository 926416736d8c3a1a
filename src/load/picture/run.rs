//! What a picture shows of a run, and of several.

use super::super::chart::{
    Figure, Panel, PercentileCurve, PercentileSeries, Timeline, TimelineRun,
};
use super::super::report::Report;
use super::super::watch::Tag;
use super::{History, json};

/// What a picture shows of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// What was measured, for a title: the server's name, if it is known.
    pub target: Option<String>,
    /// What a reader must know to trust it, each in a few words.
    pub facts: Vec<String>,
    /// Why it should not be trusted.
    pub warning: Option<String>,
    /// Latencies by what they count from, named so; the one that matters most first.
    pub latencies: Vec<PercentileSeries>,
    /// What happened when, if that is known.
    pub timeline: Option<TimelineRun>,
}

impl Run {
    pub(super) fn add_history(&mut self, history: History) {
        let (timeline, seconds_per_point) = history.into_timeline("");
        self.timeline = timeline;
        if let Some(seconds) = seconds_per_point {
            self.facts.push(format!("over time: the worst second of every {seconds}"));
        }
    }
}

/// The picture of a run that has just ended.
pub fn of_report(report: &Report, history: History) -> Figure {
    let mut run = json::of_report(report);
    run.add_history(history);
    of_run(run)
}

/// The picture of runs, each with its name; several are drawn over each other.
pub(super) fn of_runs(mut runs: Vec<(String, Run)>) -> Figure {
    if runs.len() == 1 {
        let (name, run) = runs.remove(0);
        return of_run(Run { target: run.target.or(Some(name)), ..run });
    }
    let facts = shared(runs.iter().map(|(_, run)| run.facts.as_slice()));
    let warnings = runs
        .iter()
        .filter_map(|(name, run)| run.warning.as_ref().map(|warning| format!("{name}: {warning}")));
    let warnings = warnings.collect();
    let title = format!("Latency of {} runs", runs.len());
    Figure { title, facts, warnings, panels: overlaid(runs) }
}

/// What a latency counts from, by its tag; one that is not known is named by it.
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
pub(super) fn shared<'a>(mut all: impl Iterator<Item = &'a [String]>) -> Vec<String> {
    let mut facts = all.next().unwrap_or_default().to_vec();
    all.for_each(|others| facts.retain(|fact| others.contains(fact)));
    facts
}
