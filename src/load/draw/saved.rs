//! Results as they are drawn, those that were saved read back.

use serde::Deserialize;
use serde_json::Value;

use super::load_curve::LoadCurve;
use super::timeline::Timeline;
use super::{hlog, percentiles};
use crate::load::outcome::Outcome;
use crate::load::report::form::Form;
use crate::load::report::hlog::LogError;
use crate::load::report::page::Finding;
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
    /// When it started, if that is known.
    pub(super) date: Option<String>,
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

/// The verdict where it is not VALID, and why. What to do about it stands in the report.
pub(super) fn warning(outcome: Outcome, reasons: &[String]) -> Option<String> {
    let facts = reasons.iter().map(|reason| Finding::reason(reason).fact().to_owned());
    let facts = facts.collect::<Vec<_>>().join("; ");
    (!outcome.is_valid()).then(|| format!("{}: {facts}", outcome.verdict()))
}
