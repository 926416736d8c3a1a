//! The parts that all pictures share: headings, legends, and the frame of lines and labels that
//! values are drawn in.

use super::axis::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Point};
use super::words;

/// Of every picture, in pixels: what a page of text gives it without shrinking its letters.
pub(super) const WIDTH: f64 = 880.0;
/// Kept free at the picture's edges.
pub(super) const MARGIN: f64 = 24.0;
/// Room between the edges.
pub(super) const INNER: f64 = WIDTH - 2.0 * MARGIN;
/// Letters of labels and legends.
pub(super) const FONT: f64 = 13.0;

/// How much wider bold letters are.
pub(super) const BOLD: f64 = 1.06;

/// Room beside a row's label, and the least that labels get so that plots mostly line up.
const LABEL_GAP: f64 = 8.0;
const MIN_LABELS_PX: f64 = 52.0;
/// How far the labels of columns and their title stand below the plot.
const TICK_DROP: f64 = 19.0;
const TITLE_DROP: f64 = 39.0;

/// Colours that differ for the colour-blind too; series beyond them differ by the shape of their
/// markers.
pub(super) fn colour(series: usize) -> &'static str {
    ["c0", "c1", "c2", "c3", "c4", "c5"][series % 6]
}

/// A sign of the picture and its meaning.
pub(super) struct Key {
    pub(super) sign: Sign,
    pub(super) text: String,
}

/// How something is drawn, for the legend.
pub(super) enum Sign {
    /// A line and its marker.
    Line { class: String, marker: Option<(String, usize)> },
    /// An area.
    Area { class: String },
}

/// Draws a heading; returns where what follows begins.
pub(super) fn draw_heading(canvas: &mut Canvas, top: f64, text: &str) -> f64 {
    const LETTERS: f64 = 15.0;
    let text = words::fitted(text, LETTERS * BOLD, INNER);
    canvas.text("heading", (MARGIN, top + LETTERS), Anchor::Start, &text);
    top + 24.0
}

/// Draws a legend in as many rows as it takes; returns where what follows begins.
pub(super) fn draw_legend(canvas: &mut Canvas, top: f64, keys: &[Key]) -> f64 {
    const SIGN: f64 = 26.0;
    const GAP: f64 = 22.0;
    const ROW: f64 = 21.0;
    let (mut x, mut y) = (MARGIN, top + 12.0);
    for Key { sign, text } in keys {
        let text = words::fitted(text, FONT, INNER - SIGN - 8.0);
        let width = SIGN + 8.0 + words::width(&text, FONT);
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + ROW);
        }
        sign.draw(canvas, (x, y - 4.5), SIGN);
        canvas.text("", (x + SIGN + 8.0, y), Anchor::Start, &text);
        x += width + GAP;
    }
    if keys.is_empty() { top } else { y + ROW - 12.0 }
}

impl Sign {
    fn draw(&self, canvas: &mut Canvas, left: Point, width: f64) {
        let (x, y) = left;
        match self {
            Self::Line { class, marker } => {
                canvas.line(class, left, (x + width, y));
                if let Some((class, shape)) = marker {
                    canvas.marker(class, *shape, (x + width / 2.0, y), "");
                }
            }
            Self::Area { class } => canvas.rect(class, (x, y - 6.0), (x + width, y + 6.0)),
        }
    }
}

/// Where values are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Plot {
    /// Leaves room for these labels on the left. Its bottom is `height` below `top`.
    pub(super) fn beside<'a>(
        labels: impl Iterator<Item = &'a String>,
        top: f64,
        height: f64,
    ) -> Self {
        let widest = labels.map(|label| words::width(label, FONT)).fold(MIN_LABELS_PX, f64::max);
        Self {
            left: MARGIN + widest + LABEL_GAP,
            right: WIDTH - MARGIN - 12.0,
            top,
            bottom: top + height,
        }
    }

    /// From the lowest value to the highest.
    pub(super) fn upwards(top: f64, height: f64) -> (f64, f64) {
        (top + height, top)
    }

    /// From left to right.
    pub(super) fn across(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    /// A line across at every tick, named on the left; the lowest is the axis.
    pub(super) fn draw_rows(&self, canvas: &mut Canvas, axis: &Axis, labels: &[String]) {
        for (row, (tick, label)) in axis.ticks.iter().zip(labels).enumerate() {
            let y = axis.scale.px(*tick);
            let class = if row == 0 { "axis" } else { "grid" };
            canvas.line(class, (self.left, y), (self.right, y));
            canvas.text("muted", (self.left - LABEL_GAP, y + 4.5), Anchor::End, label);
        }
    }

    /// A line down at every tick, named below.
    pub(super) fn draw_columns(&self, canvas: &mut Canvas, scale: &Scale, ticks: &[(f64, String)]) {
        for (tick, label) in ticks {
            let x = scale.px(*tick);
            canvas.line("grid", (x, self.top), (x, self.bottom));
            let place = (inside(x, label), self.bottom + TICK_DROP);
            canvas.text("muted", place, Anchor::Middle, label);
        }
    }

    /// Names the columns below their labels; returns where what follows begins.
    pub(super) fn draw_title(&self, canvas: &mut Canvas, title: &str) -> f64 {
        let title = words::fitted(title, FONT, INNER);
        let middle = inside(f64::midpoint(self.left, self.right), &title);
        canvas.text("muted", (middle, self.bottom + TITLE_DROP), Anchor::Middle, &title);
        self.bottom + TITLE_DROP + 12.0
    }

    /// Writes why there is nothing to draw; returns where what follows begins.
    pub(super) fn draw_nothing(canvas: &mut Canvas, top: f64, why: &str) -> f64 {
        canvas.text("muted", (WIDTH / 2.0, top + 30.0), Anchor::Middle, why);
        top + 48.0
    }
}

/// The middle of a text that would like to have it at `x`, so that it is not cut off at an edge.
fn inside(x: f64, text: &str) -> f64 {
    const EDGE: f64 = 8.0;
    let reach = words::width(text, FONT) / 2.0 + EDGE;
    x.min(WIDTH - reach).max(reach)
}
