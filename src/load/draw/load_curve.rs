//! Latency against throughput: how a server's latency grows with what is asked of it.

use super::axis::{self, Axis, Range};
use super::chart::{Chart, Content, Curve, CurvePoint, Key, Mark, Sign, colour};
use super::label;

/// Latencies at several rates, of one sweep or search.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LoadCurve {
    pub(super) name: String,
    /// Ascending by the rate that was asked for; joined in this order.
    pub(super) points: Vec<LoadPoint>,
    /// The place of the point that it was made for, and its name, as in `knee`.
    pub(super) marked: Option<(usize, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LoadPoint {
    /// Messages a second that were answered.
    pub(super) achieved_per_s: f64,
    /// In nanoseconds; `None` if there were too few to say.
    pub(super) p50_ns: Option<u64>,
    pub(super) p99_ns: Option<u64>,
    /// True if the measurement is valid; what is not is drawn hollow, and dashed.
    pub(super) is_valid: bool,
}

impl LoadPoint {
    fn rate(&self) -> String {
        label::measured_rate(self.achieved_per_s)
    }
}

impl LoadCurve {
    pub(super) fn marked(&self) -> Option<(&'static str, &LoadPoint)> {
        let (place, name) = self.marked?;
        Some((name, self.points.get(place)?))
    }

    fn describe(&self) -> String {
        let marked = self.marked();
        let mark = marked.map(|(name, point)| format!(", {name} at {}", point.rate()));
        format!("{}: {} rates{}", self.name, self.points.len(), mark.unwrap_or_default())
    }
}

/// The chart of one or several curves: one alone has a colour for each percentile, several have one
/// each.
pub(super) fn chart(all: &[LoadCurve]) -> Chart {
    let content = content(all).ok_or("no latency was measured at any rate");
    Chart::new("Latency against throughput", all.iter().map(LoadCurve::describe), content)
}

fn content(all: &[LoadCurve]) -> Option<Content> {
    let points = || all.iter().flat_map(|curve| &curve.points);
    // A rate at which nothing was received has no place and must not stretch the axis.
    let drawn = points().filter(|point| point.p50_ns.or(point.p99_ns).is_some());
    let rates = Range::of(drawn.map(|point| point.achieved_per_s))?;
    let latencies = points().flat_map(|point| [point.p50_ns, point.p99_ns]).flatten();
    let latencies = Range::of(latencies.map(|ns| ns as f64))?;
    let marked: Vec<(Mark, Key)> = all.iter().enumerate().filter_map(|of| mark(of, all)).collect();
    let (marks, mut keys): (Vec<_>, Vec<_>) = marked.into_iter().unzip();
    if points().any(|point| !point.is_valid) {
        let marker = Some(("hollow plain".to_owned(), 0));
        keys.push(Key {
            sign: Sign::Line("line unsure plain".to_owned(), marker),
            text: "measurement not valid".to_owned(),
        });
    }
    let rows = axis::fitting(latencies, 9, label::latency);
    Some(Content {
        columns_title: "messages a second that were answered",
        marks,
        keys,
        ..Content::new(rate_axis(rates), rows, 320.0, curves(all))
    })
}

fn curves(all: &[LoadCurve]) -> Vec<Curve> {
    let p99 = |point: &LoadPoint| point.p99_ns;
    let p50 = |point: &LoadPoint| point.p50_ns;
    if let [only] = all {
        return vec![
            curve("p99".to_owned(), 1, false, only, p99),
            curve("p50".to_owned(), 0, false, only, p50),
        ];
    }
    let of_one = |(number, one): (usize, &LoadCurve)| {
        [
            curve(format!("{}, p99", one.name), number, false, one, p99),
            curve(format!("{}, p50", one.name), number, true, one, p50),
        ]
    };
    all.iter().enumerate().flat_map(of_one).collect()
}

/// One percentile over the rate. Points without a value are left out.
fn curve(
    name: String,
    number: usize,
    is_thin: bool,
    of: &LoadCurve,
    value: fn(&LoadPoint) -> Option<u64>,
) -> Curve {
    let point = |point: &LoadPoint| {
        let ns = value(point)?;
        let flaw = if point.is_valid { "" } else { ", not valid" };
        Some(CurvePoint {
            at: (point.achieved_per_s, ns as f64),
            is_certain: point.is_valid,
            is_marked: true,
            tip: format!(": {} at {}{flaw}", label::measured_latency(ns), point.rate()),
        })
    };
    Curve { name, number, is_thin, stretches: vec![of.points.iter().filter_map(point).collect()] }
}

fn mark((number, curve): (usize, &LoadCurve), all: &[LoadCurve]) -> Option<(Mark, Key)> {
    let (name, point) = curve.marked()?;
    let is_alone = all.len() == 1;
    let of = if is_alone { String::new() } else { format!(" of {}", curve.name) };
    let mark = Mark {
        colour: if is_alone { "plain" } else { colour(number) },
        column: point.achieved_per_s,
        ringed: point.p99_ns.map(|ns| ns as f64),
    };
    let sign = Sign::Line(mark.class(), None);
    Some((mark, Key { sign, text: format!("{name}{of} at {}", point.rate()) }))
}

/// From nothing, so that equal ways are equal rates; of ratios if a sweep spans decades.
fn rate_axis(range: Range) -> Axis {
    const SPANS_DECADES: f64 = 20.0;
    let low = range.low.max(1.0);
    if range.high / low > SPANS_DECADES {
        return axis::fitting(Range { low, high: range.high }, 10, label::rate);
    }
    axis::of_differences(Range { low: 0.0, high: range.high.max(1.0) }, 10, label::rate)
}
