//! The report of merged logs, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use super::document::Percentiles;
use super::hlog;
use super::page::{In, Page, Text, View};
use super::table::{self, Kind};
use super::text::{Conclusion, add_verdict, findings, latencies};
use super::{histogram, strip};
use crate::load::clock;
use crate::load::format::{count, counted, nanos};
use crate::load::outcome::Outcome;
use crate::load::record::watch::Tag;

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
    /// All samples of each tag.
    pub latency_ns: BTreeMap<String, Percentiles>,
    /// When the first interval started.
    #[serde(skip)]
    pub started: SystemTime,
    /// The whole distributions behind `latency_ns`, by tag.
    #[serde(skip)]
    pub totals: BTreeMap<Option<String>, Histogram<u64>>,
}

/// A time in which nothing was logged.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Gap {
    /// When it started.
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// How long it was.
    pub duration_ns: u64,
}

impl Gap {
    pub(super) fn new(start: SystemTime, duration: Duration) -> Self {
        let start = humantime::format_rfc3339_millis(start).to_string();
        Self { start, duration_ns: clock::nanos(duration) }
    }
}

impl Merged {
    /// The sum of intervals that started and ended at these times.
    pub(super) fn new(
        (started, end): (SystemTime, SystemTime),
        totals: BTreeMap<Option<String>, Histogram<u64>>,
    ) -> Self {
        let Gap { start, duration_ns } =
            Gap::new(started, end.duration_since(started).unwrap_or_default());
        Self {
            schema: SCHEMA,
            logs: 0,
            intervals: 0,
            start,
            duration_ns,
            incomplete: Vec::new(),
            gaps: Vec::new(),
            latency_ns: totals
                .iter()
                .map(|(tag, sum)| (name(tag.as_deref()), sum.into()))
                .collect(),
            started,
            totals,
        }
    }

    /// The outcome: what is merged of incomplete logs is not complete.
    pub fn outcome(&self) -> Outcome {
        if self.incomplete.is_empty() { Outcome::Passed } else { Outcome::Incomplete }
    }

    /// The tags whose samples are the messages: see [`Log::message_tags`](hlog::Log::message_tags).
    pub(in crate::load) fn message_tags(&self) -> Vec<Option<String>> {
        hlog::message_tags(self.totals.keys().map(Option::as_deref).collect())
    }

    /// The tags that matter most, and their sum: those of messages, else all.
    pub fn main(&self) -> (Vec<Option<String>>, Histogram<u64>) {
        let messages = self.message_tags();
        let all = || self.totals.keys().cloned().collect();
        let tags = if messages.is_empty() { all() } else { messages };
        let mut sum = hlog::growing();
        tags.iter().for_each(|tag| hlog::add_any(&mut sum, &self.totals[tag]));
        (tags, sum)
    }
}

/// The usual detail.
impl fmt::Display for Merged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text(&View::default()))
    }
}

impl Text for Merged {
    fn text(&self, view: &View) -> String {
        let mut page = Page::default();
        let outcome = self.outcome();
        let word = if outcome.is_valid() { "" } else { outcome.verdict() };
        page.line(
            In::USUAL,
            format!(
                "ringback-load merge  {word}  {}, {}, {} from {}",
                counted(self.logs as u64, "log"),
                counted(self.intervals as u64, "interval"),
                nanos(self.duration_ns),
                humantime::format_rfc3339_seconds(self.started),
            ),
            15,
        );
        let (tags, main) = self.main();
        let in_line = latencies(&Percentiles::from(&main), &main, view);
        page.clipped(In::BRIEF, in_line.clone());
        page.blank(In::USUAL);
        page.row(In::USUAL, "Latency", in_line);
        let samples = format!("{} samples", count(main.len()));
        let title = title(&tags);
        page.row(In::USUAL_ONLY, "", format!("{}  {samples}", strip::draw(&main)));
        page.row(In::USUAL, "of", title.as_str());
        let samples = self.rows().into_iter();
        let samples =
            samples.map(|(name, latency)| format!("{} {}", count(latency.count), label(name)));
        page.row(In::USUAL, "Samples", samples.collect::<Vec<_>>().join("  "));
        page.row(In::USUAL, "Gaps", self.gaps_in_words());
        let kinds: Vec<Kind<'_>> = self.rows().into_iter().map(|row| self.kind(row)).collect();
        table::add(&mut page, In::FULL, &kinds, view);
        page.blank(In::FULL);
        page.table(In::FULL, format!("{title}\n{}", histogram::draw(&main)));
        self.add_end(&mut page, view);
        page.render(view)
    }
}

impl Merged {
    fn kind<'a>(&'a self, (tag, known): (&str, &'a Percentiles)) -> Kind<'a> {
        let is_of_tag = |of: &&Option<String>| name(of.as_deref()) == tag;
        let of = self.totals.keys().find(is_of_tag).expect("every row is of a tag");
        Kind { name: label(tag), known, histogram: &self.totals[of] }
    }

    fn gaps_in_words(&self) -> String {
        let Some(longest) = self.gaps.iter().max_by_key(|gap| gap.duration_ns) else {
            return String::new();
        };
        let Gap { start, duration_ns } = longest;
        let total_ns = self.gaps.iter().map(|gap| gap.duration_ns).sum();
        let count = counted(self.gaps.len() as u64, "time");
        format!(
            "nothing was logged {count}, for {}; the longest, {}, from {start}",
            nanos(total_ns),
            nanos(*duration_ns),
        )
    }

    /// A merged log has no verdict but that it is not complete.
    fn add_end(&self, page: &mut Page, view: &View) {
        let outcome = self.outcome();
        let findings = findings(&self.incomplete, &[]);
        if outcome.is_valid() {
            page.clipped(In::BRIEF, format!("{} samples", count(self.main().1.len())));
        } else {
            page.blank(In::USUAL);
            add_verdict(page, view, &Conclusion { outcome, aside: "", findings });
        }
    }

    /// The tags that a run has in the order of its report, then all others.
    fn rows(&self) -> Vec<(&str, &Percentiles)> {
        let mut rows: Vec<_> =
            self.latency_ns.iter().map(|(name, sum)| (name.as_str(), sum)).collect();
        rows.sort_by_key(|(name, _)| {
            Tag::ALL.iter().position(|tag| tag.name() == *name).unwrap_or(usize::MAX)
        });
        rows
    }
}

fn title(tags: &[Option<String>]) -> String {
    match tags {
        [Some(tag)] => Tag::of_name(tag).map_or_else(|| short(tag), |tag| tag.title().to_owned()),
        [None] => UNTAGGED.to_owned(),
        several => format!("All {} tags together", several.len()),
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
