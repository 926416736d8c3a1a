//! The report of merged logs, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;

use super::document::Percentiles;
use super::table::{write_head, write_picture, write_row};
use crate::load::clock;
use crate::load::format::{count, counted, nanos};
use crate::load::record::watch::Tag;
use crate::load::report::hlog::Merged;

/// Names this form of the report; a change that breaks readers gets another.
const SCHEMA: &str = "ringback-merge/1";

/// The name of histograms without a tag.
const UNTAGGED: &str = "untagged";

/// Logs of `ringback-load` or other tools, added up by `ringback-load merge`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Report of ringback-load merge")]
pub struct MergedReport<'a> {
    /// The form of this document.
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// How many logs were added up.
    logs: usize,
    /// How many intervals they had.
    intervals: usize,
    /// When the first interval started.
    #[schemars(extend("format" = "date-time"))]
    start: String,
    /// From there to the end of the last one.
    duration_ns: u64,
    /// A sentence for each log that is not complete.
    incomplete: &'a [String],
    /// Times between in which nothing was logged.
    gaps: Vec<Gap>,
    /// All samples of each tag.
    latency_ns: BTreeMap<&'a str, Percentiles>,
    #[serde(skip)]
    merged: &'a Merged,
}

/// A time in which nothing was logged.
#[derive(Debug, Serialize, JsonSchema)]
struct Gap {
    /// When it started.
    #[schemars(extend("format" = "date-time"))]
    start: String,
    /// How long it was.
    duration_ns: u64,
}

impl From<&(SystemTime, Duration)> for Gap {
    fn from((start, duration): &(SystemTime, Duration)) -> Self {
        Self {
            start: humantime::format_rfc3339_millis(*start).to_string(),
            duration_ns: clock::nanos(*duration),
        }
    }
}

impl<'a> From<&'a Merged> for MergedReport<'a> {
    fn from(merged: &'a Merged) -> Self {
        Self {
            schema: SCHEMA,
            logs: merged.logs,
            intervals: merged.intervals,
            start: humantime::format_rfc3339_millis(merged.start).to_string(),
            duration_ns: clock::nanos(duration(merged)),
            incomplete: &merged.incomplete,
            gaps: merged.gaps.iter().map(Gap::from).collect(),
            latency_ns: merged
                .totals
                .iter()
                .map(|(tag, total)| (name(tag.as_deref()), Percentiles::from(total)))
                .collect(),
            merged,
        }
    }
}

/// A table, and a picture of the sum that matters most.
impl fmt::Display for MergedReport<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "ringback-load merge: {}, {}, {} from {}",
            counted(self.logs as u64, "log"),
            counted(self.intervals as u64, "interval"),
            nanos(self.duration_ns),
            humantime::format_rfc3339_seconds(self.merged.start),
        )?;
        write_head(out)?;
        for (name, latency) in self.rows() {
            write_row(out, &label(name), latency)?;
        }
        let (tags, main) = self.merged.main();
        write_picture(out, &title(&tags), &main)?;
        let samples = self.rows().into_iter();
        let samples =
            samples.map(|(name, latency)| format!("{} {}", count(latency.count), label(name)));
        writeln!(out, "\nSamples      {}", samples.collect::<Vec<_>>().join(", "))?;
        self.write_gaps(out)?;
        if !self.incomplete.is_empty() {
            writeln!(out, "Verdict      {}", self.merged.outcome().verdict())?;
        }
        self.incomplete.iter().try_for_each(|why| writeln!(out, "  - {why}"))
    }
}

impl MergedReport<'_> {
    fn write_gaps(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(longest) = self.gaps.iter().max_by_key(|gap| gap.duration_ns) else {
            return Ok(());
        };
        let Gap { start, duration_ns } = longest;
        let total_ns = self.gaps.iter().map(|gap| gap.duration_ns).sum();
        let count = counted(self.gaps.len() as u64, "time");
        writeln!(
            out,
            "Gaps         nothing was logged {count}, for {}; the longest, {}, from {start}",
            nanos(total_ns),
            nanos(*duration_ns),
        )
    }

    /// The tags that a run has in the order of its report, then all others.
    fn rows(&self) -> Vec<(&str, &Percentiles)> {
        let mut rows: Vec<_> = self.latency_ns.iter().map(|(name, sum)| (*name, sum)).collect();
        rows.sort_by_key(|(name, _)| {
            Tag::ALL.iter().position(|tag| tag.name() == *name).unwrap_or(usize::MAX)
        });
        rows
    }
}

fn duration(merged: &Merged) -> Duration {
    merged.end.duration_since(merged.start).unwrap_or_default()
}

fn title(tags: &[Option<String>]) -> String {
    match tags {
        [Some(tag)] => Tag::of_name(tag).map_or_else(|| short(tag), |tag| tag.title().to_owned()),
        [None] => UNTAGGED.to_owned(),
        several => format!("All {} tags together", several.len()),
    }
}

/// As a run's report names it, if it has such latencies.
fn label(name: &str) -> String {
    Tag::of_name(name).map_or_else(|| short(name), |tag| tag.label().to_owned())
}

/// The beginning and the end of a long name.
fn short(name: &str) -> String {
    const MAX_CHARS: usize = 32;
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= MAX_CHARS {
        return name.to_owned();
    }
    let (head, tail) = (&chars[..MAX_CHARS / 2], &chars[chars.len() - MAX_CHARS / 2 + 1..]);
    head.iter().chain(['…'].iter()).chain(tail).collect()
}

fn name(tag: Option<&str>) -> &str {
    tag.unwrap_or(UNTAGGED)
}
