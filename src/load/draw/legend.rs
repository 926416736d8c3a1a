//! The meaning of a chart's signs: a legend, or a table with numbers beside each sign.

use super::canvas::{Anchor, Canvas, Point, Shape};
use super::paper::{FONT, INNER, LINE, MARGIN, WIDTH};
use super::words;

/// Width of a sign, the gap to its text, and that to the next sign.
const SIGN: f64 = 26.0;
const SIGN_GAP: f64 = 8.0;
const GAP: f64 = 22.0;

/// A sign of the picture and its meaning.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) sign: Sign,
    pub(super) text: String,
}

/// How something is drawn, by its classes.
#[derive(Debug)]
pub(super) enum Sign {
    Line(String),
    MarkedLine { line: String, marker: String, shape: Shape },
    Marker(String, Shape),
    Area(String),
}

/// Numbers beside the signs of what they are of.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    /// A number for each column.
    pub(super) rows: Vec<(Key, Vec<String>)>,
}

/// Draws keys on the line of a heading where there is room for all of them from `free_from` on,
/// else below it, in as many lines as it takes. Returns the last line's baseline.
pub(super) fn draw<'a>(
    canvas: &mut Canvas,
    keys: impl Iterator<Item = &'a Key> + Clone,
    free_from: f64,
    heading: f64,
) -> f64 {
    const END: f64 = WIDTH - MARGIN;
    let all_px = keys.clone().map(|key| key.width() + GAP).sum::<f64>() - GAP;
    let beside = END - all_px;
    let (mut x, mut baseline) = (if beside >= free_from { beside } else { END }, heading);
    for key in keys {
        /// Sums of the same widths differ in their last bits.
        const ROUNDING: f64 = 1e-6;
        if x + key.width() > END + ROUNDING {
            (x, baseline) = (MARGIN, baseline + LINE);
        }
        key.draw(canvas, (x, baseline), INNER);
        x += key.width() + GAP;
    }
    baseline
}

impl Key {
    fn width(&self) -> f64 {
        (SIGN + SIGN_GAP + words::width(&self.text, FONT)).min(INNER)
    }

    fn draw(&self, canvas: &mut Canvas, (x, baseline): Point, most_px: f64) {
        self.sign.draw(canvas, (x, baseline - 4.5));
        let text = words::fitted(&self.text, FONT, most_px - SIGN - SIGN_GAP);
        canvas.text("", (x + SIGN + SIGN_GAP, baseline), Anchor::Start, &text);
    }
}

impl Sign {
    fn draw(&self, canvas: &mut Canvas, left: Point) {
        let (x, y) = left;
        let (middle, right) = ((x + SIGN / 2.0, y), (x + SIGN, y));
        match self {
            Self::Line(line) => canvas.line(line, left, right),
            Self::MarkedLine { line, marker, shape } => {
                canvas.line(line, left, right);
                canvas.marker(marker, *shape, middle, "");
            }
            Self::Marker(marker, shape) => canvas.marker(marker, *shape, middle, ""),
            Self::Area(area) => canvas.rect(area, (x, y - 6.0), (x + SIGN, y + 6.0)),
        }
    }
}

impl Table {
    /// Draws it with the names of its columns on the line of a heading. Returns the last line's
    /// baseline.
    pub(super) fn draw(&self, canvas: &mut Canvas, heading: f64) -> f64 {
        const CELL: f64 = 70.0;
        const CELL_GAP: f64 = 6.0;
        let mut line = |class: &str, baseline: f64, cells: &[String]| {
            for (cell, from_right) in cells.iter().rev().zip(0..) {
                let end = WIDTH - MARGIN - CELL * f64::from(from_right);
                let cell = words::fitted(cell, FONT, CELL - CELL_GAP);
                canvas.text(class, (end, baseline), Anchor::End, &cell);
            }
        };
        line("muted", heading, &self.columns);
        let mut baseline = heading;
        for (_, cells) in &self.rows {
            baseline += LINE;
            line("", baseline, cells);
        }
        let names_px = INNER - CELL * self.columns.len() as f64;
        for ((key, _), row) in self.rows.iter().zip(1..) {
            key.draw(canvas, (MARGIN, heading + LINE * f64::from(row)), names_px);
        }
        baseline
    }
}
