//! Writes SVG: a few shapes, every text escaped, every coordinate short and finite.

use std::fmt::{self, Display, Write};

/// A place in pixels, right and down from the upper left corner.
pub(super) type Point = (f64, f64);

const STYLE: &str = include_str!("style.css");
const MARKER: f64 = 4.5;

/// The end of a text that its place names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The shape of a marker: series differ by it without their colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Up,
    Diamond,
    Down,
    /// Of what failed, whatever its series.
    Cross,
}

impl Shape {
    /// The shape of a series, one of five.
    pub(super) fn of(series: usize) -> Self {
        [Self::Circle, Self::Square, Self::Up, Self::Diamond, Self::Down][series % 5]
    }

    /// Corners, right and down from the middle, as shares of a marker's size.
    fn corners(self) -> &'static [Point] {
        match self {
            Self::Circle => &[],
            Self::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Self::Up => &[(0.0, -1.2), (1.15, 0.8), (-1.15, 0.8)],
            Self::Diamond => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
            Self::Down => &[(-1.15, -0.8), (1.15, -0.8), (0.0, 1.2)],
            Self::Cross => &[
                (0.0, -0.5),
                (0.8, -1.3),
                (1.3, -0.8),
                (0.5, 0.0),
                (1.3, 0.8),
                (0.8, 1.3),
                (0.0, 0.5),
                (-0.8, 1.3),
                (-1.3, 0.8),
                (-0.5, 0.0),
                (-1.3, -0.8),
                (-0.8, -1.3),
            ],
        }
    }
}

/// A picture in the making; what comes later lies above.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    shapes: String,
}

impl Canvas {
    /// The picture as a document of this size, with a title and a description for those who do not
    /// see it.
    pub(super) fn into_document(self, size: Point, title: &str, description: &str) -> String {
        let (width, height) = (Px(size.0), Px(size.1));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"rb\" role=\"img\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <title>{}</title>\n<desc>{}</desc>\n<style>\n{STYLE}</style>\n\
             <rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n\
             {}</svg>\n",
            Escaped(title),
            Escaped(description),
            Px(size.0 - 1.0),
            Px(size.1 - 1.0),
            self.shapes,
        )
    }

    pub(super) fn line(&mut self, class: &str, from: Point, to: Point) {
        self.write(format_args!(
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            Px(from.0),
            Px(from.1),
            Px(to.0),
            Px(to.1)
        ));
    }

    /// Nothing of fewer than two points.
    pub(super) fn polyline(&mut self, class: &str, points: &[Point]) {
        if points.len() >= 2 {
            let places = points.iter().map(|(x, y)| format!("{},{}", Px(*x), Px(*y)));
            let places = places.collect::<Vec<_>>().join(" ");
            self.write(format_args!("<polyline class=\"{class}\" points=\"{places}\"/>"));
        }
    }

    pub(super) fn rect(&mut self, class: &str, corner: Point, opposite: Point) {
        let (left, right) = (corner.0.min(opposite.0), corner.0.max(opposite.0));
        let (top, bottom) = (corner.1.min(opposite.1), corner.1.max(opposite.1));
        self.write(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            Px(left),
            Px(top),
            Px(right - left),
            Px(bottom - top)
        ));
    }

    pub(super) fn circle(&mut self, class: &str, centre: Point, radius: f64) {
        self.write(format_args!(
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
            Px(centre.0),
            Px(centre.1),
            Px(radius)
        ));
    }

    /// A text whose baseline is at `at`.
    pub(super) fn text(&mut self, class: &str, at: Point, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        self.write(format_args!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>",
            Px(at.0),
            Px(at.1),
            Escaped(text)
        ));
    }

    /// One shape of several polygons: where they overlap it is no darker. Nothing of none.
    pub(super) fn polygons(&mut self, class: &str, polygons: &[Vec<Point>]) {
        if polygons.is_empty() {
            return;
        }
        let corner = |(place, (x, y)): (usize, &Point)| {
            let command = if place == 0 { 'M' } else { 'L' };
            format!("{command}{},{} ", Px(*x), Px(*y))
        };
        let of_one = |polygon: &Vec<Point>| {
            polygon.iter().enumerate().map(corner).chain(["Z ".to_owned()]).collect::<String>()
        };
        let path: String = polygons.iter().map(of_one).collect();
        self.write(format_args!("<path class=\"{class}\" d=\"{}\"/>", path.trim_end()));
    }

    /// A marker that tells what it stands for where it is pointed at.
    pub(super) fn marker(&mut self, class: &str, shape: Shape, at: Point, tip: &str) {
        let (x, y) = at;
        let tip = Escaped(tip);
        let corners = shape.corners();
        if corners.is_empty() {
            let (x, y, radius) = (Px(x), Px(y), Px(MARKER));
            return self.write(format_args!(
                "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\">\
                 <title>{tip}</title></circle>"
            ));
        }
        let places = corners
            .iter()
            .map(|(right, down)| format!("{},{}", Px(x + right * MARKER), Px(y + down * MARKER)))
            .collect::<Vec<_>>()
            .join(" ");
        self.write(format_args!(
            "<polygon class=\"{class}\" points=\"{places}\"><title>{tip}</title></polygon>"
        ));
    }

    fn write(&mut self, shape: fmt::Arguments<'_>) {
        writeln!(self.shapes, "{shape}").expect("writing to a string does not fail");
    }
}

/// A coordinate, to a tenth of a pixel.
struct Px(f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_assert!(self.0.is_finite(), "scales give places inside their span");
        let text = format!("{:.1}", self.0);
        f.write_str(text.strip_suffix(".0").unwrap_or(&text))
    }
}

/// Text between tags. What XML 1.0 does not allow, even escaped, is replaced.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '\t' | '\n' | '\r' => f.write_char(' '),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
            _ => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let escaped = |text| Escaped(text).to_string();
        assert_eq!(escaped("a<b> & \"c\""), "a&lt;b&gt; &amp; \"c\"");
        assert_eq!(escaped("a\nb\0c\u{1b}[m"), "a b\u{fffd}c\u{fffd}[m");
    }

    #[test]
    fn coordinates_are_short() {
        for (place, text) in [(0.0, "0"), (12.04, "12"), (12.25, "12.2"), (879.96, "880")] {
            assert_eq!(Px(place).to_string(), text);
        }
    }

    #[test]
    fn nothing_is_drawn_of_one_point() {
        let mut canvas = Canvas::default();
        canvas.polyline("line", &[(1.0, 2.0)]);
        assert_eq!(canvas.shapes, "");
        canvas.polyline("line", &[(1.0, 2.0), (3.5, 4.0)]);
        canvas.polygons("band", &[]);
        assert_eq!(canvas.shapes, "<polyline class=\"line\" points=\"1,2 3.5,4\"/>\n");
    }

    #[test]
    fn polygons_are_one_shape() {
        let mut canvas = Canvas::default();
        let square = vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.5)];
        canvas.polygons("band", &[square.clone(), square]);
        let path = "M0,0 L1,0 L1,1.5 Z M0,0 L1,0 L1,1.5 Z";
        assert_eq!(canvas.shapes, format!("<path class=\"band\" d=\"{path}\"/>\n"));
    }
}
