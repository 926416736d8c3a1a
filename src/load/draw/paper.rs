//! Sizes of a picture, in pixels.

/// Of every picture: wide enough for six decades of percentiles, and half of it, which a phone
/// shows, leaves letters that can be read.
pub(super) const WIDTH: f64 = 720.0;
/// Kept free at the picture's edges.
pub(super) const MARGIN: f64 = 24.0;
pub(super) const INNER: f64 = WIDTH - 2.0 * MARGIN;
/// Letters of labels and legends.
pub(super) const FONT: f64 = 14.0;
/// Letters of a chart's heading, and of the picture's title.
pub(super) const HEADING: f64 = 16.0;
pub(super) const TITLE: f64 = 20.0;
/// Bold letters are wider.
pub(super) const BOLD: f64 = 1.06;
/// From one line of text to the next.
pub(super) const LINE: f64 = 21.0;
