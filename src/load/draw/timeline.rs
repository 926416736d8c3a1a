//! Latency and throughput over a run's time, with the machine's own stalls.

use std::time::Duration;

use super::axis::{Axis, Range, Scale, time_ticks};
use super::canvas::{Canvas, Point};
use super::curve::{Curve, CurvePoint};
use super::frame::{INNER, Key, Plot, Sign, colour, draw_heading, draw_legend};
use super::label;
use super::span::Span;

const LATENCY_HEIGHT: f64 = 230.0;
const THROUGHPUT_HEIGHT: f64 = 90.0;
/// With more intervals markers would hide the line.
const MAX_MARKED: usize = 60;

/// A run over its time: latencies, throughput, and the stalls of the generator's machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Timeline {
    /// One alone is shown with three of its percentiles, several with one each.
    pub(super) runs: Vec<TimelineRun>,
}

/// One run over its time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimelineRun {
    /// For the legend; empty if the picture is of this run only.
    pub(super) name: String,
    /// Ascending. A few hundred are as many as can be seen.
    pub(super) intervals: Vec<Interval>,
    /// The rate, ascending; there is a gap where none is known.
    pub(super) steps: Vec<Step>,
    /// When the machine kept the generator from running.
    pub(super) stalls: Vec<Stall>,
}

/// The latencies of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) span: Span,
    /// Half of its messages were no slower, in nanoseconds; `None` if it has too few.
    pub(super) p50_ns: Option<u64>,
    /// 99 of 100 were no slower.
    pub(super) p99_ns: Option<u64>,
    /// None was slower.
    pub(super) max_ns: Option<u64>,
}

/// The rate of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) span: Span,
    /// Messages answered in it, a second.
    pub(super) messages_per_s: f64,
}

/// A time in which the machine stalled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stall {
    /// The time that it is known to lie in.
    pub(super) span: Span,
    /// The longest host stall in it, in nanoseconds.
    pub(super) longest_ns: u64,
}

impl Timeline {
    /// Draws it below `top`; returns where what follows begins.
    pub(super) fn draw(&self, canvas: &mut Canvas, top: f64) -> f64 {
        let top = draw_heading(canvas, top, &self.heading());
        let ends = self.intervals().map(|interval| interval.span.end_s());
        let end_s = Range::of(ends.chain(self.steps().map(|step| step.span.end_s())));
        let Some(end_s) = end_s.map(|range| range.high).filter(|end_s| *end_s > 0.0) else {
            return Plot::draw_nothing(canvas, top, "no interval was recorded");
        };
        let curves = self.curves();
        let latency_top = draw_legend(canvas, top, &self.legend(&curves)) + 12.0;
        let points = curves.iter().flat_map(|curve| curve.stretches.iter().flatten());
        let latencies = points.map(|point| point.at.1);
        let stalls = self.stalls().map(|stall| stall.longest_ns as f64);
        let range = Range::of(latencies.chain(stalls));
        let range = range.unwrap_or(Range { low: 1e3, high: 1e6 });
        let rows = Axis::fitting(range, 1.0, Plot::upwards(latency_top, LATENCY_HEIGHT), 8);
        let row_labels: Vec<String> = rows.ticks.iter().map(|ns| label::latency(*ns)).collect();

        let rate_top = latency_top + LATENCY_HEIGHT + 58.0;
        let highest = self.steps().map(|step| step.messages_per_s);
        let highest = Range::of(highest.chain([1.0])).map_or(1.0, |range| range.high);
        let rates = Axis::of_differences(
            Range { low: 0.0, high: highest },
            Plot::upwards(rate_top, THROUGHPUT_HEIGHT),
            4,
        );
        let rate_labels: Vec<String> = rates.ticks.iter().map(|rate| label::rate(*rate)).collect();

        let all_labels = || row_labels.iter().chain(&rate_labels);
        let plot = Plot::beside(all_labels(), latency_top, LATENCY_HEIGHT);
        let columns = Scale::linear(0.0, end_s, plot.left, plot.right);
        let ticks = named_times(end_s);
        let unnamed: Vec<_> = ticks.iter().map(|(time, _)| (*time, String::new())).collect();
        plot.draw_columns(canvas, &columns, &unnamed);
        self.draw_stalls(canvas, &columns, &rows.scale, &plot);
        plot.draw_rows(canvas, &rows, &row_labels);
        curves.iter().for_each(|curve| curve.draw(canvas, &columns, &rows.scale));

        draw_heading(canvas, rate_top - 34.0, "Throughput");
        let plot = Plot::beside(all_labels(), rate_top, THROUGHPUT_HEIGHT);
        plot.draw_columns(canvas, &columns, &ticks);
        plot.draw_rows(canvas, &rates, &rate_labels);
        self.draw_throughput(canvas, &columns, &rates.scale, &plot);
        plot.draw_title(canvas, "time since measuring started")
    }

    /// The panel in words.
    pub(super) fn describe(&self) -> String {
        let runs = self.runs.iter().map(|run| {
            let slowest = run.intervals.iter().filter_map(|interval| interval.max_ns).max();
            let slowest = slowest.map_or("unknown".to_owned(), label::measured_latency);
            let longest = run.stalls.iter().map(|stall| stall.longest_ns).max();
            let stalls = longest.map_or("no host stall".to_owned(), |longest_ns| {
                format!("longest host stall {}", label::measured_latency(longest_ns))
            });
            let intervals = run.intervals.len();
            format!("{}: {intervals} intervals, slowest message {slowest}, {stalls}", run.name)
        });
        format!("Latency and throughput over time: {}", runs.collect::<Vec<_>>().join("; "))
    }

    /// Names a run that is alone here, but maybe not in the picture.
    fn heading(&self) -> String {
        match self.runs.as_slice() {
            [run] if !run.name.is_empty() => format!("Latency over time of {}", run.name),
            _ => "Latency over time".to_owned(),
        }
    }

    fn intervals(&self) -> impl Iterator<Item = &Interval> {
        self.runs.iter().flat_map(|run| &run.intervals)
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.runs.iter().flat_map(|run| &run.steps)
    }

    fn stalls(&self) -> impl Iterator<Item = &Stall> {
        self.runs.iter().flat_map(|run| &run.stalls)
    }

    /// Three of a run that is alone, else the one that shows most of each.
    fn curves(&self) -> Vec<Curve> {
        if let [run] = self.runs.as_slice() {
            return vec![
                curve("slowest".to_owned(), 3, run, |interval| interval.max_ns),
                curve("p99".to_owned(), 1, run, |interval| interval.p99_ns),
                curve("p50".to_owned(), 0, run, |interval| interval.p50_ns),
            ];
        }
        let numbered = self.runs.iter().enumerate();
        numbered
            .map(|(number, run)| {
                curve(format!("{}, p99", run.name), number, run, |interval| interval.p99_ns)
            })
            .collect()
    }

    fn legend(&self, curves: &[Curve]) -> Vec<Key> {
        let mut keys: Vec<Key> = curves.iter().map(Curve::key).collect();
        if self.stalls().next().is_some() {
            keys.push(Key {
                sign: Sign::Area { class: "stall".to_owned() },
                text: "host stall of this length".to_owned(),
            });
        }
        keys
    }

    fn draw_stalls(&self, canvas: &mut Canvas, columns: &Scale, rows: &Scale, plot: &Plot) {
        /// Anything narrower could not be seen.
        const MIN_WIDTH: f64 = 2.0;
        for stall in self.stalls() {
            let left = columns.px(stall.span.start_s()).min(plot.right - MIN_WIDTH);
            let right = columns.px(stall.span.end_s()).max(left + MIN_WIDTH);
            let top = rows.px(stall.longest_ns as f64).min(plot.bottom - MIN_WIDTH);
            canvas.rect("stall", (left, top), (right, plot.bottom));
        }
    }

    fn draw_throughput(&self, canvas: &mut Canvas, columns: &Scale, rows: &Scale, plot: &Plot) {
        for (number, run) in self.runs.iter().enumerate() {
            let class = if self.runs.len() == 1 { colour(2) } else { colour(number) };
            let is_apart = |before: &Step, after: &Step| before.span.end_ns < after.span.start_ns;
            for stretch in run.steps.chunk_by(|before, after| !is_apart(before, after)) {
                let mut corners: Vec<Point> = Vec::with_capacity(2 * stretch.len());
                for step in stretch {
                    let y = rows.px(step.messages_per_s);
                    let (from, to) =
                        (columns.px(step.span.start_s()), columns.px(step.span.end_s()));
                    if self.runs.len() == 1 && to > from {
                        canvas.rect(&format!("band {class}"), (from, y), (to, plot.bottom));
                    }
                    corners.extend([(from, y), (to, y)]);
                }
                canvas.polyline(&format!("line {class}"), &corners);
            }
        }
    }
}

fn named_times(end_s: f64) -> Vec<(f64, String)> {
    const ROOM: f64 = 60.0;
    let (ticks, step_s) = time_ticks(end_s, (INNER / ROOM) as usize);
    ticks.into_iter().map(|time| (time, label::time(time, step_s))).collect()
}

/// One percentile over time, at the middle of each interval. Where nothing was logged there is a
/// gap, and where an interval has no value.
fn curve(
    name: String,
    number: usize,
    run: &TimelineRun,
    value: impl Fn(&Interval) -> Option<u64>,
) -> Curve {
    let is_marked = run.intervals.len() <= MAX_MARKED;
    let point = |interval: &Interval| {
        let ns = value(interval)?;
        let Span { start_ns, end_ns } = interval.span;
        Some(CurvePoint {
            at: (Duration::from_nanos(u64::midpoint(start_ns, end_ns)).as_secs_f64(), ns as f64),
            is_certain: true,
            is_marked,
            tip: format!(": {}", label::measured_latency(ns)),
        })
    };
    let is_joined = |before: &Interval, after: &Interval| {
        !before.span.is_apart_from(&after.span) && value(before).is_some() == value(after).is_some()
    };
    let stretches = run.intervals.chunk_by(is_joined);
    let stretches = stretches.map(|stretch| stretch.iter().filter_map(point).collect());
    Curve { name, number, is_thin: false, stretches: stretches.collect() }
}
