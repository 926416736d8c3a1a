//! The report of a comparison for people: which server is better, by how much, and how sure.

use std::fmt;

use super::asserted::Asserted;
use super::block::{Block, Side};
use super::gate::GateResult;
use super::metric::{Better, Metric};
use super::report::{Commands, CompareReport};
use super::statistics::{CONFIDENCE, Estimate};
use super::{Comparison, block};
use crate::load::format::{counted, part, percent};
use crate::load::outcome::Outcome;
use crate::load::report::document::Settings;
use crate::load::report::page::{Detail, In, Page, Text, View};
use crate::load::report::text::{Conclusion, add_host, add_verdict, findings};
use crate::load::report::words::{Subject, headline, measured, on_cpus};

/// The lines of a comparison's report that come before its blocks.
pub fn head(comparison: &Comparison, view: &View) -> String {
    let commands = [&comparison.a, &comparison.b].map(ToString::to_string);
    let settings = Settings::from(&comparison.config);
    head_of([&commands[0], &commands[1]], Outcome::Passed, &settings, comparison.blocks, view)
}

fn head_of(
    commands: [&str; 2],
    outcome: Outcome,
    settings: &Settings,
    blocks: usize,
    view: &View,
) -> String {
    let subject = Subject { command: Some("compare"), target: None };
    let runs = format!("  {} of {} runs", counted(blocks as u64, "block"), block::RUNS);
    let mut page = Page::default();
    page.line(In::USUAL, headline(subject, outcome, settings, " a run") + &runs, 15);
    for (side, command) in [Side::A, Side::B].into_iter().zip(commands) {
        page.row(In::USUAL, side.name(), command);
    }
    page.blank(In::FULL);
    page.table(
        In::FULL,
        format!("Block  order {:>14} {:>14} {:>8} {:>8}", "a", "b", "b/a", "control"),
    );
    page.render(view)
}

/// The lines of a block, which has this number.
pub fn row(block: &Block, number: usize, metric: Metric, view: &View) -> String {
    let mean =
        |mean: Option<f64>| mean.map_or_else(|| "-".to_owned(), |value| metric.format(value));
    let (a, b) = (mean(block.a), mean(block.b));
    let result = match (block.ratio, block.control) {
        (Some(found), Some(control)) => format!(" {:>8} {:>8}", ratio(found), ratio(control)),
        _ => "  not valid".to_owned(),
    };
    let mut page = Page::default();
    page.table(In::FULL, format!("{number:>5}  {:<5} {a:>14} {b:>14}{result}", block.order));
    page.findings(In::FULL, findings(&block.reasons, &[]));
    page.render(view)
}

/// The usual detail.
impl fmt::Display for CompareReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text(&View::default()))
    }
}

impl Text for CompareReport {
    fn text(&self, view: &View) -> String {
        let Commands { a, b, .. } = &self.commands;
        let settings = &self.config.run;
        let head = head_of([a, b], self.outcome(), settings, self.config.blocks, view);
        let rows = self.blocks.iter().zip(1..);
        let rows = rows.map(|(block, number)| row(block, number, self.metric, view));
        rows.fold(head, |text, row| text + &row) + &self.rest(view)
    }

    fn rest(&self, view: &View) -> String {
        let mut page = Page::default();
        page.blank(In::USUAL);
        page.clipped(In::BRIEF, self.answer());
        page.line(In::USUAL, self.answer(), 2);
        self.add_estimates(&mut page);
        let title = |place: usize, title: &'static str| if place == 0 { title } else { "" };
        for (place, asserted) in self.assertions.iter().enumerate() {
            page.row(In::USUAL, title(place, "Assertions"), of_assertion(asserted));
        }
        for (place, gate) in self.gates.iter().enumerate() {
            page.row(In::USUAL, title(place, "Fail if"), of_gate(gate));
        }
        self.add_setting(&mut page);
        let mut notes = self.notes.clone();
        // In full they stand below the blocks.
        if view.detail != Detail::Full {
            notes.extend(self.blocks.iter().zip(1..).filter_map(why_not_valid));
        }
        let why_open = if self.is_answered() { &[] } else { self.reasons.as_slice() };
        let findings = match self.valid {
            true => findings(&[], &[why_open, &notes].concat()),
            false => findings(why_open, &notes),
        };
        page.blank(In::USUAL);
        add_verdict(&mut page, view, &Conclusion { outcome: self.outcome(), aside: "", findings });
        page.render(view)
    }
}

impl CompareReport {
    fn add_estimates(&self, page: &mut Page) {
        let (Some(found), Some(control)) = (&self.ratio, &self.control) else { return };
        let how = match self.blocks.iter().filter(|block| block.valid).count() {
            1 => "of one block".to_owned(),
            valid => format!("median of {valid} blocks [{} interval]", percent(CONFIDENCE)),
        };
        page.row(In::USUAL, "Ratio b/a", format!("{}  {how}", interval(found)));
        let control = format!("{}  each server against itself", interval(control));
        page.row(In::USUAL, "Control", control);
    }

    fn add_setting(&self, page: &mut Page) {
        let (metric, better) = (self.metric.description(), self.metric.better().name());
        page.row(In::FULL, "Metric", format!("{metric}, {better} is better"));
        let place = on_cpus(&self.commands.server_cpus);
        let text = format!("one at a time{place}, started for each run and stopped after it");
        page.row(In::FULL, "Servers", text);
        add_host(page, &self.config.run, &self.host, " a run", "");
    }

    fn is_answered(&self) -> bool {
        [Side::A, Side::B].iter().any(|side| side.name() == self.verdict)
    }

    /// Which server is better, in one sentence.
    fn answer(&self) -> String {
        let better = [Side::A, Side::B].into_iter().find(|side| side.name() == self.verdict);
        match (better, &self.ratio) {
            (Some(side), Some(ratio)) => {
                format!("{} is better: {}", side.name(), self.advantage(side, ratio))
            }
            _ if self.valid => format!(
                "Inconclusive: no difference in {} that can be told from chance",
                self.metric.description(),
            ),
            _ => "Nothing can be said of the servers".to_owned(),
        }
    }

    /// How much more or less of the metric the better server has, as shares of what the other has.
    fn advantage(&self, better: Side, ratio: &Estimate) -> String {
        let ratio = if better == Side::A { ratio.reciprocal() } else { *ratio };
        let (low, high) = ratio.interval().expect("who is better is found by an interval");
        let (direction, [median, least, most]) = match self.metric.better() {
            Better::More => ("more", [ratio.median - 1.0, low - 1.0, high - 1.0]),
            Better::Less => ("less", [1.0 - ratio.median, 1.0 - high, 1.0 - low]),
        };
        let [median, least, most] = [median, least, most].map(percent);
        format!("{median} {direction} {} ({least} to {most})", self.metric.description())
    }
}

/// The first reason of a block that is not valid.
fn why_not_valid((block, number): (&Block, usize)) -> Option<String> {
    let reason = block.reasons.first().filter(|_| !block.valid)?;
    Some(format!("block {number}, {reason}"))
}

fn of_assertion(asserted: &Asserted) -> String {
    format!(
        "{} {}: {}, met in {}, median {}",
        if asserted.met { "✓" } else { "✗" },
        asserted.server.name(),
        asserted.assertion,
        part(asserted.met_in as u64, asserted.runs as u64, "run"),
        measured(asserted.median),
    )
}

fn of_gate(GateResult { gate, met }: &GateResult) -> String {
    let answer = match met {
        Some(true) => "holds",
        Some(false) => "does not hold",
        None => "inconclusive",
    };
    format!("{gate}  {answer}")
}

fn interval(estimate: &Estimate) -> String {
    let interval = estimate
        .interval()
        .map_or("no interval".to_owned(), |(low, high)| format!("{}, {}", ratio(low), ratio(high)));
    format!("{} [{interval}]", ratio(estimate.median))
}

/// Four digits after the point near 1, where they tell something, and four in all elsewhere.
fn ratio(ratio: f64) -> String {
    let digits_before_point = ratio.abs().max(1.0).log10().floor() as usize;
    format!("{ratio:.0$}", 4_usize.saturating_sub(digits_before_point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_keep_their_digits() {
        for (value, text) in [(1.0, "1.0000"), (0.987_65, "0.9877"), (12.345, "12.345")] {
            assert_eq!(ratio(value), text);
        }
        assert_eq!(ratio(123_456.7), "123457");
    }
}
