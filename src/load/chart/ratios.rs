//! The ratio of two servers in each block of a comparison, and what it comes to.

use super::axis::{Axis, Range, Scale};
use super::canvas::{Anchor, Canvas};
use super::frame::{BOLD, FONT, Key, Plot, Sign, colour, draw_heading, draw_legend};
use super::{label, words};

const HEIGHT: f64 = 280.0;
/// Between the comparison and its control.
const GAP: f64 = 28.0;

/// The ratio of two servers in each block, beside the same of a server and itself.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockRatios {
    /// What was compared, as a heading: `CPU time per message, b / a`.
    pub heading: String,
    /// The servers against each other.
    pub comparison: RatioSeries,
    /// One server against itself: what chance alone does here.
    pub control: Option<RatioSeries>,
    /// Ratios this near to 1 do not matter, as a share: 0.01 from 0.99 to 1.01. Zero if all do.
    pub min_effect: f64,
    /// How a ratio is to be read: `below 1: b is better`.
    pub reading: String,
}

/// Ratios of blocks and their interval.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioSeries {
    /// What is compared: `b / a`, `a / a`.
    pub name: String,
    /// One a block, in their order. Those that are not positive numbers are not drawn.
    pub ratios: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// The lower end of the median's interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl BlockRatios {
    /// Draws it below `top`; returns where what follows begins.
    pub(super) fn draw(&self, canvas: &mut Canvas, top: f64) -> f64 {
        let top = draw_heading(canvas, top, &self.heading);
        let drawable = self.series().flat_map(RatioSeries::drawable);
        let Some(range) = Range::of(drawable) else {
            return Plot::draw_nothing(canvas, top, "no block was measured");
        };
        let zone = [1.0 - self.min_effect, 1.0, 1.0 + self.min_effect];
        let range = Range::of([range.low, range.high].into_iter().chain(zone)).unwrap_or(range);
        let top = draw_legend(canvas, top, &self.legend()) + 34.0;
        let rows = Axis::fitting(range, 1e-6, Plot::upwards(top, HEIGHT), 9);
        let step = rows.ticks[1] - rows.ticks[0];
        let labels: Vec<String> =
            rows.ticks.iter().map(|ratio| label::ratio_tick(*ratio, step)).collect();
        let plot = Plot::beside(labels.iter(), top, HEIGHT);
        plot.draw_rows(canvas, &rows, &labels);
        for (number, (series, part)) in self.parts(plot).into_iter().enumerate() {
            self.draw_zone(canvas, &rows.scale, &part);
            series.draw(canvas, colour_of(number), &rows.scale, &part);
        }
        plot.draw_title(canvas, &format!("block ({})", self.reading))
    }

    /// The same in words.
    pub(super) fn describe(&self) -> String {
        let series = self.series().map(RatioSeries::outcome).collect::<Vec<_>>().join("; ");
        format!("{}, in {} blocks: {series}", self.heading, self.comparison.ratios.len())
    }

    fn series(&self) -> impl Iterator<Item = &RatioSeries> {
        [&self.comparison].into_iter().chain(&self.control)
    }

    /// Divides the plot, so that blocks are about equally wide.
    fn parts(&self, plot: Plot) -> Vec<(&RatioSeries, Plot)> {
        let Some(control) = &self.control else { return vec![(&self.comparison, plot)] };
        let (ours, theirs) = (self.comparison.ratios.len(), control.ratios.len());
        // Room for what is written above each.
        let share = (ours as f64 / (ours + theirs).max(1) as f64).clamp(0.45, 0.55);
        let middle = plot.left + share * (plot.right - plot.left);
        vec![
            (&self.comparison, Plot { right: middle - GAP / 2.0, ..plot }),
            (control, Plot { left: middle + GAP / 2.0, ..plot }),
        ]
    }

    fn legend(&self) -> Vec<Key> {
        let mut keys = vec![
            Key {
                sign: Sign::Line {
                    class: "line plain".to_owned(),
                    marker: Some(("mark plain".to_owned(), 0)),
                },
                text: "blocks and their median".to_owned(),
            },
            Key {
                sign: Sign::Area { class: "band plain".to_owned() },
                text: "interval of the median".to_owned(),
            },
        ];
        if self.min_effect > 0.0 {
            keys.push(Key {
                sign: Sign::Line { class: "zone".to_owned(), marker: None },
                text: "nearer to 1 does not matter".to_owned(),
            });
        }
        keys
    }

    fn draw_zone(&self, canvas: &mut Canvas, rows: &Scale, part: &Plot) {
        let mut across = |class, ratio| {
            let y = rows.px(ratio);
            canvas.line(class, (part.left, y), (part.right, y));
        };
        across("one", 1.0);
        if self.min_effect > 0.0 {
            across("zone", 1.0 - self.min_effect);
            across("zone", 1.0 + self.min_effect);
        }
    }
}

impl RatioSeries {
    /// What decides the range: the blocks and their interval.
    fn drawable(&self) -> impl Iterator<Item = f64> {
        let numbers = self.ratios.iter().copied().chain([self.median, self.low, self.high]);
        numbers.filter(|ratio| is_drawable(*ratio))
    }

    fn draw(&self, canvas: &mut Canvas, class: &str, rows: &Scale, part: &Plot) {
        let blocks = self.ratios.len();
        let columns = Scale::linear(0.5, blocks.max(1) as f64 + 0.5, part.left, part.right);
        if [self.median, self.low, self.high].into_iter().all(is_drawable) {
            let (low, high) = (rows.px(self.low), rows.px(self.high));
            canvas.rect(&format!("band {class}"), (part.left, high), (part.right, low));
            let y = rows.px(self.median);
            canvas.line(&format!("line {class}"), (part.left, y), (part.right, y));
        }
        for (block, ratio) in (1..).zip(&self.ratios).filter(|(_, ratio)| is_drawable(**ratio)) {
            let place = (columns.px(f64::from(block)), rows.px(*ratio));
            let tip = format!("block {block}: {}", label::ratio(*ratio));
            canvas.marker(&format!("mark {class}"), 0, place, &tip);
        }
        for block in named_blocks(blocks, part.right - part.left) {
            let place = (columns.px(block as f64), part.bottom + 19.0);
            canvas.text("muted", place, Anchor::Middle, &block.to_string());
        }
        let outcome = words::fitted(&self.outcome(), FONT * BOLD, part.right - part.left);
        canvas.text("value", (part.left, part.top - 12.0), Anchor::Start, &outcome);
    }

    fn outcome(&self) -> String {
        let [median, low, high] = [self.median, self.low, self.high].map(label::ratio);
        if [self.median, self.low, self.high].into_iter().all(is_drawable) {
            format!("{}: {median} ({low} to {high})", self.name)
        } else {
            format!("{}: unknown", self.name)
        }
    }
}

/// The control is what the comparison is seen against: it has no colour.
fn colour_of(number: usize) -> &'static str {
    if number == 0 { colour(0) } else { "plain" }
}

fn is_drawable(ratio: f64) -> bool {
    ratio.is_finite() && ratio > 0.0
}

/// Numbers of blocks that have room side by side, evenly spaced.
fn named_blocks(blocks: usize, width: f64) -> impl Iterator<Item = usize> {
    const ROOM: f64 = 34.0;
    let every = (blocks as f64 * ROOM / width).ceil().max(1.0) as usize;
    (1..=blocks).filter(move |block| every == 1 || block % every == 0)
}
