//! Latency against percentile: how bad, for how many.
//!
//! The percentiles' axis is stretched towards 100 %: it is as far from 90 % to 99 % as from there
//! to 99.9 %.

use hdrhistogram::Histogram;

use super::axis::{self, Axis, Range, Scale};
use super::chart::{Chart, Content, Curve, CurvePoint, Key, Sign};
use super::label;
use crate::load::config::quantile::Quantile;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// So many were no slower.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// Share of the samples, from 0 to below 1.
    pub(super) quantile: f64,
    /// The latency that they did not exceed, in nanoseconds.
    pub(super) latency_ns: u64,
    /// True if at least ten samples lie beyond; what is less certain is drawn dashed.
    pub(super) is_firm: bool,
}

impl Series {
    /// The curve of a histogram of nanoseconds, up to its largest sample.
    pub(super) fn of(name: impl Into<String>, histogram: &Histogram<u64>) -> Self {
        let samples = histogram.len();
        let mut points = Vec::new();
        if samples > 0 {
            points.extend(quantiles_below(samples).into_iter().map(|quantile| Point {
                quantile,
                latency_ns: histogram.value_at_quantile(quantile),
                is_firm: is_firm(quantile, samples),
            }));
            points.push(Point::slowest(samples, histogram.max()));
        }
        Self { name: name.into(), points }
    }

    fn marked(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| point.is_marked())
    }

    fn describe(&self) -> String {
        let values = self.marked().map(|point| format!("p{} {}", point.percent(), point.latency()));
        format!("{}: {}", self.name, values.collect::<Vec<_>>().join(", "))
    }

    fn curve(&self, number: usize) -> Curve {
        let point = |point: &Point| CurvePoint {
            at: point.place(),
            is_certain: point.is_firm,
            is_marked: point.is_marked(),
            tip: format!(", p{}: {}", point.percent(), point.latency()),
        };
        let stretches = vec![self.points.iter().map(point).collect()];
        Curve { name: self.name.clone(), number, is_thin: false, stretches }
    }
}

impl Point {
    /// One of so many is as slow as the slowest.
    pub(super) fn slowest(samples: u64, latency_ns: u64) -> Self {
        Self { quantile: 1.0 - 1.0 / samples as f64, latency_ns, is_firm: false }
    }

    fn is_marked(&self) -> bool {
        let is_shown = |shown: Quantile| (shown.share() - self.quantile).abs() < 1e-9;
        self.is_firm && Quantile::SHOWN.into_iter().any(is_shown)
    }

    fn place(&self) -> (f64, f64) {
        (nines_of(self.quantile), self.latency_ns as f64)
    }

    fn latency(&self) -> String {
        label::measured_latency(self.latency_ns)
    }

    /// The percents of a marked quantile, without what computing it added.
    fn percent(&self) -> f64 {
        (self.quantile * 1e6).round() / 1e4
    }
}

/// Evenly spaced on the stretched axis, and where markers stand, up to where a sample lies beyond.
fn quantiles_below(samples: u64) -> Vec<f64> {
    /// More than can be seen.
    const PER_NINE: u32 = 40;
    /// Points nearer together than this are one.
    const SAME: f64 = 1e-9;
    let last = (samples as f64).log10() - SAME;
    let marked = || Quantile::SHOWN.into_iter().map(Quantile::share);
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
    samples as f64 * (1.0 - quantile) >= Quantile::SAMPLES_BEYOND as f64 - 1e-6
}

/// The chart of one or several series, drawn over each other in their order.
pub(super) fn chart(all: &[Series]) -> Chart {
    let content = content(all).ok_or("no latency was measured");
    Chart::new("Latency by percentile", all.iter().map(Series::describe), content)
}

fn content(all: &[Series]) -> Option<Content> {
    let points = || all.iter().flat_map(|series| &series.points);
    let range = Range::of(points().map(|point| point.latency_ns as f64))?;
    let last = points().map(|point| nines_of(point.quantile)).fold(1.0, f64::max);
    let unsure = points().any(|point| !point.is_firm).then(|| Key {
        sign: Sign::Line("line unsure plain".to_owned(), None),
        text: "fewer than ten samples beyond".to_owned(),
    });
    let values = match all {
        [only] => only.marked().map(|point| (point.place(), point.latency())).collect(),
        _ => Vec::new(),
    };
    let columns = Axis { scale: Scale::linear(0.0, last), ticks: ticks(last) };
    let rows = axis::fitting(range, 9, label::latency);
    let curves = all.iter().zip(0..).map(|(series, number)| series.curve(number)).collect();
    Some(Content {
        columns_title: "share of messages that were no slower",
        values,
        keys: unsure.into_iter().collect(),
        ..Content::new(columns, rows, 300.0, curves)
    })
}

/// Where a quantile lies on the stretched axis: 0.9 at 1, 0.99 at 2.
fn nines_of(quantile: f64) -> f64 {
    -(1.0 - quantile).clamp(1e-18, 1.0).log10()
}

fn ticks(last: f64) -> Vec<(f64, String)> {
    let nines = (0..=last.floor() as usize).map(|nines| (nines as f64, label::nines(nines)));
    // Between 0 and 90 %, where there is room for its label.
    let half = (last <= 7.0).then(|| (nines_of(0.5), "50 %".to_owned()));
    nines.chain(half).collect()
}
