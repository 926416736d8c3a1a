//! Results that were saved, read back and put together.

use serde::Deserialize;
use serde_json::Value;

use super::figure::Figure;
use super::hlog;
use super::run::{Run, of_runs};
use super::series::{Series, of_series};
use crate::load::report::form::Form;
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
    /// It has none of the forms that are known.
    #[error(
        "it is neither a JSON report nor a log of histograms (.hlog): save one with --format json \
         or --hlog"
    )]
    UnknownForm,
    /// It has another form.
    #[error("it is {0}: draw the log (--hlog) or the JSON report (--format json) of a run")]
    OtherForm(Form),
    /// It begins like JSON.
    #[error("it is not a whole JSON report: {0}; save it anew with --format json")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another program.
    #[error(
        "it is JSON of another tool, for it has no schema of ringback-load: {drawn} can be drawn",
        drawn = drawn()
    )]
    OtherJson,
    /// Reports were written one behind the other.
    #[error("it holds several JSON documents: save each report in a file of its own")]
    SeveralReports,
    /// It is JSON of another kind.
    #[error(
        "its schema is {0:?}, which this version cannot draw: it draws {drawn}",
        drawn = drawn()
    )]
    UnknownSchema(String),
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
    match Form::of(saved) {
        Form::Log => hlog::read(saved).and_then(run),
        Form::Json => read_json(&String::from_utf8_lossy(saved)),
        Form::Unknown => Err(ReadError::UnknownForm),
        other => Err(ReadError::OtherForm(other)),
    }
}

fn read_json(text: &str) -> Result<Saved, ReadError> {
    let mut documents = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'))
        .into_iter::<Value>();
    let document = documents.next().ok_or(ReadError::UnknownForm)??;
    let schema = document["schema"].as_str().ok_or(ReadError::OtherJson)?;
    match documents.next() {
        Some(Ok(_)) => return Err(ReadError::SeveralReports),
        Some(Err(error)) => return Err(error.into()),
        None => {}
    }
    match schema {
        document::SCHEMA => run(Run::from(&Report::deserialize(document)?)),
        sweep::SCHEMA => Ok(Saved::Series(Series::from(&SweepReport::deserialize(document)?))),
        search::SCHEMA => Ok(Saved::Series(Series::from(&SearchReport::deserialize(document)?))),
        other => Err(ReadError::UnknownSchema(other.to_owned())),
    }
}

/// The schemas that can be drawn.
fn drawn() -> String {
    [document::SCHEMA, sweep::SCHEMA, search::SCHEMA].join(", ")
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
