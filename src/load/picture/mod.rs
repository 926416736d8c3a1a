//! Runs as pictures: one that just ended, or several read back from what they saved.
//!
//! Here is decided what a picture of a run shows; how it is drawn is [`chart`](super::chart)'s
//! matter. Knows no files: what was saved comes as bytes.

mod hgrm;
mod history;
mod hlog;
mod json;

pub use self::history::History;
use super::chart::{Figure, Panel, PercentileCurve, PercentileSeries, Timeline, TimelineRun};
use super::hlog::LogError;
use super::report::Report;
use super::watch::Tag;

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

/// Why something that was saved cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It has none of the forms that can be read.
    #[error(
        "it is neither a JSON report nor a log of histograms (.hlog) nor a percentile table \
         (.hgrm): save one with --format json, --hlog or --hgrm"
    )]
    UnknownForm,
    /// It begins like JSON.
    #[error("it is not a whole JSON report: {0}; save it anew with --format json")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another kind.
    #[error("its schema is {found}, which this version cannot draw: it draws {known}")]
    UnknownSchema {
        /// What its key `schema` says.
        found: String,
        /// What would have been right.
        known: &'static str,
    },
    /// It is like a log of histograms.
    #[error("it is not a whole log of histograms (.hlog), {0}")]
    Log(#[from] LogError),
    /// A line of a percentile table is not one.
    #[error("its line {line} is not one of a percentile table (.hgrm): {text:?}")]
    Table {
        /// Counted from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// Nothing was measured.
    #[error("it holds no latencies")]
    Empty,
}

/// Reads back what a run saved, whatever its form.
///
/// # Errors
///
/// When it has none of the forms that a run saves, or is damaged.
pub fn read(saved: &[u8]) -> Result<Run, ReadError> {
    // Anything that is not text becomes text that none of them begins with.
    let text = String::from_utf8_lossy(saved);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let is_commented = lines.peek().is_some_and(|line| line.starts_with('#'));
    let run = match lines.find(|line| !line.starts_with('#')) {
        Some(line) if line.starts_with('{') && !is_commented => json::read(&text)?,
        Some(line) if line.starts_with("Value") => hgrm::read(&text)?,
        // A line of a log has four columns, a tag before them if there are several kinds.
        Some(line) if line.matches(',').count() >= 3 => hlog::read(saved)?,
        None if is_commented => hlog::read(saved)?,
        _ => return Err(ReadError::UnknownForm),
    };
    if run.latencies.iter().all(|series| series.points.is_empty()) {
        return Err(ReadError::Empty);
    }
    Ok(run)
}

/// The picture of a run that has just ended: `when` is the time to name in it.
pub fn of_report(report: &Report, history: History, when: String) -> Figure {
    let mut run = json::of_report(report);
    run.facts.push(when);
    run.add_history(history);
    of_run(run)
}

/// The picture of runs, each with its name; several are drawn over each other.
pub fn of_runs(mut runs: Vec<(String, Run)>) -> Figure {
    if runs.len() == 1 {
        let (name, run) = runs.remove(0);
        return of_run(Run { target: run.target.or(Some(name)), ..run });
    }
    let shared = |fact: &&String| runs.iter().all(|(_, run)| run.facts.contains(fact));
    let facts = runs.iter().take(1).flat_map(|(_, run)| run.facts.iter().filter(shared));
    let facts: Vec<String> = facts.cloned().collect();
    let warnings = runs
        .iter()
        .filter_map(|(name, run)| run.warning.as_ref().map(|warning| format!("{name}: {warning}")));
    let warnings = warnings.collect();
    let title = format!("Latency of {} runs", runs.len());
    Figure { title, facts, warnings, panels: overlaid(runs) }
}

impl Run {
    fn add_history(&mut self, history: History) {
        let (timeline, seconds_per_point) = history.into_timeline("");
        self.timeline = timeline;
        if let Some(seconds) = seconds_per_point {
            self.facts.push(format!("over time: the worst second of every {seconds}"));
        }
    }
}

/// What a latency counts from, by its tag; one that is not known is named by it.
fn explain(tag: &str) -> String {
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

#[cfg(test)]
mod tests;
