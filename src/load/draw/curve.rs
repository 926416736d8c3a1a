//! Curves, and whatever else is drawn in a frame.

use super::canvas::{Canvas, Point, Shape};
use super::legend::{Key, Sign};
use super::plot::Plot;

/// Colours that differ for the colour-blind too; series beyond them differ by the shape of their
/// markers.
pub(super) fn colour(series: usize) -> &'static str {
    ["c0", "c1", "c2", "c3", "c4", "c5"][series % 6]
}

/// A line with markers, dashed where it is less certain.
#[derive(Debug)]
pub(super) struct Curve {
    /// For the legend; without one it has no place there.
    pub(super) name: String,
    /// Whose it is: decides its colour.
    pub(super) series: usize,
    pub(super) shape: Shape,
    pub(super) weight: Weight,
    /// Each is a line of its own: there is a gap between one and the next.
    pub(super) stretches: Vec<Vec<CurvePoint>>,
}

/// The width of a line: where there are many, or many points, wide ones would hide each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Main,
    Thin,
    Hair,
}

impl Weight {
    pub(super) fn lighter(self) -> Self {
        match self {
            Self::Main => Self::Thin,
            Self::Thin | Self::Hair => Self::Hair,
        }
    }
}

#[derive(Debug)]
pub(super) struct CurvePoint {
    /// Its values on the columns and the rows.
    pub(super) at: Point,
    pub(super) state: State,
    pub(super) is_marked: bool,
    /// Text for whoever points at its marker.
    pub(super) tip: String,
}

/// How a point counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Certain,
    /// Certain, and not as it should be: its marker is a cross.
    Failed,
    /// Lines to it are dashed, its marker is hollow.
    Uncertain,
}

/// The area between two rows.
#[derive(Debug)]
pub(super) struct Band {
    pub(super) class: String,
    /// Columns, each with the lower and the upper row; there is a gap between one stretch and the
    /// next.
    pub(super) stretches: Vec<Vec<(f64, f64, f64)>>,
}

/// Short strokes across, each at least so wide that it is seen.
#[derive(Debug)]
pub(super) struct Dashes {
    pub(super) class: String,
    /// Where each begins and ends on the columns, and its row.
    pub(super) dashes: Vec<(f64, f64, f64)>,
}

/// A value of the columns that is marked, and a point there.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) colour: &'static str,
    pub(super) column: f64,
    pub(super) ringed: Option<f64>,
}

/// A value of the rows: a bound, or what was asked for.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) colour: &'static str,
    pub(super) row: f64,
}

impl Curve {
    /// Returns whether it has a name and something is drawn of it.
    pub(super) fn is_in_legend(&self) -> bool {
        !self.name.is_empty() && !self.stretches.is_empty()
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        for stretch in &self.stretches {
            let places: Vec<Point> = stretch.iter().map(|point| plot.place(point.at)).collect();
            self.draw_lines(canvas, stretch, &places);
            // A point alone has no line that could show it.
            let is_alone = stretch.len() == 1;
            let points = stretch.iter().zip(places);
            for (point, place) in points.filter(|(point, _)| is_alone || point.is_marked) {
                let (class, shape) = self.marker(point.state);
                canvas.marker(&class, shape, place, &format!("{}{}", self.name, point.tip));
            }
        }
    }

    /// A line for each run of segments that are as certain as each other.
    fn draw_lines(&self, canvas: &mut Canvas, stretch: &[CurvePoint], places: &[Point]) {
        let is_certain = |segment: usize| {
            stretch[segment..=segment + 1].iter().all(|point| point.state != State::Uncertain)
        };
        let segments = stretch.len().saturating_sub(1);
        let mut from = 0;
        while from < segments {
            let same =
                (from..segments).take_while(|at| is_certain(*at) == is_certain(from)).count();
            canvas.polyline(&self.line(is_certain(from)), &places[from..=from + same]);
            from += same;
        }
    }

    fn line(&self, is_certain: bool) -> String {
        let weight = match self.weight {
            Weight::Main => "",
            Weight::Thin => " thin",
            Weight::Hair => " hair",
        };
        let unsure = if is_certain { "" } else { " unsure" };
        format!("line{weight}{unsure} {}", colour(self.series))
    }

    fn marker(&self, state: State) -> (String, Shape) {
        match state {
            State::Certain => (format!("mark {}", colour(self.series)), self.shape),
            State::Failed => ("mark bad".to_owned(), Shape::Cross),
            State::Uncertain => (format!("hollow {}", colour(self.series)), self.shape),
        }
    }

    /// Its place in a legend: with a marker where its points have any.
    pub(super) fn key(&self) -> Key {
        let line = self.line(true);
        let has_markers = self.stretches.iter().flatten().any(|point| point.is_marked);
        let (marker, shape) = self.marker(State::Certain);
        let sign =
            if has_markers { Sign::MarkedLine { line, marker, shape } } else { Sign::Line(line) };
        Key { sign, text: self.name.clone() }
    }
}

impl Band {
    pub(super) fn draw(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        let polygon = |stretch: &Vec<(f64, f64, f64)>| {
            let upper = stretch.iter().map(|(column, _, high)| plot.place((*column, *high)));
            let lower = stretch.iter().rev().map(|(column, low, _)| plot.place((*column, *low)));
            upper.chain(lower).collect()
        };
        let polygons: Vec<Vec<Point>> = self.stretches.iter().map(polygon).collect();
        canvas.polygons(&self.class, &polygons);
    }
}

impl Dashes {
    pub(super) fn draw(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        const MIN_PX: f64 = 3.0;
        const HEIGHT: f64 = 4.0;
        let dash = |(start, end, row): &(f64, f64, f64)| {
            let left = plot.x(*start).min(plot.right - MIN_PX);
            let right = plot.x(*end).max(left + MIN_PX);
            let top = plot.y(*row) - HEIGHT / 2.0;
            let bottom = top + HEIGHT;
            vec![(left, bottom), (left, top), (right, top), (right, bottom)]
        };
        let polygons: Vec<Vec<Point>> = self.dashes.iter().map(dash).collect();
        canvas.polygons(&self.class, &polygons);
    }
}

impl Mark {
    pub(super) fn draw(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        let x = plot.x(self.column);
        canvas.line(&marked(self.colour), (x, plot.top), (x, plot.bottom));
        if let Some(row) = self.ringed {
            canvas.circle(&format!("ring {}", self.colour), (x, plot.y(row)), 9.0);
        }
    }

    pub(super) fn key(&self, text: String) -> Key {
        Key { sign: Sign::Line(marked(self.colour)), text }
    }
}

impl Level {
    pub(super) fn draw(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        let y = plot.y(self.row);
        canvas.line(&level(self.colour), (plot.left, y), (plot.right, y));
    }

    pub(super) fn key(&self, text: String) -> Key {
        Key { sign: Sign::Line(level(self.colour)), text }
    }
}

/// A line down.
fn marked(colour: &str) -> String {
    format!("marked {colour}")
}

/// A line across.
fn level(colour: &str) -> String {
    format!("level {colour}")
}
