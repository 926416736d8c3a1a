//! Pictures of measurements: data in, SVG text out.
//!
//! Knows no files, clocks or machines. A picture needs nothing but itself: no fonts, scripts or
//! references. It follows the reader's choice of light or dark, tells its series apart by colours
//! that the colour-blind see and by the shapes of its markers, and carries what it shows as text
//! for those who do not see it.
//!
//! Numbers that are not finite are not drawn; what is less certain is drawn dashed or hollow.

use super::canvas::{Anchor, Canvas};
use super::chart::Chart;
use super::paper::{BOLD, FONT, INNER, MARGIN, TITLE, WIDTH};
use super::words;

/// A picture: what was measured, in words, and charts below each other.
#[derive(Debug, Default)]
pub(super) struct Figure {
    pub(super) title: String,
    /// When it was measured: at the end of the title's line, or where there is no room the last
    /// fact.
    pub(super) date: Option<String>,
    /// Facts that a reader needs to trust it, each in a few words: target, load, machine.
    pub(super) facts: Vec<String>,
    /// Why it should not be trusted, each a sentence.
    pub(super) warnings: Vec<String>,
    pub(super) charts: Vec<Chart>,
}

impl Figure {
    pub(super) fn svg(&self) -> String {
        let mut canvas = Canvas::default();
        let mut top = self.draw_caption(&mut canvas);
        let labels_px = self.charts.iter().map(Chart::labels_px).fold(0.0, f64::max);
        for chart in &self.charts {
            top = chart.draw(&mut canvas, top + 14.0, labels_px);
        }
        canvas.into_document((WIDTH, top + 10.0), &self.title, &self.description())
    }

    fn draw_caption(&self, canvas: &mut Canvas) -> f64 {
        const BASELINE: f64 = 37.0;
        /// Lines of one text stand closer than those of a legend.
        const LINE: f64 = 19.0;
        const GAP: f64 = 24.0;
        let title = words::fitted(&self.title, TITLE * BOLD, INNER);
        canvas.text("title", (MARGIN, BASELINE), Anchor::Start, &title);
        let room_px = INNER - words::width(&title, TITLE * BOLD) - GAP;
        let is_beside = |date: &&String| words::width(date, FONT) <= room_px;
        let beside = self.date.as_ref().filter(is_beside);
        if let Some(date) = beside {
            canvas.text("muted", (WIDTH - MARGIN, BASELINE), Anchor::End, date);
        }
        let below = self.date.iter().filter(|_| beside.is_none());
        let facts: Vec<String> = self.facts.iter().chain(below).cloned().collect();
        let mut baseline = BASELINE + 4.0;
        for line in words::lines(&facts, " · ", FONT, INNER) {
            baseline += LINE;
            canvas.text("muted", (MARGIN, baseline), Anchor::Start, &line);
        }
        for warning in &self.warnings {
            let words: Vec<String> = warning.split_whitespace().map(str::to_owned).collect();
            for line in words::lines(&words, " ", FONT * BOLD, INNER) {
                baseline += LINE;
                canvas.text("warning", (MARGIN, baseline), Anchor::Start, &line);
            }
        }
        baseline + 8.0
    }

    fn description(&self) -> String {
        let charts = self.charts.iter().map(|chart| &chart.description);
        let all = self.facts.iter().chain(&self.date).chain(&self.warnings).chain(charts);
        let said = all.filter(|text| !text.is_empty()).map(String::as_str);
        said.collect::<Vec<_>>().join(". ")
    }
}

#[cfg(test)]
mod tests;
