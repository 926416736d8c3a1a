//! Latency against percentile: how bad, for how many.

use hdrhistogram::Histogram;

use super::axis::{Axis, Range, Scale};
use super::canvas::{Anchor, Canvas};
use super::curve::{Curve, CurvePoint};
use super::frame::{BOLD, FONT, Key, Plot, Sign, draw_heading, draw_legend};
use super::{label, words};
use crate::load::config::quantile::Quantile;

const HEIGHT: f64 = 300.0;
/// Where a curve carries a marker.
const MARKED: [Quantile; 5] =
    [Quantile::P50, Quantile::P90, Quantile::P99, Quantile::P99_9, Quantile::P99_99];
/// Fewer samples beyond a percentile make it a matter of chance.
const SAMPLES_BEYOND: f64 = 10.0;

/// Latency against percentile, of one or several series.
///
/// The percentiles' axis is stretched towards 100 %: it is as far from 90 % to 99 % as from there
/// to
/// 99.9 %.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PercentileCurve {
    /// Drawn over each other in this order.
    pub(super) series: Vec<PercentileSeries>,
}

/// The latencies of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PercentileSeries {
    /// For the legend.
    pub(super) name: String,
    /// Ascending by quantile.
    pub(super) points: Vec<PercentilePoint>,
}

/// So many were no slower.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PercentilePoint {
    /// Share of the samples, from 0 to below 1.
    pub(super) quantile: f64,
    /// The latency that they did not exceed, in nanoseconds.
    pub(super) latency_ns: u64,
    /// True if at least ten samples lie beyond; what is less certain is drawn dashed.
    pub(super) is_firm: bool,
}

impl PercentileSeries {
    /// The curve of a histogram of nanoseconds, up to its largest sample.
    pub(super) fn of(name: impl Into<String>, histogram: &Histogram<u64>) -> Self {
        let samples = histogram.len();
        let mut points = Vec::new();
        if samples > 0 {
            let quantiles = quantiles_below(samples).into_iter();
            points.extend(quantiles.map(|quantile| PercentilePoint {
                quantile,
                latency_ns: histogram.value_at_quantile(quantile),
                is_firm: is_firm(quantile, samples),
            }));
            // One of so many is as slow as the slowest.
            points.push(PercentilePoint {
                quantile: 1.0 - 1.0 / samples as f64,
                latency_ns: histogram.max(),
                is_firm: false,
            });
        }
        Self { name: name.into(), points }
    }
}

/// Evenly spaced on the stretched axis, and where markers stand, up to where a sample lies beyond.
fn quantiles_below(samples: u64) -> Vec<f64> {
    /// More than can be seen.
    const PER_NINE: u32 = 40;
    /// Points nearer together than this are one.
    const SAME: f64 = 1e-9;
    let last = (samples as f64).log10() - SAME;
    let marked = || MARKED.iter().map(|quantile| quantile.share());
    let is_near = |nines: f64| marked().any(|share| (nines_of(share) - nines).abs() < SAME);
    let evenly = (0..).map(|n| f64::from(n) / f64::from(PER_NINE));
    let evenly = evenly.take_while(|nines| *nines < last).filter(|nines| !is_near(*nines));
    // Those that a report has are exact, as there: a rank more may be another value.
    let marked = marked().filter(|share| nines_of(*share) < last);
    let mut quantiles: Vec<f64> =
        evenly.map(|nines| 1.0 - 10_f64.powf(-nines)).chain(marked).collect();
    quantiles.sort_by(f64::total_cmp);
    quantiles
}

/// Returns whether enough of so many samples lie beyond a quantile for it to be more than chance.
fn is_firm(quantile: f64, samples: u64) -> bool {
    // 1 - 0.999 is a little more than a thousandth.
    samples as f64 * (1.0 - quantile) >= SAMPLES_BEYOND - 1e-6
}

impl PercentileCurve {
    /// Draws it below `top`; returns where what follows begins.
    pub(super) fn draw(&self, canvas: &mut Canvas, top: f64) -> f64 {
        let top = draw_heading(canvas, top, "Latency by percentile");
        let points = || self.series.iter().flat_map(|series| &series.points);
        let Some(range) = Range::of(points().map(|point| point.latency_ns as f64)) else {
            return Plot::draw_nothing(canvas, top, "no latency was measured");
        };
        let curves: Vec<Curve> =
            self.series.iter().zip(0..).map(|(series, number)| series.curve(number)).collect();
        let top = draw_legend(canvas, top, &self.legend(&curves)) + 12.0;
        let rows = Axis::fitting(range, 1.0, Plot::upwards(top, HEIGHT), 9);
        let labels: Vec<String> = rows.ticks.iter().map(|ns| label::latency(*ns)).collect();
        let plot = Plot::beside(labels.iter(), top, HEIGHT);
        let last = points().map(|point| nines_of(point.quantile)).fold(1.0, f64::max);
        let columns = Scale::linear(0.0, last, plot.left, plot.right);
        plot.draw_columns(canvas, &columns, &column_ticks(last));
        plot.draw_rows(canvas, &rows, &labels);
        curves.iter().for_each(|curve| curve.draw(canvas, &columns, &rows.scale));
        if let [only] = self.series.as_slice() {
            only.name_values(canvas, &columns, &rows.scale, &plot);
        }
        plot.draw_title(canvas, "share of messages that were no slower")
    }

    /// The panel in words.
    pub(super) fn describe(&self) -> String {
        let series = self.series.iter().map(|series| {
            let marked = series.points.iter().filter(|point| point.is_marked());
            let values = marked.map(|point| {
                let latency = label::measured_latency(point.latency_ns);
                format!("p{} {latency}", exact_percent(point.quantile))
            });
            format!("{}: {}", series.name, values.collect::<Vec<_>>().join(", "))
        });
        format!("Latency by percentile: {}", series.collect::<Vec<_>>().join("; "))
    }

    fn legend(&self, curves: &[Curve]) -> Vec<Key> {
        let mut keys: Vec<Key> = curves.iter().map(Curve::key).collect();
        if self.series.iter().flat_map(|series| &series.points).any(|point| !point.is_firm) {
            keys.push(Key {
                sign: Sign::Line { class: "line unsure plain".to_owned(), marker: None },
                text: "fewer than ten samples beyond".to_owned(),
            });
        }
        keys
    }
}

impl PercentileSeries {
    fn curve(&self, number: usize) -> Curve {
        let point = |point: &PercentilePoint| CurvePoint {
            at: (nines_of(point.quantile), point.latency_ns as f64),
            is_certain: point.is_firm,
            is_marked: point.is_marked(),
            tip: format!(
                ", p{}: {}",
                exact_percent(point.quantile),
                label::measured_latency(point.latency_ns),
            ),
        };
        let stretches = vec![self.points.iter().map(point).collect()];
        Curve { name: self.name.clone(), number, is_thin: false, stretches }
    }

    /// Writes the latencies at the markers, where the curve is the only one: above and before it,
    /// or where there is no room below and after it. It rises, so neither place is on it.
    fn name_values(&self, canvas: &mut Canvas, columns: &Scale, rows: &Scale, plot: &Plot) {
        let mut free_from = plot.left;
        for point in self.points.iter().filter(|point| point.is_marked()) {
            let text = label::measured_latency(point.latency_ns);
            let width = words::width(&text, FONT * BOLD);
            let (x, y) = (columns.px(nines_of(point.quantile)), rows.px(point.latency_ns as f64));
            if x - 6.0 - width >= free_from {
                let y = (y - 9.0).max(plot.top + 11.0);
                canvas.text("value", (x - 6.0, y), Anchor::End, &text);
                free_from = x;
            } else if y + 17.0 < plot.bottom {
                canvas.text("value", (x + 4.0, y + 17.0), Anchor::Start, &text);
            }
        }
    }
}

impl PercentilePoint {
    fn is_marked(&self) -> bool {
        self.is_firm && MARKED.iter().any(|marked| (marked.share() - self.quantile).abs() < 1e-9)
    }
}

/// The percents of a marked quantile, without what computing it added.
fn exact_percent(quantile: f64) -> f64 {
    (quantile * 1e6).round() / 1e4
}

/// Where a quantile lies on the stretched axis: 0.9 at 1, 0.99 at 2.
fn nines_of(quantile: f64) -> f64 {
    -(1.0 - quantile).clamp(1e-18, 1.0).log10()
}

fn column_ticks(last: f64) -> Vec<(f64, String)> {
    let nines = (0..=last.floor() as usize).map(|nines| (nines as f64, label::nines(nines)));
    let mut ticks: Vec<_> = nines.collect();
    // Between 0 and 90 %, where there is room for its label.
    if last <= 7.0 {
        ticks.push((nines_of(0.5), "50 %".to_owned()));
    }
    ticks
}
