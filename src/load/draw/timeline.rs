//! Latency and throughput over a run's time, with the machine's own stalls.

use super::axis::{self, Axis, Range, Scale, time_ticks};
use super::chart::{Area, Chart, Content, Curve, CurvePoint, INNER, Key, Sign, colour};
use super::label;
use super::span::Span;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    /// For the legend; empty if the picture is of this run only.
    pub(super) name: String,
    /// Ascending. A few hundred are as many as can be seen.
    pub(super) intervals: Vec<Interval>,
    /// The rate, ascending; there is a gap where none is known.
    pub(super) steps: Vec<Step>,
    /// When the machine kept the generator from running.
    pub(super) stalls: Vec<Stall>,
}

/// The latencies of a stretch of time, in nanoseconds; `None` where it has too few.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) span: Span,
    pub(super) p50_ns: Option<u64>,
    pub(super) p99_ns: Option<u64>,
    pub(super) max_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) span: Span,
    pub(super) messages_per_s: f64,
}

/// A time in which the machine stalled, and its longest stall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stall {
    pub(super) span: Span,
    pub(super) longest_ns: u64,
}

impl Timeline {
    fn describe(&self) -> String {
        let slowest = self.intervals.iter().filter_map(|interval| interval.max_ns).max();
        let slowest = slowest.map_or("unknown".to_owned(), label::measured_latency);
        let longest = self.stalls.iter().map(|stall| stall.longest_ns).max();
        let stalls = longest.map_or("no host stall".to_owned(), |longest_ns| {
            format!("longest host stall {}", label::measured_latency(longest_ns))
        });
        let intervals = self.intervals.len();
        format!("{}: {intervals} intervals, slowest message {slowest}, {stalls}", self.name)
    }

    /// One percentile, at the middle of each interval. Where nothing was logged there is a gap, and
    /// where an interval has no value.
    fn curve(&self, name: String, number: usize, value: fn(&Interval) -> Option<u64>) -> Curve {
        /// With more intervals markers would hide the line.
        const MAX_MARKED: usize = 60;
        let is_marked = self.intervals.len() <= MAX_MARKED;
        let point = |interval: &Interval| {
            let ns = value(interval)?;
            Some(CurvePoint {
                at: (interval.span.middle_s(), ns as f64),
                is_certain: true,
                is_marked,
                tip: format!(": {}", label::measured_latency(ns)),
            })
        };
        let is_joined = |before: &Interval, after: &Interval| {
            !before.span.is_apart_from(&after.span)
                && value(before).is_some() == value(after).is_some()
        };
        let stretches = self.intervals.chunk_by(is_joined);
        let stretches = stretches.map(|stretch| stretch.iter().filter_map(point).collect());
        Curve { name, number, is_thin: false, stretches: stretches.collect() }
    }

    fn rate_curve(&self, number: usize) -> Curve {
        let corner = |at: (f64, f64)| CurvePoint {
            at,
            is_certain: true,
            is_marked: false,
            tip: String::new(),
        };
        let corners = |step: &Step| {
            [step.span.start_s(), step.span.end_s()].map(|s| corner((s, step.messages_per_s)))
        };
        let stretches =
            self.steps.chunk_by(|before, after| before.span.end_ns >= after.span.start_ns);
        let stretches = stretches.map(|stretch| stretch.iter().flat_map(corners).collect());
        Curve { name: String::new(), number, is_thin: false, stretches: stretches.collect() }
    }
}

/// The charts of latency and of throughput: of one run with three of its percentiles, of several
/// with one each.
pub(super) fn charts(runs: &[Timeline]) -> Vec<Chart> {
    let heading = match runs {
        // Alone here, but maybe not in the picture.
        [run] if !run.name.is_empty() => format!("Latency over time of {}", run.name),
        _ => "Latency over time".to_owned(),
    };
    let described: Vec<String> = runs.iter().map(Timeline::describe).collect();
    let description = format!("Latency and throughput over time: {}", described.join("; "));
    let spans = || {
        let intervals = runs.iter().flat_map(|run| &run.intervals).map(|interval| interval.span);
        intervals.chain(runs.iter().flat_map(|run| &run.steps).map(|step| step.span))
    };
    let end_s = Range::of(spans().map(|span| span.end_s())).map_or(0.0, |range| range.high);
    if end_s <= 0.0 {
        return vec![Chart { heading, description, content: Err("no interval was recorded") }];
    }
    let throughput = Chart {
        heading: "Throughput".to_owned(),
        description: String::new(),
        content: Ok(throughput(runs, end_s)),
    };
    vec![Chart { heading, description, content: Ok(latency(runs, end_s)) }, throughput]
}

fn latency(runs: &[Timeline], end_s: f64) -> Content {
    let curves: Vec<Curve> = match runs {
        [run] => vec![
            run.curve("slowest".to_owned(), 3, |interval| interval.max_ns),
            run.curve("p99".to_owned(), 1, |interval| interval.p99_ns),
            run.curve("p50".to_owned(), 0, |interval| interval.p50_ns),
        ],
        several => {
            let p99 = |(run, number): (&Timeline, usize)| {
                run.curve(format!("{}, p99", run.name), number, |interval| interval.p99_ns)
            };
            several.iter().zip(0..).map(p99).collect()
        }
    };
    let stalls = || runs.iter().flat_map(|run| &run.stalls);
    let points = curves.iter().flat_map(|curve| curve.stretches.iter().flatten());
    let latencies = points.map(|point| point.at.1);
    let range = Range::of(latencies.chain(stalls().map(|stall| stall.longest_ns as f64)));
    let of_stalls = stalls()
        .next()
        .map(|_| Key { sign: Sign::Area("stall"), text: "host stall of this length".to_owned() });
    let area = |stall: &Stall| Area {
        class: "stall".to_owned(),
        span: (stall.span.start_s(), stall.span.end_s()),
        top: stall.longest_ns as f64,
        min_px: 2.0,
    };
    let unnamed = named_times(end_s).into_iter().map(|(time, _)| (time, String::new()));
    let columns = Axis { scale: Scale::linear(0.0, end_s), ticks: unnamed.collect() };
    let range = range.unwrap_or(Range { low: 1e3, high: 1e6 });
    let rows = axis::fitting(range, 8, label::latency);
    let areas = stalls().map(area).collect();
    Content {
        areas,
        keys: of_stalls.into_iter().collect(),
        ..Content::new(columns, rows, 230.0, curves)
    }
}

fn throughput(runs: &[Timeline], end_s: f64) -> Content {
    let rates = runs.iter().flat_map(|run| &run.steps).map(|step| step.messages_per_s);
    let high = Range::of(rates.chain([1.0])).map_or(1.0, |range| range.high);
    let number = |place: usize| if runs.len() == 1 { 2 } else { place };
    let band = |step: &Step| Area {
        class: format!("band {}", colour(number(0))),
        span: (step.span.start_s(), step.span.end_s()),
        top: step.messages_per_s,
        min_px: 0.0,
    };
    let areas = match runs {
        [only] => only.steps.iter().map(band).collect(),
        _ => Vec::new(),
    };
    let columns = Axis { scale: Scale::linear(0.0, end_s), ticks: named_times(end_s) };
    let rows = axis::of_differences(Range { low: 0.0, high }, 4, label::rate);
    let curves = runs.iter().zip(0..).map(|(run, place)| run.rate_curve(number(place))).collect();
    let columns_title = "time since measuring started";
    Content { columns_title, areas, ..Content::new(columns, rows, 90.0, curves) }
}

fn named_times(end_s: f64) -> Vec<(f64, String)> {
    const ROOM: f64 = 60.0;
    let (ticks, step_s) = time_ticks(end_s, (INNER / ROOM) as usize);
    ticks.into_iter().map(|time| (time, label::time(time, step_s))).collect()
}
