//! Pictures of measurements: data in, SVG text out.
//!
//! Knows no files, clocks or machines. A picture needs nothing but itself: no fonts, scripts or
//! references. It follows the reader's choice of light or dark, tells its series apart by colours
//! that the colour-blind see and by the shapes of its markers, and carries what it shows as text
//! for those who do not see it.
//!
//! Numbers that are not finite are not drawn; what is less certain is drawn dashed or hollow.

use super::canvas::{Anchor, Canvas};
use super::frame::{BOLD, FONT, INNER, MARGIN, WIDTH};
use super::load_curve::LoadCurve;
use super::percentiles::PercentileCurve;
use super::timeline::Timeline;
use super::words;

/// A picture: what was measured, in words, and panels below each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// Title of the picture.
    pub(super) title: String,
    /// Facts that a reader needs to trust it, each in a few words: target, load, machine, date.
    pub(super) facts: Vec<String>,
    /// Why it should not be trusted, each a sentence.
    pub(super) warnings: Vec<String>,
    /// From top to bottom.
    pub(super) panels: Vec<Panel>,
}

/// One kind of picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Panel {
    /// Latency against percentile.
    Percentiles(PercentileCurve),
    /// Latency and throughput over time.
    Timeline(Timeline),
    /// Latency against throughput.
    Load(LoadCurve),
}

impl Figure {
    /// The picture as an SVG document.
    pub(super) fn svg(&self) -> String {
        let mut canvas = Canvas::default();
        let mut top = self.draw_caption(&mut canvas);
        for panel in &self.panels {
            top = panel.draw(&mut canvas, top + 14.0);
        }
        canvas.into_document((WIDTH, top + 10.0), &self.title, &self.description())
    }

    fn draw_caption(&self, canvas: &mut Canvas) -> f64 {
        const TITLE: f64 = 19.0;
        const LINE: f64 = 19.0;
        let title = words::fitted(&self.title, TITLE * BOLD, INNER);
        canvas.text("title", (MARGIN, 36.0), Anchor::Start, &title);
        let mut baseline = 40.0;
        for line in words::lines(&self.facts, " · ", FONT, INNER) {
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
        let facts = self.facts.iter().chain(&self.warnings).cloned();
        facts.chain(self.panels.iter().map(Panel::describe)).collect::<Vec<_>>().join(". ")
    }
}

impl Panel {
    fn draw(&self, canvas: &mut Canvas, top: f64) -> f64 {
        match self {
            Self::Percentiles(curve) => curve.draw(canvas, top),
            Self::Timeline(timeline) => timeline.draw(canvas, top),
            Self::Load(curve) => curve.draw(canvas, top),
        }
    }

    /// The panel in words.
    fn describe(&self) -> String {
        match self {
            Self::Percentiles(curve) => curve.describe(),
            Self::Timeline(timeline) => timeline.describe(),
            Self::Load(curve) => curve.describe(),
        }
    }
}

#[cfg(test)]
mod tests;
