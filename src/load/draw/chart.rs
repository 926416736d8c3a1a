//! One chart of a picture: curves and areas in a frame, under a heading with its legend.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas};
use super::curve::{Band, Curve, Dashes, Level, Mark};
use super::legend::{self, Key, Table};
use super::paper::{BOLD, FONT, HEADING, INNER, MARGIN, WIDTH};
use super::plot::Plot;
use super::words;

#[derive(Debug)]
pub(super) struct Chart {
    pub(super) heading: String,
    /// The chart in words, for those who do not see it.
    pub(super) description: String,
    /// The curves and areas, or why there are none.
    pub(super) content: Result<Content, &'static str>,
}

/// The content of a chart. What comes later lies above.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) columns: Axis,
    /// Named below the columns' labels, if they have any.
    pub(super) columns_title: &'static str,
    pub(super) rows: Axis,
    pub(super) height: f64,
    pub(super) bands: Vec<Band>,
    pub(super) dashes: Vec<Dashes>,
    pub(super) levels: Vec<Level>,
    pub(super) marks: Vec<Mark>,
    pub(super) curves: Vec<Curve>,
    /// In it the curves are named, where there is one, and else in the legend.
    pub(super) table: Option<Table>,
    /// Signs that the curves do not have, for the legend.
    pub(super) keys: Vec<Key>,
}

impl Chart {
    /// A chart whose description names each of its curves.
    pub(super) fn new(
        heading: &str,
        curves: impl Iterator<Item = String>,
        content: Result<Content, &'static str>,
    ) -> Self {
        let curves = curves.collect::<Vec<_>>().join("; ");
        Self { heading: heading.to_owned(), description: format!("{heading}: {curves}"), content }
    }

    /// Room for the labels of its rows: at least so much that plots mostly line up.
    pub(super) fn labels_px(&self) -> f64 {
        const LEAST_PX: f64 = 56.0;
        let labels = self.content.iter().flat_map(|content| &content.rows.ticks);
        labels.map(|(_, label)| words::width(label, FONT)).fold(LEAST_PX, f64::max)
    }

    /// Draws it below `top`, with so much room for labels; returns where what follows begins.
    pub(super) fn draw(&self, canvas: &mut Canvas, top: f64, labels_px: f64) -> f64 {
        const GAP: f64 = 30.0;
        let heading = words::fitted(&self.heading, HEADING * BOLD, INNER);
        let baseline = top + HEADING;
        canvas.text("heading", (MARGIN, baseline), Anchor::Start, &heading);
        let free_from = MARGIN + words::width(&heading, HEADING * BOLD) + GAP;
        match &self.content {
            Ok(content) => content.draw(canvas, (free_from, baseline), labels_px),
            Err(why) => {
                canvas.text("muted", (WIDTH / 2.0, baseline + 40.0), Anchor::Middle, why);
                baseline + 58.0
            }
        }
    }
}

impl Content {
    /// Nothing but curves in a frame.
    pub(super) fn new(columns: Axis, rows: Axis, height: f64, curves: Vec<Curve>) -> Self {
        Self {
            columns,
            columns_title: "",
            rows,
            height,
            bands: Vec::new(),
            dashes: Vec::new(),
            levels: Vec::new(),
            marks: Vec::new(),
            curves,
            table: None,
            keys: Vec::new(),
        }
    }

    /// Draws it below a heading, beside which there is room from `free_from` on.
    fn draw(&self, canvas: &mut Canvas, (free_from, heading): (f64, f64), labels_px: f64) -> f64 {
        let named = match &self.table {
            Some(table) => {
                let last = table.draw(canvas, heading);
                legend::draw(canvas, self.keys.iter(), WIDTH, last)
            }
            None => {
                let named = self.curves.iter().filter(|curve| curve.is_in_legend());
                let of_curves: Vec<Key> = named.map(Curve::key).collect();
                legend::draw(canvas, of_curves.iter().chain(&self.keys), free_from, heading)
            }
        };
        let axes = (&self.columns, &self.rows);
        let plot = Plot::new(axes, (named + 18.0, self.height), labels_px);
        plot.draw_columns(canvas);
        self.bands.iter().for_each(|band| band.draw(canvas, &plot));
        plot.draw_rows(canvas);
        self.dashes.iter().for_each(|dashes| dashes.draw(canvas, &plot));
        self.levels.iter().for_each(|level| level.draw(canvas, &plot));
        self.marks.iter().for_each(|mark| mark.draw(canvas, &plot));
        self.curves.iter().for_each(|curve| curve.draw(canvas, &plot));
        plot.draw_title(canvas, self.columns_title)
    }
}
