//! The report of merged logs, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use super::format::{count, nanos};
use super::json::Percentiles;
use super::schema::{json_of, schema_of};
use super::table::{write_head, write_picture, write_row};
use crate::load::clock;
use crate::load::hlog::Merged;
use crate::load::watch::Tag;

/// Names this form of the report; a change that breaks readers gets another.
pub const MERGED_SCHEMA: &str = "ringback-merge/1";

/// What histograms are called that have no tag.
const UNTAGGED: &str = "untagged";

/// The sums as one JSON object, ended by a line feed.
pub fn merged_json(merged: &Merged) -> String {
    json_of(&Document {
        schema: MERGED_SCHEMA,
        logs: merged.logs,
        intervals: merged.intervals,
        start: humantime::format_rfc3339_millis(merged.start).to_string(),
        duration_ns: clock::nanos(duration(merged)),
        incomplete: &merged.incomplete,
        latency_ns: merged
            .totals
            .iter()
            .map(|(tag, total)| (name(tag.as_deref()), Percentiles::from(total)))
            .collect(),
    })
}

/// The JSON Schema (draft 2020-12) of that object, ended by a line feed.
pub fn merged_json_schema() -> String {
    schema_of::<Document<'static>>()
}

/// The sums as a table, and a picture of the one that matters most.
pub fn merged_text(merged: &Merged) -> String {
    let mut out = String::new();
    write_merged(&mut out, merged).expect("writing to a string does not fail");
    out
}

/// Logs of `ringback-load` or other tools, added up by `ringback-load merge`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Report of ringback-load merge")]
struct Document<'a> {
    /// The form of this document.
    #[schemars(extend("const" = MERGED_SCHEMA))]
    schema: &'static str,
    /// How many logs were added up.
    logs: usize,
    /// How many intervals they had.
    intervals: usize,
    /// When the first interval began.
    #[schemars(extend("format" = "date-time"))]
    start: String,
    /// From there to the end of the last one.
    duration_ns: u64,
    /// What is missing: a sentence for each log that is not complete.
    incomplete: &'a [String],
    /// All samples of each tag.
    latency_ns: BTreeMap<&'a str, Percentiles>,
}

fn write_merged(out: &mut String, merged: &Merged) -> fmt::Result {
    writeln!(
        out,
        "ringback-load merge: {} log{}, {} intervals, {} from {}",
        count(merged.logs as u64),
        if merged.logs == 1 { "" } else { "s" },
        count(merged.intervals as u64),
        nanos(clock::nanos(duration(merged))),
        humantime::format_rfc3339_seconds(merged.start),
    )?;
    write_head(out)?;
    for (name, total) in rows(merged) {
        write_row(out, name, total)?;
    }
    let (tag, main) = merged.main();
    let title = tag.and_then(Tag::of_name).map_or(name(tag), |known| known.title());
    write_picture(out, title, main)?;
    let samples: Vec<String> = rows(merged)
        .into_iter()
        .map(|(name, total)| format!("{} {name}", count(total.len())))
        .collect();
    writeln!(out, "\nSamples      {}", samples.join(", "))?;
    if !merged.incomplete.is_empty() {
        writeln!(out, "Verdict      {}", merged.outcome().verdict())?;
    }
    merged.incomplete.iter().try_for_each(|why| writeln!(out, "  - {why}"))
}

/// The tags that a run has in the order of its report, then all others.
fn rows(merged: &Merged) -> Vec<(&str, &Histogram<u64>)> {
    let mut rows: Vec<_> =
        merged.totals.iter().map(|(tag, total)| (name(tag.as_deref()), total)).collect();
    rows.sort_by_key(|(name, _)| {
        Tag::ALL.iter().position(|tag| tag.name() == *name).unwrap_or(usize::MAX)
    });
    rows
}

fn duration(merged: &Merged) -> Duration {
    merged.end.duration_since(merged.start).unwrap_or_default()
}

fn name(tag: Option<&str>) -> &str {
    tag.unwrap_or(UNTAGGED)
}
