//! Latency against percentile: how bad, for how many.
//!
//! The percentiles' axis is stretched towards 100 %: it is as far from 90 % to 99 % as from there
//! to 99.9 %.

use hdrhistogram::Histogram;

use super::axis::{self, Axis, Range, Scale};
use super::canvas::Shape;
use super::chart::{Chart, Content};
use super::curve::{Curve, CurvePoint, State, Weight};
use super::label;
use super::legend::{Key, Sign, Table};
use crate::load::config::quantile::Quantile;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    /// The moments that it lies between, where they are known.
    pub(super) moments: &'static str,
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
        Self { name: name.into(), moments: "", points }
    }

    fn marked(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| point.is_marked())
    }

    fn describe(&self) -> String {
        let values = self.marked().map(|point| format!("p{} {}", point.percent(), point.latency()));
        let slowest = self.slowest().map(|point| format!("max {}", point.latency()));
        format!("{}: {}", self.name, values.chain(slowest).collect::<Vec<_>>().join(", "))
    }

    /// The last of the points, where it is that of the largest sample.
    fn slowest(&self) -> Option<&Point> {
        self.points.last().filter(|point| !point.is_firm)
    }

    /// The percentiles that the table has columns for, and the largest.
    fn numbers(&self) -> Vec<String> {
        let known = |quantile| self.marked().find(|point| point.is_at(quantile));
        let percentiles = Quantile::MAIN.into_iter().map(known);
        let cell = |point: Option<&Point>| point.map_or("-".to_owned(), Point::latency);
        percentiles.chain([self.slowest()]).map(cell).collect()
    }

    fn curve(&self, number: usize) -> Curve {
        let point = |point: &Point| CurvePoint {
            at: point.place(),
            state: if point.is_firm { State::Certain } else { State::Uncertain },
            is_marked: point.is_marked(),
            tip: format!(", p{}: {}", point.percent(), point.latency()),
        };
        Curve {
            name: self.name.clone(),
            series: number,
            shape: Shape::of(number),
            weight: Weight::Main,
            stretches: vec![self.points.iter().map(point).collect()],
        }
    }

    fn row(&self, curve: &Curve) -> (Key, Vec<String>) {
        let key = curve.key();
        let text = match self.moments {
            "" => key.text,
            moments => format!("{}: {moments}", key.text),
        };
        (Key { text, ..key }, self.numbers())
    }
}

impl Point {
    /// One of so many is as slow as the slowest.
    pub(super) fn slowest(samples: u64, latency_ns: u64) -> Self {
        Self { quantile: 1.0 - 1.0 / samples as f64, latency_ns, is_firm: false }
    }

    fn is_marked(&self) -> bool {
        self.is_firm && Quantile::SHOWN.into_iter().any(|shown| self.is_at(shown))
    }

    fn is_at(&self, quantile: Quantile) -> bool {
        (quantile.share() - self.quantile).abs() < 1e-9
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
/// The fastest few are left out: that axis would show them as a line that falls straight down at 0
/// %, to a value that is as much an accident as the largest.
fn quantiles_below(samples: u64) -> Vec<f64> {
    /// More than can be seen.
    const PER_NINE: u32 = 40;
    /// Points nearer together than this are one.
    const SAME: f64 = 1e-9;
    let last = (samples as f64).log10() - SAME;
    let marked = || Quantile::SHOWN.into_iter().map(Quantile::share);
    let is_near = |nines: f64| marked().any(|share| (nines_of(share) - nines).abs() < SAME);
    let evenly = (1..).map(|n| f64::from(n) / f64::from(PER_NINE));
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

/// The chart of one or several series, the first above the others.
pub(super) fn chart(all: &[Series]) -> Chart {
    let content = content(all).ok_or("no latency was measured");
    Chart::new("Latency by percentile", all.iter().map(Series::describe), content)
}

fn content(all: &[Series]) -> Option<Content> {
    let points = || all.iter().flat_map(|series| &series.points);
    let range = Range::of(points().map(|point| point.latency_ns as f64))?;
    let last = points().map(|point| nines_of(point.quantile)).fold(1.0, f64::max);
    let unsure = points().any(|point| !point.is_firm).then(|| Key {
        sign: Sign::Line("line unsure plain".to_owned()),
        text: "fewer than ten samples beyond".to_owned(),
    });
    let columns = Axis { scale: Scale::linear(0.0, last), ticks: ticks(last) };
    let rows = axis::fitting(range, 9, label::latency);
    let curves: Vec<Curve> =
        all.iter().zip(0..).map(|(series, number)| series.curve(number)).collect();
    let table = Table {
        columns: Quantile::MAIN.map(Quantile::name).into_iter().chain(["max".to_owned()]).collect(),
        rows: all.iter().zip(&curves).map(|(series, curve)| series.row(curve)).collect(),
    };
    Some(Content {
        columns_title: "share of messages that were no slower",
        table: Some(table),
        keys: unsure.into_iter().collect(),
        // What matters most stands first in the table, and lies above.
        ..Content::new(columns, rows, 290.0, curves.into_iter().rev().collect())
    })
}

/// Where a quantile lies on the stretched axis: 0.9 at 1, 0.99 at 2.
fn nines_of(quantile: f64) -> f64 {
    -(1.0 - quantile).clamp(1e-18, 1.0).log10()
}

fn ticks(last: f64) -> Vec<(f64, String)> {
    let nines = (0..=last.floor() as usize).map(|nines| (nines as f64, label::nines(nines)));
    // Last, so that it is named only where there is room between 0 and 90 %.
    nines.chain([(nines_of(0.5), "50 %".to_owned())]).collect()
}
