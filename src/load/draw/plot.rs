//! The frame of a chart: where values lie, and the lines and labels of its axes.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Point};
use super::paper::{FONT, MARGIN, WIDTH};
use super::words;

/// Room beside a row's label.
const LABEL_GAP: f64 = 8.0;
/// Room for the marker of a point at the end of the columns.
const END_GAP: f64 = 12.0;

pub(super) struct Plot<'a> {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    columns: &'a Axis,
    rows: &'a Axis,
}

impl<'a> Plot<'a> {
    /// So high below `top`, with so much room for the labels of the rows.
    pub(super) fn new(
        (columns, rows): (&'a Axis, &'a Axis),
        (top, height): (f64, f64),
        labels_px: f64,
    ) -> Self {
        let (left, right) = (MARGIN + labels_px + LABEL_GAP, WIDTH - MARGIN - END_GAP);
        Self { left, right, top, bottom: top + height, columns, rows }
    }

    pub(super) fn place(&self, (column, row): Point) -> Point {
        (self.x(column), self.y(row))
    }

    pub(super) fn x(&self, column: f64) -> f64 {
        self.left + self.columns.scale.share(column) * (self.right - self.left)
    }

    pub(super) fn y(&self, row: f64) -> f64 {
        self.bottom - self.rows.scale.share(row) * (self.bottom - self.top)
    }

    /// A line down at every tick, named below where that leaves the names before it legible.
    pub(super) fn draw_columns(&self, canvas: &mut Canvas) {
        const DROP: f64 = 19.0;
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for (tick, label) in &self.columns.ticks {
            let x = self.x(*tick);
            canvas.line("grid", (x, self.top), (x, self.bottom));
            let (middle, reach) = (inside(x, label), words::width(label, FONT) / 2.0);
            let (start, end) = (middle - reach, middle + reach + LABEL_GAP);
            if !label.is_empty() && taken.iter().all(|other| end <= other.0 || start >= other.1) {
                canvas.text("muted", (middle, self.bottom + DROP), Anchor::Middle, label);
                taken.push((start, end));
            }
        }
    }

    /// A line across at every tick, named on the left, and the axis.
    pub(super) fn draw_rows(&self, canvas: &mut Canvas) {
        for (tick, label) in &self.rows.ticks {
            let y = self.y(*tick);
            canvas.line("grid", (self.left, y), (self.right, y));
            canvas.text("muted", (self.left - LABEL_GAP, y + 4.5), Anchor::End, label);
        }
        canvas.line("axis", (self.left, self.bottom), (self.right, self.bottom));
    }

    /// Names the columns below their labels; returns where what follows begins.
    pub(super) fn draw_title(&self, canvas: &mut Canvas, title: &str) -> f64 {
        const DROP: f64 = 40.0;
        if title.is_empty() {
            return self.bottom + 8.0;
        }
        let middle = inside(f64::midpoint(self.left, self.right), title);
        canvas.text("muted", (middle, self.bottom + DROP), Anchor::Middle, title);
        self.bottom + DROP + 12.0
    }
}

/// The middle of a text that would like to have it at `x`, so that it is not cut off at an edge.
fn inside(x: f64, text: &str) -> f64 {
    const EDGE: f64 = 8.0;
    let reach = words::width(text, FONT) / 2.0 + EDGE;
    x.min(WIDTH - reach).max(reach)
}
