//! The report of merged logs, for people and for programs.

mod runs;
mod server;
mod text;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

pub use self::runs::MergedRun;
pub use self::server::{Scrape, ScrapeError, ServerTotals};
use super::document::{Percentiles, Throughput};
use super::hlog;
use crate::load::clock;
use crate::load::judge::merged::{MergedVerdict, worst};
use crate::load::outcome::Outcome;
use crate::load::record::recorder::Totals;

/// Names this form of the report; a change that breaks readers gets another.
const SCHEMA: &str = "ringback-merge/1";

/// The name of histograms without a tag.
const UNTAGGED: &str = "untagged";

/// Logs of `ringback-load` or other tools, added up by `ringback-load merge`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Report of ringback-load merge")]
pub struct Merged {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: &'static str,
    /// How many logs were added up.
    pub logs: usize,
    /// How many intervals they had.
    pub intervals: usize,
    /// When the first interval started.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// From there to the end of the last one.
    pub duration_ns: u64,
    /// A sentence for each log that is not complete.
    pub incomplete: Vec<String>,
    /// Times between in which nothing was logged.
    pub gaps: Vec<Gap>,
    /// The runs that were logged: parts by their number, others in the order of the logs.
    pub runs: Vec<MergedRun>,
    /// Counters of all runs, warm-up and drain included; null where a log does not say, or several are of no run that they are parts of.
    pub totals: Option<Totals>,
    /// Rates of all runs together, each of its own measured window; null where a log does not say.
    pub throughput: Option<Throughput>,
    /// All samples of each tag.
    pub latency_ns: BTreeMap<String, Percentiles>,
    /// The server's own account, where it was given.
    pub server: Option<ServerTotals>,
    /// The verdict on all runs together.
    pub verdict: Verdict,
    /// When the first interval started.
    #[serde(skip)]
    pub started: SystemTime,
    /// Bytes in each direction before the loads.
    #[serde(skip)]
    pub(in crate::load::report) preflight_bytes: u64,
    /// The whole distributions behind `latency_ns`, by tag.
    #[serde(skip)]
    pub latency: BTreeMap<Option<String>, Histogram<u64>>,
}

/// The verdict on runs whose logs were added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "MergedVerdict")]
pub struct Verdict {
    /// True if the numbers may be used.
    pub valid: bool,
    /// That of the worst run, unless parts of a run are not whole; `unknown` where a log does not
    /// say.
    pub outcome: Outcome,
    /// A sentence for each thing that is wrong.
    pub reasons: Vec<String>,
    /// Sentences on what makes the numbers doubtful without making them wrong.
    pub warnings: Vec<String>,
}

impl From<MergedVerdict> for Verdict {
    fn from(found: MergedVerdict) -> Self {
        let MergedVerdict { outcome, reasons, warnings } = found;
        Self { valid: outcome.is_valid(), outcome, reasons, warnings }
    }
}

impl Verdict {
    /// Something else is wrong as well.
    fn worsen(&mut self, by: Outcome) {
        self.outcome = worst(self.outcome, by);
        self.valid = self.outcome.is_valid();
    }
}

/// A time in which nothing was logged.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Gap {
    /// When it started.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// How long it was.
    pub duration_ns: u64,
    /// The log that has nothing then, where others have; null where none has.
    pub log: Option<String>,
}

impl Gap {
    pub(super) fn new(log: Option<&str>, start: SystemTime, duration: Duration) -> Self {
        let start = rfc3339(start);
        Self { start, duration_ns: clock::nanos(duration), log: log.map(str::to_owned) }
    }
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

impl Merged {
    /// The sum of logs whose intervals started and ended at these times.
    pub(super) fn new(
        logs: &[hlog::Log],
        (started, end): (SystemTime, SystemTime),
        latency: BTreeMap<Option<String>, Histogram<u64>>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            logs: logs.len(),
            intervals: logs.iter().map(|log| log.entries.len()).sum(),
            start: rfc3339(started),
            duration_ns: clock::nanos(end.duration_since(started).unwrap_or_default()),
            incomplete: logs.iter().filter_map(|log| log.incomplete.clone()).collect(),
            gaps: Vec::new(),
            runs: runs::all(logs),
            totals: runs::totals(logs),
            throughput: runs::throughput(logs),
            latency_ns: latency
                .iter()
                .map(|(tag, sum)| (name(tag.as_deref()), sum.into()))
                .collect(),
            server: None,
            verdict: runs::verdict(logs),
            started,
            preflight_bytes: runs::preflight_bytes(logs),
            latency,
        }
    }

    /// Counts in logs that hold no interval, and were left out, since their runs were interrupted.
    pub fn add_incomplete(&mut self, why: Vec<String>) {
        if !why.is_empty() {
            self.verdict.worsen(Outcome::Incomplete);
        }
        self.verdict.reasons.splice(0..0, why.iter().cloned());
        self.incomplete.extend(why);
    }

    /// The outcome of all runs together.
    pub fn outcome(&self) -> Outcome {
        self.verdict.outcome
    }

    /// The tags whose samples are the messages: see [`Log::message_tags`](hlog::Log::message_tags).
    pub(in crate::load) fn message_tags(&self) -> Vec<Option<String>> {
        hlog::message_tags(self.latency.keys().map(Option::as_deref).collect())
    }

    /// The tags that matter most, and their sum: those of messages, else all.
    pub fn main(&self) -> (Vec<Option<String>>, Histogram<u64>) {
        let messages = self.message_tags();
        let all = || self.latency.keys().cloned().collect();
        let tags = if messages.is_empty() { all() } else { messages };
        let mut sum = hlog::growing();
        tags.iter().for_each(|tag| hlog::add_any(&mut sum, &self.latency[tag]));
        (tags, sum)
    }
}

/// The name of a tag in the report: no other has the same.
fn name(tag: Option<&str>) -> String {
    /// As in a log.
    const PREFIX: &str = "Tag=";
    match tag {
        Some(tag) if tag.trim_start_matches(PREFIX) == UNTAGGED => format!("{PREFIX}{tag}"),
        tag => tag.unwrap_or(UNTAGGED).to_owned(),
    }
}
