//! Results that were saved, read back and put together.

use serde::Deserialize;
use serde_json::Value;

use super::figure::Figure;
use super::hlog;
use super::run::{Run, of_runs};
use super::series::{Series, of_series};
use crate::load::report::hlog::LogError;
use crate::load::report::search::{self, SearchReport};
use crate::load::report::sweep::{self, SweepReport};
use crate::load::report::{Report, document};

/// A saved result.
#[derive(Debug, Clone, PartialEq)]
pub enum Saved {
    /// One run.
    Run(Run),
    /// Runs at several rates.
    Series(Series),
}

/// Why something that was saved cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It has none of the forms that can be read.
    #[error(
        "it is neither a JSON report nor a log of histograms (.hlog): save one with --format json \
         or --hlog"
    )]
    UnknownForm,
    /// It begins like JSON.
    #[error("it is not a whole JSON report: {0}; save it anew with --format json")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another kind.
    #[error("its schema is {found}, which this version cannot draw: it draws {known}")]
    UnknownSchema {
        /// The value of its key `schema`.
        found: String,
        /// The values that can be drawn.
        known: String,
    },
    /// It is like a log of histograms.
    #[error("it is not a whole log of histograms (.hlog), {0}")]
    Log(#[from] LogError),
    /// It is for other plotters.
    #[error(
        "it is a percentile table (.hgrm), for the plotters of HdrHistogram: draw the log (--hlog) \
         or the JSON report (--format json) of the run"
    )]
    PercentileTable,
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
    /// The name of one.
    first: String,
    /// Its kind.
    first_kind: &'static str,
    /// The name of another.
    other: String,
    /// The kind of that.
    other_kind: &'static str,
}

/// Reads back what was saved, whatever its form.
///
/// # Errors
///
/// When it has none of the forms that are saved, or is damaged.
pub fn read(saved: &[u8]) -> Result<Saved, ReadError> {
    // Anything that is not text becomes text that none of them begins with.
    let text = String::from_utf8_lossy(saved);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let is_commented = lines.peek().is_some_and(|line| line.starts_with('#'));
    match lines.find(|line| !line.starts_with('#')) {
        Some(line) if line.starts_with('{') && !is_commented => read_json(&text),
        Some(line) if line.starts_with("Value") => Err(ReadError::PercentileTable),
        // A line of a log has four columns, a tag before them if there are several kinds.
        Some(line) if line.matches(',').count() >= 3 => hlog::read(saved).and_then(run),
        None if is_commented => hlog::read(saved).and_then(run),
        _ => Err(ReadError::UnknownForm),
    }
}

fn read_json(text: &str) -> Result<Saved, ReadError> {
    let document: Value = serde_json::from_str(text)?;
    match document["schema"].as_str() {
        Some(document::SCHEMA) => run(Run::from(&Report::deserialize(document)?)),
        Some(sweep::SCHEMA) => {
            Ok(Saved::Series(Series::from(&SweepReport::deserialize(document)?)))
        }
        Some(search::SCHEMA) => {
            Ok(Saved::Series(Series::from(&SearchReport::deserialize(document)?)))
        }
        other => Err(ReadError::UnknownSchema {
            found: other.map_or("missing".to_owned(), |schema| format!("{schema:?}")),
            known: [document::SCHEMA, sweep::SCHEMA, search::SCHEMA].join(", "),
        }),
    }
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
    of_saved(saved).map(|figure| figure.svg())
}

pub(super) fn of_saved(saved: Vec<(String, Saved)>) -> Result<Figure, MixError> {
    let (first, kind) = (saved[0].0.clone(), saved[0].1.kind());
    if let Some((other, odd)) = saved.iter().find(|(_, one)| one.kind() != kind) {
        return Err(MixError {
            first,
            first_kind: kind,
            other: other.clone(),
            other_kind: odd.kind(),
        });
    }
    let (mut runs, mut series) = (Vec::new(), Vec::new());
    for (name, one) in saved {
        match one {
            Saved::Run(run) => runs.push((name, run)),
            Saved::Series(one) => series.push((name, one)),
        }
    }
    Ok(if series.is_empty() { of_runs(runs) } else { of_series(series) })
}

impl Saved {
    fn kind(&self) -> &'static str {
        match self {
            Self::Run(_) => "a run",
            Self::Series(_) => "a sweep",
        }
    }
}

/// A run that measured something.
fn run(run: Run) -> Result<Saved, ReadError> {
    if run.latencies.iter().all(|series| series.points.is_empty()) {
        return Err(ReadError::Empty);
    }
    Ok(Saved::Run(run))
}
