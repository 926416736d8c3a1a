//! Results put together in one picture, those that were saved read back.

use serde::Deserialize;
use serde_json::Value;

use super::figure::Figure;
use super::load_curve::{self, LoadCurve};
use super::timeline::{self, Timeline};
use super::{hlog, percentiles};
use crate::load::outcome::Outcome;
use crate::load::report::form::Form;
use crate::load::report::hlog::LogError;
use crate::load::report::search::{self, SearchReport};
use crate::load::report::sweep::{self, SweepReport};
use crate::load::report::{Report, document};

/// The facts and the curves of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// With its article.
    pub(super) kind: &'static str,
    /// The server's name, if it is known.
    pub(super) target: Option<String>,
    /// Facts that a reader needs to trust it, each in a few words.
    pub(super) facts: Vec<String>,
    /// Why it should not be trusted.
    pub(super) warning: Option<String>,
    pub(super) curves: Curves,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Curves {
    Run(RunCurves),
    /// Runs at several rates.
    Rates(LoadCurve),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RunCurves {
    /// Latencies by what they count from, named so; the one that matters most first.
    pub(super) latencies: Vec<percentiles::Series>,
    pub(super) timeline: Option<Timeline>,
}

/// Why something that was saved cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It has a form that is not drawn, or none that is known.
    #[error("{0}")]
    Form(String),
    /// It begins like JSON.
    #[error("it is not a whole JSON report: {0}; save it anew with --format json")]
    Json(#[from] serde_json::Error),
    /// It is like a log of histograms.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nothing was measured.
    #[error("it holds no latencies")]
    Empty,
}

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

/// Reads back what was saved, whatever its form.
///
/// # Errors
///
/// When it has none of the forms that are saved, or is damaged.
pub fn read(saved: &[u8]) -> Result<Saved, ReadError> {
    let saved = match Form::of(saved) {
        Form::Log => hlog::read(saved)?,
        Form::Json => read_json(&String::from_utf8_lossy(saved))?,
        Form::Other(form) => {
            return Err(ReadError::Form(format!(
                "it is {form}: draw the log (--hlog) or the JSON report (--format json) of a run"
            )));
        }
        Form::Unknown => return Err(unknown()),
    };
    match &saved.curves {
        Curves::Run(RunCurves { latencies, .. })
            if latencies.iter().all(|series| series.points.is_empty()) =>
        {
            Err(ReadError::Empty)
        }
        _ => Ok(saved),
    }
}

fn unknown() -> ReadError {
    ReadError::Form(
        "it is neither a JSON report nor a log of histograms (.hlog): save one with --format json \
         or --hlog"
            .to_owned(),
    )
}

fn read_json(text: &str) -> Result<Saved, ReadError> {
    const DRAWN: [&str; 3] = [document::SCHEMA, sweep::SCHEMA, search::SCHEMA];
    let mut documents = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'))
        .into_iter::<Value>();
    let document = documents.next().ok_or_else(unknown)??;
    let Some(schema) = document["schema"].as_str() else {
        return Err(ReadError::Form(format!(
            "it is JSON of another tool, for it has no schema of ringback-load: {} can be drawn",
            DRAWN.join(", ")
        )));
    };
    if documents.next().transpose()?.is_some() {
        return Err(ReadError::Form(
            "it holds several JSON documents: save each report in a file of its own".to_owned(),
        ));
    }
    match schema {
        document::SCHEMA => Ok(Saved::from(&Report::deserialize(document)?)),
        sweep::SCHEMA => Ok(Saved::from(&SweepReport::deserialize(document)?)),
        search::SCHEMA => Ok(Saved::from(&SearchReport::deserialize(document)?)),
        other => Err(ReadError::Form(format!(
            "its schema is {other:?}, which this version cannot draw: it draws {}",
            DRAWN.join(", ")
        ))),
    }
}

/// The verdict where it is not VALID.
pub(super) fn warning(outcome: Outcome, reasons: &[String]) -> Option<String> {
    (!outcome.is_valid()).then(|| format!("{}: {}", outcome.verdict(), reasons.join("; ")))
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
    let is_run = |saved: &Saved| matches!(saved.curves, Curves::Run(_));
    let (first, kind) = (&all[0].0, &all[0].1);
    if let Some((other, odd)) = all.iter().find(|(_, saved)| is_run(saved) != is_run(kind)) {
        return Err(MixError {
            first: first.clone(),
            first_kind: kind.kind,
            other: other.clone(),
            other_kind: odd.kind,
        });
    }
    let is_alone = all.len() == 1;
    let warnings = all.iter().filter_map(|(name, saved)| {
        let warning = saved.warning.as_ref()?;
        Some(if is_alone { warning.clone() } else { format!("{name}: {warning}") })
    });
    let warnings = warnings.collect();
    let facts = shared_facts(&all);
    let are_swept = all.iter().all(|(_, saved)| saved.kind == "a sweep");
    let (mut runs, mut rates) = (Vec::new(), Vec::new());
    for (name, Saved { target, curves, .. }) in all {
        match curves {
            Curves::Run(curves) if is_alone => runs.push((target.unwrap_or(name), curves)),
            Curves::Run(curves) => runs.push((name, curves)),
            Curves::Rates(curve) => rates.push(LoadCurve { name, ..curve }),
        }
    }
    let (title, charts) = if rates.is_empty() {
        draw_runs(runs)
    } else {
        let title = match rates.as_slice() {
            [curve] => title_of(curve),
            _ if are_swept => format!("Latency against throughput of {} sweeps", rates.len()),
            _ => format!("Latency against throughput of {} series of runs", rates.len()),
        };
        (title, vec![load_curve::chart(&rates)])
    };
    Ok(Figure { title, facts, warnings, charts })
}

fn shared_facts(all: &[(String, Saved)]) -> Vec<String> {
    let (first, others) = all.split_first().expect("there is one");
    let is_shared = |fact: &&String| others.iter().all(|(_, other)| other.facts.contains(fact));
    first.1.facts.iter().filter(is_shared).cloned().collect()
}

fn title_of(curve: &LoadCurve) -> String {
    let name = &curve.name;
    match curve.marked() {
        Some((what, point)) => {
            let per_s = point.achieved_per_s.round() as u64;
            format!("{name}: {what} at {}/s", crate::load::format::count(per_s))
        }
        None => format!("{name}: latency against throughput"),
    }
}

/// One run with all its curves; of each of several the latency that matters most.
fn draw_runs(mut runs: Vec<(String, RunCurves)>) -> (String, Vec<super::chart::Chart>) {
    let title = match runs.as_slice() {
        [(name, _)] => format!("Latency of {name}"),
        several => format!("Latency of {} runs", several.len()),
    };
    let (mut latencies, mut timelines) = (Vec::new(), Vec::new());
    if let [(_, run)] = runs.as_mut_slice() {
        (latencies, timelines) = (run.latencies.clone(), run.timeline.take().into_iter().collect());
    } else {
        let kind = |run: &RunCurves| run.latencies.first().map(|series| series.name.clone());
        let are_alike = runs.windows(2).all(|pair| kind(&pair[0].1) == kind(&pair[1].1));
        for (name, run) in runs {
            if let Some(series) = run.latencies.into_iter().next() {
                let name =
                    if are_alike { name.clone() } else { format!("{name}, {}", series.name) };
                latencies.push(percentiles::Series { name, ..series });
            }
            timelines.extend(run.timeline.map(|timeline| Timeline { name, ..timeline }));
        }
    }
    let mut charts = vec![percentiles::chart(&latencies)];
    if !timelines.is_empty() {
        charts.extend(timeline::charts(&timelines));
    }
    (title, charts)
}
