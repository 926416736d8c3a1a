//! A merge for people.

use std::fmt;

use super::{Gap, Merged, UNTAGGED, name};
use crate::load::format::{count, counted, nanos};
use crate::load::record::watch::Tag;
use crate::load::report::document::Percentiles;
use crate::load::report::page::{In, Page, Text, View};
use crate::load::report::table::{self, Kind};
use crate::load::report::text::{Conclusion, add_verdict, findings, latencies};
use crate::load::report::{histogram, strip};

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
        let of = self.latency.keys().find(is_of_tag).expect("every row is of a tag");
        Kind { name: label(tag), known, histogram: &self.latency[of] }
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
