//! Latency against throughput: how a server's latency grows with what is asked of it.

use super::axis::{self, Axis, Range};
use super::canvas::Shape;
use super::chart::{Chart, Content};
use super::curve::{Curve, CurvePoint, Level, Mark, State, Weight, colour};
use super::label;
use super::legend::{Key, Sign};

/// Latencies at several rates, of one sweep or search.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LoadCurve {
    pub(super) name: String,
    /// The percentiles that are drawn, by their names; the one that matters most first.
    pub(super) percentiles: Vec<String>,
    /// Ascending by the rate that was asked for; joined in this order.
    pub(super) points: Vec<LoadPoint>,
    /// The point that it was made for, if there is one.
    pub(super) aim: Option<Aim>,
    /// Latencies that decide on a point.
    pub(super) bounds: Vec<Bound>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct LoadPoint {
    /// Messages a second that were answered.
    pub(super) achieved_per_s: f64,
    /// One for each of the curve's percentiles, in nanoseconds; `None` if there were too few to
    /// say.
    pub(super) latencies_ns: Vec<Option<u64>>,
    pub(super) result: PointResult,
}

/// The result of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointResult {
    Passed,
    /// The server failed, or what was asserted does not hold.
    Failed,
    /// The measurement is not valid, and so says nothing of the server.
    NotValid,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Aim {
    /// Its place among the points.
    pub(super) point: usize,
    /// The words before its rate, as in `knee at`.
    pub(super) words: &'static str,
    /// The rate that was asked for.
    pub(super) rate_per_s: u64,
    /// The place of the percentile that decided among those that are drawn.
    pub(super) percentile: usize,
}

/// A latency that a percentile must not exceed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    pub(super) name: String,
    pub(super) latency_ns: u64,
    /// True if it was asserted, false if it follows from what was measured.
    pub(super) is_asserted: bool,
}

impl Aim {
    fn short(&self) -> String {
        format!("{} {}", self.words, label::measured_rate(self.rate_per_s as f64))
    }
}

impl LoadPoint {
    fn rate(&self) -> String {
        label::measured_rate(self.achieved_per_s)
    }

    fn is_drawn(&self) -> bool {
        self.latencies_ns.iter().any(Option::is_some)
    }
}

impl PointResult {
    pub(super) const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::NotValid];

    fn state(self) -> State {
        match self {
            Self::Passed => State::Certain,
            Self::Failed => State::Failed,
            Self::NotValid => State::Uncertain,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Passed => "",
            Self::Failed => "failed",
            Self::NotValid => "not valid",
        }
    }

    /// Its place in a legend, of points that are not as usual.
    fn key(self) -> Option<Key> {
        let sign = match self {
            Self::Passed => return None,
            Self::Failed => Sign::Marker("mark bad".to_owned(), Shape::Cross),
            Self::NotValid => Sign::MarkedLine {
                line: "line unsure plain".to_owned(),
                marker: "hollow plain".to_owned(),
                shape: Shape::Circle,
            },
        };
        Some(Key { sign, text: self.words().to_owned() })
    }
}

impl LoadCurve {
    /// The point that it was made for.
    fn found(&self) -> Option<(&Aim, &LoadPoint)> {
        let aim = self.aim.as_ref()?;
        Some((aim, self.points.get(aim.point)?))
    }

    fn describe(&self) -> String {
        let found = self.aim.as_ref().map(Aim::short);
        let bounds = self.bounds.iter().map(|bound| bound.name.clone());
        let count = |result: &PointResult| {
            let points = self.points.iter().filter(|point| point.result == *result).count();
            (points > 0 && *result != PointResult::Passed)
                .then(|| format!("{points} {}", result.words()))
        };
        let rates = format!("{}: {} rates", self.name, self.points.len());
        let parts = PointResult::ALL.iter().filter_map(count);
        let parts = [rates].into_iter().chain(parts).chain(found).chain(bounds);
        parts.collect::<Vec<_>>().join(", ")
    }

    /// One percentile over the rate. Points without a value are left out.
    fn curve(&self, number: usize, percentile: usize, is_alone: bool) -> Curve {
        let name = &self.percentiles[percentile];
        let point = |point: &LoadPoint| {
            let ns = (*point.latencies_ns.get(percentile)?)?;
            let flaw = match point.result {
                PointResult::Passed => String::new(),
                other => format!(", {}", other.words()),
            };
            Some(CurvePoint {
                at: (point.achieved_per_s, ns as f64),
                state: point.result.state(),
                is_marked: true,
                tip: format!(": {} at {}{flaw}", label::measured_latency(ns), point.rate()),
            })
        };
        Curve {
            name: if is_alone { name.clone() } else { format!("{}, {name}", self.name) },
            series: number,
            shape: Shape::of(if is_alone { percentile } else { number }),
            weight: if percentile == 0 { Weight::Main } else { Weight::Thin },
            stretches: vec![self.points.iter().filter_map(point).collect()],
        }
    }

    /// The beginning of a key's text, where there are others.
    fn prefix(&self, is_alone: bool) -> String {
        if is_alone { String::new() } else { format!("{}: ", self.name) }
    }

    fn mark(&self, number: usize, is_alone: bool) -> Option<(Mark, Key)> {
        let (aim, point) = self.found()?;
        let decided = point.latencies_ns.get(aim.percentile);
        let of = self.prefix(is_alone);
        let mark = Mark {
            colour: if is_alone { "plain" } else { colour(number) },
            column: point.achieved_per_s,
            ringed: decided.copied().flatten().map(|ns| ns as f64),
        };
        let key = mark.key(format!("{of}{}", aim.short()));
        Some((mark, key))
    }

    fn levels(&self, number: usize, is_alone: bool) -> impl Iterator<Item = (Level, Key)> {
        let of = self.prefix(is_alone);
        self.bounds.iter().map(move |bound| {
            let colour = match (is_alone, bound.is_asserted) {
                (false, _) => colour(number),
                (true, true) => "bad",
                (true, false) => "plain",
            };
            let level = Level { colour, row: bound.latency_ns as f64 };
            let key = level.key(format!("{of}{}", bound.name));
            (level, key)
        })
    }
}

/// The chart of one or several curves, each in a colour of its own.
pub(super) fn chart(all: &[LoadCurve]) -> Chart {
    let content = content(all).ok_or("no latency was measured at any rate");
    Chart::new("Latency against throughput", all.iter().map(LoadCurve::describe), content)
}

fn content(all: &[LoadCurve]) -> Option<Content> {
    // A rate at which nothing was received has no place and must not stretch the axis.
    let drawn = || all.iter().flat_map(|curve| &curve.points).filter(|point| point.is_drawn());
    let rates = Range::of(drawn().map(|point| point.achieved_per_s))?;
    let measured = drawn().flat_map(|point| &point.latencies_ns).flatten();
    let bounds = all.iter().flat_map(|curve| &curve.bounds).map(|bound| &bound.latency_ns);
    let latencies = Range::of(measured.chain(bounds).map(|ns| *ns as f64))?;
    let is_alone = all.len() == 1;
    let numbered = || all.iter().enumerate();
    let marked = numbered().filter_map(|(number, curve)| curve.mark(number, is_alone));
    let (marks, of_marks): (Vec<_>, Vec<_>) = marked.unzip();
    let bounded = numbered().flat_map(|(number, curve)| curve.levels(number, is_alone));
    let (levels, of_levels): (Vec<_>, Vec<_>) = bounded.unzip();
    let has = |result: &PointResult| drawn().any(|point| point.result == *result);
    let of_points = PointResult::ALL.into_iter().filter(has).filter_map(PointResult::key);
    let curves = numbered().flat_map(|(number, curve)| {
        let percentiles = 0..curve.percentiles.len();
        percentiles.map(move |percentile| curve.curve(number, percentile, is_alone))
    });
    let rows = axis::fitting(latencies, 9, label::latency);
    Some(Content {
        columns_title: "messages a second that were answered",
        marks,
        levels,
        keys: of_marks.into_iter().chain(of_levels).chain(of_points).collect(),
        ..Content::new(rate_axis(rates), rows, 320.0, curves.collect())
    })
}

/// From nothing, so that equal ways are equal rates; of ratios if a sweep spans decades.
fn rate_axis(range: Range) -> Axis {
    const SPANS_DECADES: f64 = 20.0;
    let low = range.low.max(1.0);
    if range.high / low > SPANS_DECADES {
        return axis::fitting(Range { low, high: range.high }, 8, label::rate);
    }
    axis::of_differences(Range { low: 0.0, high: range.high.max(1.0) }, 8, label::rate)
}
