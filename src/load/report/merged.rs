//! The report of merged logs, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
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

/// The sums as a table, and a picture of the one that matters most.
pub fn merged_text(merged: &Merged) -> String {
    let mut out = String::new();
    write_merged(&mut out, merged).expect("writing to a string does not fail");
    out
}

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
    /// All samples of each tag.
    latency_ns: BTreeMap<&'a str, Percentiles>,
}

impl<'a> From<&'a Merged> for MergedReport<'a> {
    fn from(merged: &'a Merged) -> Self {
        Self {
            schema: SCHEMA,
            logs: merged.logs,
            intervals: merged.intervals,
            start: humantime::format_rfc3339_millis(merged.start).to_string(),
            duration_ns: clock::nanos(duration(merged)),
            latency_ns: merged
                .totals
                .iter()
                .map(|(tag, total)| (name(tag.as_deref()), Percentiles::from(total)))
                .collect(),
        }
    }
}

fn write_merged(out: &mut String, merged: &Merged) -> fmt::Result {
    writeln!(
        out,
        "ringback-load merge: {}, {}, {} from {}",
        counted(merged.logs as u64, "log"),
        counted(merged.intervals as u64, "interval"),
        nanos(clock::nanos(duration(merged))),
        humantime::format_rfc3339_seconds(merged.start),
    )?;
    write_head(out)?;
    for (name, total) in rows(merged) {
        write_row(out, name, &Percentiles::from(total))?;
    }
    let (tag, main) = merged.main();
    let title = tag.and_then(Tag::of_name).map_or(name(tag), |known| known.title());
    write_picture(out, title, main)?;
    let samples: Vec<String> = rows(merged)
        .into_iter()
        .map(|(name, total)| format!("{} {name}", count(total.len())))
        .collect();
    writeln!(out, "\nSamples      {}", samples.join(", "))
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
