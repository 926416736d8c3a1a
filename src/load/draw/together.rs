//! Results put together in one picture.

use super::chart::Chart;
use super::figure::Figure;
use super::load_curve::{self, Aim, LoadCurve};
use super::over_time;
use super::percentiles::{self, Series};
use super::saved::{Curves, RunCurves, Saved};
use super::timeline::Timeline;
use crate::load::format::count;

/// Results do not fit in one picture, whose axes differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{first} is {first_kind} and {other} is {other_kind}: they do not fit in one picture; draw \
     them one by one"
)]
pub struct MixError {
    first: String,
    first_kind: &'static str,
    other: String,
    other_kind: &'static str,
}

/// The picture of what was saved, each with its name, as SVG; several are drawn over each other.
///
/// # Errors
///
/// When they are not of one kind.
///
/// # Panics
///
/// When there is nothing.
pub fn picture(saved: Vec<(String, Saved)>) -> Result<String, MixError> {
    figure(saved).map(|figure| figure.svg())
}

pub(super) fn picture_of(name: &str, saved: Saved) -> String {
    picture(vec![(name.to_owned(), saved)]).expect("one is of one kind")
}

pub(super) fn figure(all: Vec<(String, Saved)>) -> Result<Figure, MixError> {
    check_alike(&all)?;
    let is_alone = all.len() == 1;
    let are_sweeps = all.iter().all(|(_, saved)| saved.kind == "a sweep");
    let warnings = all.iter().filter_map(|(name, saved)| {
        let warning = saved.warning.as_ref()?;
        Some(if is_alone { warning.clone() } else { format!("{name}: {warning}") })
    });
    let warnings = warnings.collect();
    let (facts, date) = (shared_facts(&all), shared_date(&all));
    let (mut runs, mut rates) = (Vec::new(), Vec::new());
    for (name, Saved { target, curves, .. }) in all {
        match curves {
            Curves::Run(run) if is_alone => runs.push((target.unwrap_or(name), run)),
            Curves::Run(run) => runs.push((name, run)),
            Curves::Rates(curve) => rates.push(LoadCurve { name, ..curve }),
        }
    }
    let (title, charts) = match rates.as_slice() {
        [] => (title_of_runs(&runs), charts(runs)),
        rates => (title_of_rates(rates, are_sweeps), vec![load_curve::chart(rates)]),
    };
    Ok(Figure { title, date, facts, warnings, charts })
}

fn check_alike(all: &[(String, Saved)]) -> Result<(), MixError> {
    let is_run = |saved: &Saved| matches!(saved.curves, Curves::Run(_));
    let (first, saved) = &all[0];
    match all.iter().find(|(_, other)| is_run(other) != is_run(saved)) {
        None => Ok(()),
        Some((other, odd)) => Err(MixError {
            first: first.clone(),
            first_kind: saved.kind,
            other: other.clone(),
            other_kind: odd.kind,
        }),
    }
}

/// The facts of the first that hold for all.
fn shared_facts(all: &[(String, Saved)]) -> Vec<String> {
    let (first, others) = all.split_first().expect("there is one");
    let is_shared = |fact: &String| others.iter().all(|(_, other)| facts(other).contains(fact));
    facts(&first.1).into_iter().filter(is_shared).collect()
}

/// The facts, with the server of several rates: a run's is in the title.
fn facts(saved: &Saved) -> Vec<String> {
    let target = saved.target.iter().filter(|_| matches!(saved.curves, Curves::Rates(_)));
    target.chain(&saved.facts).cloned().collect()
}

/// When all of them were measured, if that was at one time.
fn shared_date(all: &[(String, Saved)]) -> Option<String> {
    let date = &all[0].1.date;
    all.iter().all(|(_, other)| other.date == *date).then(|| date.clone()).flatten()
}

fn title_of_runs(runs: &[(String, RunCurves)]) -> String {
    match runs {
        [(name, _)] => format!("Latency of {name}"),
        several => format!("Latency of {} runs", several.len()),
    }
}

fn title_of_rates(rates: &[LoadCurve], are_sweeps: bool) -> String {
    let number = rates.len();
    match rates {
        [LoadCurve { name, aim: Some(Aim { words, rate_per_s, .. }), .. }] => {
            format!("{name}: {words} {}/s", count(*rate_per_s))
        }
        [curve] => format!("{}: latency against throughput", curve.name),
        _ if are_sweeps => format!("Latency against throughput of {number} sweeps"),
        _ => format!("Latency against throughput of {number} series of runs"),
    }
}

/// All curves of a run that is alone; of each of several the latency that matters most.
fn charts(mut runs: Vec<(String, RunCurves)>) -> Vec<Chart> {
    let (latencies, timelines) = if runs.len() == 1 {
        let (_, RunCurves { latencies, timeline }) = runs.remove(0);
        (latencies, timeline.into_iter().collect())
    } else {
        overlaid(runs)
    };
    let mut charts = vec![percentiles::chart(&latencies)];
    if !timelines.is_empty() {
        charts.extend(over_time::charts(&timelines));
    }
    charts
}

fn overlaid(runs: Vec<(String, RunCurves)>) -> (Vec<Series>, Vec<Timeline>) {
    let kind = |run: &RunCurves| run.latencies.first().map(|series| series.name.clone());
    let are_alike = runs.windows(2).all(|pair| kind(&pair[0].1) == kind(&pair[1].1));
    let (mut latencies, mut timelines) = (Vec::new(), Vec::new());
    for (number, (name, run)) in runs.into_iter().enumerate() {
        if let Some(series) = run.latencies.into_iter().next() {
            let name = if are_alike { name.clone() } else { format!("{name}, {}", series.name) };
            latencies.push(Series { name, moments: "", ..series });
        }
        timelines.extend(run.timeline.map(|timeline| Timeline { name, number, ..timeline }));
    }
    (latencies, timelines)
}
