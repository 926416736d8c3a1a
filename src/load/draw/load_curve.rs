//! Latency against throughput: how a server's latency grows with what is asked of it.

use super::axis::{Axis, Range, Scale};
use super::canvas::Canvas;
use super::curve::{Curve, CurvePoint};
use super::frame::{Key, Plot, Sign, colour, draw_heading, draw_legend};
use super::label;

const HEIGHT: f64 = 320.0;

/// Latency against throughput, of one or several sweeps over the rate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LoadCurve {
    /// One alone has a colour for each percentile, several have one each.
    pub(super) sweeps: Vec<LoadSweep>,
}

/// One sweep.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LoadSweep {
    /// For the legend.
    pub(super) name: String,
    /// Ascending by the rate that was asked for; joined in this order.
    pub(super) points: Vec<LoadPoint>,
    /// The point that the sweep was made for, if it was found.
    pub(super) mark: Option<Mark>,
}

/// A point that is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its place among the points.
    pub(super) point: usize,
    /// Its name, as in `knee`.
    pub(super) name: &'static str,
}

/// The latencies at one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LoadPoint {
    /// Messages a second that were answered.
    pub(super) achieved_per_s: f64,
    /// Half of them were no slower, in nanoseconds; `None` if there were too few to say.
    pub(super) p50_ns: Option<u64>,
    /// 99 of 100 were no slower.
    pub(super) p99_ns: Option<u64>,
    /// True if the measurement is valid; what is not is drawn hollow, and dashed.
    pub(super) is_valid: bool,
}

impl LoadCurve {
    /// Draws it below `top`; returns where what follows begins.
    pub(super) fn draw(&self, canvas: &mut Canvas, top: f64) -> f64 {
        let top = draw_heading(canvas, top, "Latency against throughput");
        let points = || self.sweeps.iter().flat_map(|sweep| &sweep.points);
        // A rate at which nothing was received has no place and must not stretch the axis.
        let drawn = points().filter(|point| point.p50_ns.or(point.p99_ns).is_some());
        let rates = Range::of(drawn.map(|point| point.achieved_per_s));
        let latencies = points().flat_map(|point| [point.p50_ns, point.p99_ns]).flatten();
        let latencies = Range::of(latencies.map(|ns| ns as f64));
        let (Some(rates), Some(latencies)) = (rates, latencies) else {
            return Plot::draw_nothing(canvas, top, "no latency was measured at any rate");
        };
        let curves = self.curves();
        let top = draw_legend(canvas, top, &self.legend(&curves)) + 12.0;
        let rows = Axis::fitting(latencies, 1.0, Plot::upwards(top, HEIGHT), 9);
        let labels: Vec<String> = rows.ticks.iter().map(|ns| label::latency(*ns)).collect();
        let plot = Plot::beside(labels.iter(), top, HEIGHT);
        let columns = rate_axis(rates, plot.across());
        let ticks: Vec<_> = columns.ticks.iter().map(|rate| (*rate, label::rate(*rate))).collect();
        plot.draw_columns(canvas, &columns.scale, &ticks);
        plot.draw_rows(canvas, &rows, &labels);
        self.draw_marks(canvas, &columns.scale, &rows.scale, &plot);
        curves.iter().for_each(|curve| curve.draw(canvas, &columns.scale, &rows.scale));
        plot.draw_title(canvas, "messages a second that were answered")
    }

    /// The panel in words.
    pub(super) fn describe(&self) -> String {
        let sweeps = self.sweeps.iter().map(|sweep| {
            let mark = sweep.marked().map_or(String::new(), |(name, point)| {
                format!(", {name} at {}", label::measured_rate(point.achieved_per_s))
            });
            format!("{}: {} rates{mark}", sweep.name, sweep.points.len())
        });
        format!("Latency against throughput: {}", sweeps.collect::<Vec<_>>().join("; "))
    }

    fn curves(&self) -> Vec<Curve> {
        if let [LoadSweep { points, .. }] = self.sweeps.as_slice() {
            return vec![
                curve("p99".to_owned(), 1, false, points, |point| point.p99_ns),
                curve("p50".to_owned(), 0, false, points, |point| point.p50_ns),
            ];
        }
        let of_sweep = |(number, LoadSweep { name, points, .. }): (usize, &LoadSweep)| {
            [
                curve(format!("{name}, p99"), number, false, points, |point| point.p99_ns),
                curve(format!("{name}, p50"), number, true, points, |point| point.p50_ns),
            ]
        };
        self.sweeps.iter().enumerate().flat_map(of_sweep).collect()
    }

    fn legend(&self, curves: &[Curve]) -> Vec<Key> {
        let mut keys: Vec<Key> = curves.iter().map(Curve::key).collect();
        let is_alone = self.sweeps.len() == 1;
        for (number, sweep) in self.sweeps.iter().enumerate() {
            if let Some((name, point)) = sweep.marked() {
                let rate = label::measured_rate(point.achieved_per_s);
                let of = if is_alone { String::new() } else { format!(" of {}", sweep.name) };
                keys.push(Key {
                    sign: Sign::Line { class: mark_class(is_alone, number), marker: None },
                    text: format!("{name}{of} at {rate}"),
                });
            }
        }
        if self.sweeps.iter().flat_map(|sweep| &sweep.points).any(|point| !point.is_valid) {
            keys.push(Key {
                sign: Sign::Line {
                    class: "line unsure plain".to_owned(),
                    marker: Some(("hollow plain".to_owned(), 0)),
                },
                text: "measurement not valid".to_owned(),
            });
        }
        keys
    }

    fn draw_marks(&self, canvas: &mut Canvas, columns: &Scale, rows: &Scale, plot: &Plot) {
        let is_alone = self.sweeps.len() == 1;
        for (number, sweep) in self.sweeps.iter().enumerate() {
            let Some((_, point)) = sweep.marked() else { continue };
            let x = columns.px(point.achieved_per_s);
            let class = mark_class(is_alone, number);
            canvas.line(&class, (x, plot.top), (x, plot.bottom));
            if let Some(ns) = point.p99_ns {
                let class = class.replace("marked", "ring");
                canvas.circle(&class, (x, rows.px(ns as f64)), 9.0);
            }
        }
    }
}

fn mark_class(is_alone: bool, number: usize) -> String {
    format!("marked {}", if is_alone { "plain" } else { colour(number) })
}

/// From nothing, so that equal ways are equal rates; of ratios if a sweep spans decades.
fn rate_axis(range: Range, px: (f64, f64)) -> Axis {
    const SPANS_DECADES: f64 = 20.0;
    let low = range.low.max(1.0);
    if range.high / low > SPANS_DECADES {
        return Axis::fitting(Range { low, high: range.high }, 1.0, px, 10);
    }
    Axis::of_differences(Range { low: 0.0, high: range.high.max(1.0) }, px, 10)
}

impl LoadSweep {
    /// The marked point and its name.
    fn marked(&self) -> Option<(&'static str, &LoadPoint)> {
        let Mark { point, name } = self.mark?;
        Some((name, self.points.get(point)?))
    }
}

/// One percentile over the rate. Points without a value are left out.
fn curve(
    name: String,
    number: usize,
    is_thin: bool,
    points: &[LoadPoint],
    value: impl Fn(&LoadPoint) -> Option<u64>,
) -> Curve {
    let point = |point: &LoadPoint| {
        let ns = value(point)?;
        let (latency, rate) =
            (label::measured_latency(ns), label::measured_rate(point.achieved_per_s));
        Some(CurvePoint {
            at: (point.achieved_per_s, ns as f64),
            is_certain: point.is_valid,
            is_marked: true,
            tip: format!(
                ": {latency} at {rate}{}",
                if point.is_valid { "" } else { ", not valid" },
            ),
        })
    };
    Curve { name, number, is_thin, stretches: vec![points.iter().filter_map(point).collect()] }
}
