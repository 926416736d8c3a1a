//! Pictures of measurements: data in, SVG text out.
//!
//! Knows no files, clocks or machines. A picture needs nothing but itself: no fonts, scripts or
//! references. It follows the reader's choice of light or dark, tells its series apart by colours
//! that the colour-blind see and by the shapes of its markers, and carries what it shows as text
//! for those who do not see it.
//!
//! What is not a finite number is not drawn; what is less certain is drawn dashed or hollow.
//!
//! ```
//! use ringback::load::chart::{Figure, Panel, PercentileCurve, PercentileSeries};
//!
//! let mut latencies = hdrhistogram::Histogram::<u64>::new(3).unwrap();
//! (1..=10_000).for_each(|ns| latencies.record(ns * 1_000).unwrap());
//! let series = vec![PercentileSeries::of("service", &latencies)];
//! let figure = Figure {
//!     title: "Echo server".to_owned(),
//!     facts: vec!["127.0.0.1:7".to_owned(), "closed loop".to_owned()],
//!     warnings: Vec::new(),
//!     panels: vec![Panel::Percentiles(PercentileCurve { series })],
//! };
//! assert!(figure.svg().starts_with("<svg "));
//! ```

mod axis;
mod canvas;
mod frame;
mod label;
mod load_curve;
mod percentiles;
mod timeline;
mod words;

use canvas::{Anchor, Canvas};
use frame::{BOLD, FONT, INNER, MARGIN, WIDTH};

pub use load_curve::{LoadCurve, LoadPoint, LoadSweep, Mark};
pub use percentiles::{PercentileCurve, PercentilePoint, PercentileSeries};
pub use timeline::{Interval, Stall, Timeline, TimelineRun};

/// A picture: what was measured, in words, and panels below each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// What a reader must know to trust it, each in a few words: target, load, machine, date.
    pub facts: Vec<String>,
    /// Why it should not be trusted, each a sentence.
    pub warnings: Vec<String>,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// One kind of picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Panel {
    /// Latency against percentile.
    Percentiles(PercentileCurve),
    /// Latency and throughput over time.
    Timeline(Timeline),
    /// Latency against throughput.
    Load(LoadCurve),
}

impl Figure {
    /// The picture as an SVG document.
    pub fn svg(&self) -> String {
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

    /// The same in words.
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
