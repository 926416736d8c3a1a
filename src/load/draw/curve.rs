//! A curve of a panel: a line with markers, dashed where it is less certain.

use super::axis::Scale;
use super::canvas::{Canvas, Point};
use super::frame::{Key, Sign, colour};

/// One curve.
pub(super) struct Curve {
    /// For the legend.
    pub(super) name: String,
    /// Decides its colour and its marker.
    pub(super) number: usize,
    pub(super) is_thin: bool,
    /// Each is a line of its own: there is a gap between one and the next.
    pub(super) stretches: Vec<Vec<CurvePoint>>,
}

/// A point of a curve.
pub(super) struct CurvePoint {
    /// Its values on the horizontal and the vertical scale.
    pub(super) at: (f64, f64),
    /// Lines to points that are not certain are dashed, their markers hollow.
    pub(super) is_certain: bool,
    pub(super) is_marked: bool,
    /// Text for whoever points at its marker.
    pub(super) tip: String,
}

impl Curve {
    pub(super) fn draw(&self, canvas: &mut Canvas, columns: &Scale, rows: &Scale) {
        for stretch in &self.stretches {
            let place = |point: &CurvePoint| (columns.px(point.at.0), rows.px(point.at.1));
            let places: Vec<Point> = stretch.iter().map(place).collect();
            self.draw_lines(canvas, stretch, &places);
            // A point alone has no line that could show it.
            let is_alone = stretch.len() == 1;
            let marked =
                stretch.iter().zip(places).filter(|(point, _)| is_alone || point.is_marked);
            for (point, place) in marked {
                let fill = if point.is_certain { "mark" } else { "hollow" };
                let class = format!("{fill} {}", colour(self.number));
                let tip = format!("{}{}", self.name, point.tip);
                canvas.marker(&class, self.number, place, &tip);
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

    /// Its line and its marker in the legend.
    pub(super) fn key(&self) -> Key {
        let marker = Some((format!("mark {}", colour(self.number)), self.number));
        Key { sign: Sign::Line { class: self.line(true), marker }, text: self.name.clone() }
    }

    fn line(&self, is_certain: bool) -> String {
        let thin = if self.is_thin { " thin" } else { "" };
        let unsure = if is_certain { "" } else { " unsure" };
        format!("line{thin}{unsure} {}", colour(self.number))
    }
}
