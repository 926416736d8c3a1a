//! One chart of a picture: curves and areas in a frame of lines and labels.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Point};
use super::words;

/// Of every picture, in pixels: what a page of text gives it without shrinking its letters.
pub(super) const WIDTH: f64 = 880.0;
/// Kept free at the picture's edges.
pub(super) const MARGIN: f64 = 24.0;
pub(super) const INNER: f64 = WIDTH - 2.0 * MARGIN;
/// Letters of labels and legends.
pub(super) const FONT: f64 = 13.0;
pub(super) const BOLD: f64 = 1.06;
/// Room beside a row's label, and the least that labels get so that plots mostly line up.
const LABEL_GAP: f64 = 8.0;
const MIN_LABELS_PX: f64 = 52.0;

/// Colours that differ for the colour-blind too; series beyond them differ by the shape of their
/// markers.
pub(super) fn colour(series: usize) -> &'static str {
    ["c0", "c1", "c2", "c3", "c4", "c5"][series % 6]
}

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
    pub(super) areas: Vec<Area>,
    pub(super) marks: Vec<Mark>,
    pub(super) curves: Vec<Curve>,
    /// Texts at points of a curve that only rises: above and before it, or where there is no room
    /// below and after it.
    pub(super) values: Vec<(Point, String)>,
    /// Signs that the curves do not have, for the legend.
    pub(super) keys: Vec<Key>,
}

/// An area from the bottom up.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) class: String,
    /// Where it begins and ends on the columns.
    pub(super) span: (f64, f64),
    pub(super) top: f64,
    /// Drawn at least this wide and high; nothing is drawn of an area without a width.
    pub(super) min_px: f64,
}

/// A value of the columns that is marked, and a point there.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) colour: &'static str,
    pub(super) column: f64,
    pub(super) ringed: Option<f64>,
}

/// A line with markers, dashed where it is less certain.
#[derive(Debug)]
pub(super) struct Curve {
    /// For the legend; without one it has no place there.
    pub(super) name: String,
    /// Decides its colour and its marker.
    pub(super) number: usize,
    pub(super) is_thin: bool,
    /// Each is a line of its own: there is a gap between one and the next.
    pub(super) stretches: Vec<Vec<CurvePoint>>,
}

#[derive(Debug)]
pub(super) struct CurvePoint {
    /// Its values on the columns and the rows.
    pub(super) at: Point,
    /// Lines to points that are not certain are dashed, their markers hollow.
    pub(super) is_certain: bool,
    pub(super) is_marked: bool,
    /// Text for whoever points at its marker.
    pub(super) tip: String,
}

/// A sign of the picture and its meaning.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) sign: Sign,
    pub(super) text: String,
}

/// How something is drawn, for the legend.
#[derive(Debug)]
pub(super) enum Sign {
    /// A line, and the class and the shape of its marker.
    Line(String, Option<(String, usize)>),
    Area(&'static str),
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

    pub(super) fn labels_px(&self) -> f64 {
        let labels = self.content.iter().flat_map(|content| &content.rows.ticks);
        labels.map(|(_, label)| words::width(label, FONT)).fold(MIN_LABELS_PX, f64::max)
    }

    /// Draws it below `top`, with so much room for labels; returns where what follows begins.
    pub(super) fn draw(&self, canvas: &mut Canvas, top: f64, labels_px: f64) -> f64 {
        const LETTERS: f64 = 15.0;
        let heading = words::fitted(&self.heading, LETTERS * BOLD, INNER);
        canvas.text("heading", (MARGIN, top + LETTERS), Anchor::Start, &heading);
        let top = top + 24.0;
        match &self.content {
            Ok(content) => content.draw(canvas, top, labels_px),
            Err(why) => {
                canvas.text("muted", (WIDTH / 2.0, top + 30.0), Anchor::Middle, why);
                top + 48.0
            }
        }
    }
}

impl Content {
    /// Nothing but curves in a frame.
    pub(super) fn new(columns: Axis, rows: Axis, height: f64, curves: Vec<Curve>) -> Self {
        let (areas, marks, values, keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let columns_title = "";
        Self { columns, columns_title, rows, height, areas, marks, curves, values, keys }
    }

    fn draw(&self, canvas: &mut Canvas, top: f64, labels_px: f64) -> f64 {
        let top = self.draw_legend(canvas, top) + 12.0;
        let plot = Plot {
            left: MARGIN + labels_px + LABEL_GAP,
            right: WIDTH - MARGIN - 12.0,
            top,
            bottom: top + self.height,
            columns: &self.columns,
            rows: &self.rows,
        };
        plot.draw_columns(canvas);
        self.areas.iter().for_each(|area| area.draw(canvas, &plot));
        plot.draw_rows(canvas);
        self.marks.iter().for_each(|mark| mark.draw(canvas, &plot));
        self.curves.iter().for_each(|curve| curve.draw(canvas, &plot));
        self.draw_values(canvas, &plot);
        plot.draw_title(canvas, self.columns_title)
    }

    /// As many rows as it takes.
    fn draw_legend(&self, canvas: &mut Canvas, top: f64) -> f64 {
        const SIGN: f64 = 26.0;
        const GAP: f64 = 22.0;
        const ROW: f64 = 21.0;
        let named = self.curves.iter().filter(|curve| !curve.name.is_empty());
        let of_curves: Vec<Key> = named.map(Curve::key).collect();
        let mut end = top;
        let (mut x, mut y) = (MARGIN, top + 12.0);
        for Key { sign, text } in of_curves.iter().chain(&self.keys) {
            let text = words::fitted(text, FONT, INNER - SIGN - 8.0);
            let width = SIGN + 8.0 + words::width(&text, FONT);
            if x > MARGIN && x + width > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + ROW);
            }
            sign.draw(canvas, (x, y - 4.5), SIGN);
            canvas.text("", (x + SIGN + 8.0, y), Anchor::Start, &text);
            x += width + GAP;
            end = y + ROW - 12.0;
        }
        end
    }

    fn draw_values(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        let mut free_from = plot.left;
        for (at, text) in &self.values {
            let width = words::width(text, FONT * BOLD);
            let (x, y) = plot.place(*at);
            if x - 6.0 - width >= free_from {
                let y = (y - 9.0).max(plot.top + 11.0);
                canvas.text("value", (x - 6.0, y), Anchor::End, text);
                free_from = x;
            } else if y + 17.0 < plot.bottom {
                canvas.text("value", (x + 4.0, y + 17.0), Anchor::Start, text);
            }
        }
    }
}

struct Plot<'a> {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    columns: &'a Axis,
    rows: &'a Axis,
}

impl Plot<'_> {
    fn place(&self, (column, row): Point) -> Point {
        (self.x(column), self.y(row))
    }

    fn x(&self, column: f64) -> f64 {
        self.left + self.columns.scale.share(column) * (self.right - self.left)
    }

    fn y(&self, row: f64) -> f64 {
        self.bottom - self.rows.scale.share(row) * (self.bottom - self.top)
    }

    /// A line down at every tick, named below.
    fn draw_columns(&self, canvas: &mut Canvas) {
        const DROP: f64 = 19.0;
        for (tick, label) in &self.columns.ticks {
            let x = self.x(*tick);
            canvas.line("grid", (x, self.top), (x, self.bottom));
            if !label.is_empty() {
                let place = (inside(x, label), self.bottom + DROP);
                canvas.text("muted", place, Anchor::Middle, label);
            }
        }
    }

    /// A line across at every tick, named on the left; the lowest is the axis.
    fn draw_rows(&self, canvas: &mut Canvas) {
        for (row, (tick, label)) in self.rows.ticks.iter().enumerate() {
            let y = self.y(*tick);
            let class = if row == 0 { "axis" } else { "grid" };
            canvas.line(class, (self.left, y), (self.right, y));
            canvas.text("muted", (self.left - LABEL_GAP, y + 4.5), Anchor::End, label);
        }
    }

    /// Returns where what follows begins.
    fn draw_title(&self, canvas: &mut Canvas, title: &str) -> f64 {
        const DROP: f64 = 39.0;
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

impl Area {
    fn draw(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        let left = plot.x(self.span.0).min(plot.right - self.min_px);
        let right = plot.x(self.span.1).max(left + self.min_px);
        if right > left {
            let top = plot.y(self.top).min(plot.bottom - self.min_px);
            canvas.rect(&self.class, (left, top), (right, plot.bottom));
        }
    }
}

impl Mark {
    pub(super) fn class(&self) -> String {
        format!("marked {}", self.colour)
    }

    fn draw(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        let x = plot.x(self.column);
        canvas.line(&self.class(), (x, plot.top), (x, plot.bottom));
        if let Some(row) = self.ringed {
            canvas.circle(&format!("ring {}", self.colour), (x, plot.y(row)), 9.0);
        }
    }
}

impl Curve {
    fn draw(&self, canvas: &mut Canvas, plot: &Plot<'_>) {
        for stretch in &self.stretches {
            let places: Vec<Point> = stretch.iter().map(|point| plot.place(point.at)).collect();
            self.draw_lines(canvas, stretch, &places);
            // A point alone has no line that could show it.
            let is_alone = stretch.len() == 1;
            let points = stretch.iter().zip(places);
            for (point, place) in points.filter(|(point, _)| is_alone || point.is_marked) {
                let fill = if point.is_certain { "mark" } else { "hollow" };
                let class = format!("{fill} {}", colour(self.number));
                canvas.marker(&class, self.number, place, &format!("{}{}", self.name, point.tip));
            }
        }
    }

    /// A line for each run of segments that are as certain as each other.
    fn draw_lines(&self, canvas: &mut Canvas, stretch: &[CurvePoint], places: &[Point]) {
        let is_certain =
            |segment: usize| stretch[segment..=segment + 1].iter().all(|p| p.is_certain);
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
        let thin = if self.is_thin { " thin" } else { "" };
        let unsure = if is_certain { "" } else { " unsure" };
        format!("line{thin}{unsure} {}", colour(self.number))
    }

    fn key(&self) -> Key {
        let marker = Some((format!("mark {}", colour(self.number)), self.number));
        Key { sign: Sign::Line(self.line(true), marker), text: self.name.clone() }
    }
}

impl Sign {
    fn draw(&self, canvas: &mut Canvas, left: Point, width: f64) {
        let (x, y) = left;
        match self {
            Self::Line(class, marker) => {
                canvas.line(class, left, (x + width, y));
                if let Some((class, shape)) = marker {
                    canvas.marker(class, *shape, (x + width / 2.0, y), "");
                }
            }
            Self::Area(class) => canvas.rect(class, (x, y - 6.0), (x + width, y + 6.0)),
        }
    }
}
