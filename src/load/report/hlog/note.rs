//! Notes of a log on its run: which part of which run it is, and how that came out.
//!
//! Each is a comment of one line, which other readers skip. The first stands before all intervals,
//! so that a log which ends early says whose it is; the second is the end of the log, so that one
//! which lacks it is of a run that was killed.

use serde::{Deserialize, Serialize};

use crate::load::config::Config;
use crate::load::config::part::Part;
use crate::load::engine::preflight;
use crate::load::outcome::Outcome;
use crate::load::record::host::{self, ClockState};
use crate::load::record::recorder::Totals;
use crate::load::report::document::{Report, Settings, Throughput};
use crate::load::report::merged::Merged;
use crate::load::report::probes::name_of;

/// The run that a log is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunNote {
    /// The server's name.
    pub(in crate::load::report) target: String,
    /// The generator's host.
    pub(in crate::load::report) host: String,
    /// How the measurement was to be made.
    pub(in crate::load::report) config: Settings,
    /// Bytes of the message before the load, which a server counts and the totals do not.
    #[serde(default)]
    pub(in crate::load::report) preflight_bytes: u64,
}

/// The result of that run, or of several whose logs were added up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResultNote {
    pub(in crate::load::report) outcome: Outcome,
    pub(in crate::load::report) reasons: Vec<String>,
    #[serde(default)]
    pub(in crate::load::report) warnings: Vec<String>,
    /// Length of the window that was measured; of several runs there is none.
    pub(in crate::load::report) measured_ns: Option<u64>,
    /// How the host's time of day was kept.
    pub(in crate::load::report) clock: Option<ClockState>,
    pub(in crate::load::report) totals: Option<Totals>,
    pub(in crate::load::report) throughput: Option<Throughput>,
}

impl RunNote {
    /// A run that is about to be made.
    pub fn of(config: &Config) -> Self {
        Self {
            target: name_of(config).to_owned(),
            host: host::name(),
            config: Settings::from(config),
            preflight_bytes: match config.preflight {
                true => preflight::message(config).len() as u64,
                false => 0,
            },
        }
    }

    /// Reads one as it was written; fails, in words, if it is damaged.
    pub(super) fn read(json: &str) -> Result<Self, String> {
        let note: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if let Some(Part { index, of }) = note.config.part {
            Part::new(index, of).map_err(|error| error.to_string())?;
        }
        Ok(note)
    }
}

impl ResultNote {
    /// As [`RunNote::read`]. Rates that add up to a number are read, whoever wrote them.
    pub(super) fn read(json: &str) -> Result<Self, String> {
        /// No network carries as many bytes a second.
        const MAX_PER_S: f64 = 1e18;
        let note: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let rates = note.throughput.map_or([0.0; 3], |rates| {
            [rates.messages_per_s, rates.bytes_per_s, rates.offered_per_s.unwrap_or(0.0)]
        });
        match rates.iter().find(|rate| !(0.0..=MAX_PER_S).contains(*rate)) {
            Some(rate) => Err(format!("{rate} a second is no rate")),
            None => Ok(note),
        }
    }
}

impl From<&Report> for ResultNote {
    fn from(report: &Report) -> Self {
        Self {
            outcome: report.verdict.outcome,
            reasons: report.verdict.reasons.clone(),
            warnings: report.verdict.warnings.clone(),
            measured_ns: Some(report.verdict.measured_ns),
            clock: report.host.host.clock,
            totals: Some(report.totals),
            throughput: Some(report.throughput),
        }
    }
}

impl From<&Merged> for ResultNote {
    fn from(merged: &Merged) -> Self {
        Self {
            outcome: merged.verdict.outcome,
            reasons: merged.verdict.reasons.clone(),
            warnings: merged.verdict.warnings.clone(),
            measured_ns: None,
            clock: None,
            totals: merged.totals,
            throughput: merged.throughput,
        }
    }
}
