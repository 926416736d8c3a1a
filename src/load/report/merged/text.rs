//! A merge for people.

use std::fmt;

use super::runs::MergedRun;
use super::{Gap, Merged, UNTAGGED, name};
use crate::load::config::part::Part;
use crate::load::format::{bytes, count, counted, nanos};
use crate::load::outcome::Outcome;
use crate::load::record::watch::Tag;
use crate::load::report::document::Percentiles;
use crate::load::report::page::{In, Page, Text, View};
use crate::load::report::table::{self, Kind};
use crate::load::report::text::{Conclusion, add_verdict, findings, latencies, rate, totals};
use crate::load::report::words::clock;
use crate::load::report::{histogram, strip};

/// The usual detail.
impl fmt::Display for Merged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text(&View::default()))
    }
}

impl Text for Merged {
    fn text(&self, view: &View) -> String {
        let outcome = self.outcome();
        // Logs of other tools have no verdict, and are none the worse for it.
        let is_good = outcome.is_valid() || outcome == Outcome::Unknown;
        let mut page = Page::new(is_good);
        let word = if is_good { "" } else { outcome.verdict() };
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
        page.brief("Latency", &in_line);
        page.blank(In::USUAL);
        if let Some(throughput) = &self.throughput {
            let (label, text) = rate(throughput);
            page.measured(In::USUAL, label, text);
        }
        page.measured(In::USUAL, "Latency", in_line);
        let samples = format!("{} samples", count(main.len()));
        let title = title(&tags);
        page.row(In::USUAL_ONLY, "", format!("{}  {samples}", strip::draw(&main)));
        page.row(In::USUAL, "of", title.as_str());
        let samples = self.rows().into_iter();
        let samples =
            samples.map(|(name, latency)| format!("{} {}", count(latency.count), label(name)));
        page.row(In::USUAL, "Samples", samples.collect::<Vec<_>>().join("  "));
        page.row(In::USUAL, "Gaps", self.gaps_in_words());
        page.row(In::USUAL_ONLY, "Parts", self.parts_in_words());
        self.add_runs(&mut page);
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
        let (common, own): (Vec<&Gap>, Vec<&Gap>) =
            self.gaps.iter().partition(|gap| gap.log.is_none());
        let common = gaps_in_words("nothing was logged", &common);
        let own = gaps_in_words("one log had nothing while others had", &own);
        common.into_iter().chain(own).collect::<Vec<_>>().join("; ")
    }

    /// Each part of a run with its host and its verdict, as far as a screen has room.
    fn parts_in_words(&self) -> String {
        /// More are counted.
        const MAX_LISTED: usize = 6;
        let parts = || self.runs.iter().filter_map(|run| Some((run.part?, run)));
        let listed = parts().take(MAX_LISTED).map(|(part, run)| {
            let host = run.host.as_deref().unwrap_or_default();
            format!("{part} {host} {}", run.outcome.verdict())
        });
        let more = parts().count().saturating_sub(MAX_LISTED);
        let more = (more > 0).then(|| format!("and {more} more: see -v"));
        listed.chain(more).collect::<Vec<_>>().join("  ")
    }

    /// Everything that is known of each run, and of all together.
    fn add_runs(&self, page: &mut Page) {
        for run in &self.runs {
            let MergedRun { log, part, host, clock: kept, outcome } = run;
            let label = part.map_or_else(|| "Run".to_owned(), |part: Part| format!("Part {part}"));
            let known = [
                host.clone(),
                Some(outcome.verdict().to_owned()),
                kept.as_ref().map(|kept| format!("clock {}", clock(kept))),
                (!log.is_empty()).then(|| log.clone()),
            ];
            let known: Vec<String> = known.into_iter().flatten().collect();
            page.row(In::FULL, &label, known.join("  "));
        }
        if let Some(sums) = &self.totals {
            page.row(In::FULL, "Totals", totals(sums));
        }
        if let Some(server) = &self.server {
            let [received, sent] =
                [server.bytes_received, server.bytes_sent].map(|number| bytes(number as f64));
            let agrees = if server.agrees { "as the generators say" } else { "not what they say" };
            page.row(In::USUAL, "Server", format!("{received} received, {sent} sent: {agrees}"));
        }
    }

    fn add_end(&self, page: &mut Page, view: &View) {
        let verdict = &self.verdict;
        page.blank(In::USUAL);
        let findings = findings(&verdict.reasons, &verdict.warnings);
        add_verdict(page, view, &Conclusion { outcome: verdict.outcome, aside: "", findings });
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

fn gaps_in_words(what: &str, gaps: &[&Gap]) -> Option<String> {
    let Gap { start, duration_ns, log } = gaps.iter().max_by_key(|gap| gap.duration_ns)?;
    let total_ns = gaps.iter().map(|gap| gap.duration_ns).sum();
    let place = log.as_ref().map(|log| format!(" in {log}")).unwrap_or_default();
    Some(format!(
        "{what} {}, for {}; the longest{place}, {}, from {start}",
        counted(gaps.len() as u64, "time"),
        nanos(total_ns),
        nanos(*duration_ns),
    ))
}
