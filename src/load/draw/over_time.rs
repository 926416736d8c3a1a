//! The charts of a run's time.

use super::axis::{self, Axis, Range, Scale};
use super::canvas::Shape;
use super::chart::{Chart, Content};
use super::curve::{Band, Curve, CurvePoint, Dashes, State, Weight, colour};
use super::label;
use super::legend::{Key, Sign};
use super::throughput::{named_times, throughput};
use super::timeline::{Interval, Stall, Timeline};

/// The charts of latency and of throughput: of one run with three of its percentiles, of several
/// with one each.
pub(super) fn charts(runs: &[Timeline]) -> Vec<Chart> {
    let heading = match runs {
        // Alone here, but not in the picture.
        [run] if !run.is_alone() => format!("Latency over time of {}", run.name),
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
    let (bands, curves) = match runs {
        [run] => fan(run),
        several => beside_each_other(several),
    };
    let dashes: Vec<Dashes> =
        runs.iter().filter(|run| !run.stalls.is_empty()).map(Timeline::dashes).collect();
    let points = curves.iter().flat_map(|curve| curve.stretches.iter().flatten());
    let latencies = points.map(|point| point.at.1);
    let lower =
        bands.iter().flat_map(|band| band.stretches.iter().flatten()).map(|(_, low, _)| *low);
    let stalls = runs.iter().flat_map(|run| &run.stalls).map(|stall| stall.longest_ns as f64);
    let range = Range::of(latencies.chain(lower).chain(stalls));
    let unnamed = named_times(end_s).into_iter().map(|(time, _)| (time, String::new()));
    let columns = Axis { scale: Scale::linear(0.0, end_s), ticks: unnamed.collect() };
    let range = range.unwrap_or(Range { low: 1e3, high: 1e6 });
    let rows = axis::fitting(range, 8, label::latency);
    let keys = key_of_stalls(runs).into_iter().collect();
    Content { dashes, bands, keys, ..Content::new(columns, rows, 230.0, curves) }
}

/// Three percentiles of one run, and the areas between them.
fn fan(run: &Timeline) -> (Vec<Band>, Vec<Curve>) {
    let bands = vec![
        run.band("band faint", |interval| {
            Some((interval.p99_ns.or(interval.p50_ns)?, interval.max_ns?))
        }),
        run.band("band", |interval| Some((interval.p50_ns?, interval.p99_ns?))),
    ];
    let curves = vec![
        run.curve("slowest", (Shape::Up, Weight::Thin), |interval| interval.max_ns),
        run.curve("p99", (Shape::Square, Weight::Thin), |interval| interval.p99_ns),
        run.curve("p50", (Shape::Circle, Weight::Main), |interval| interval.p50_ns),
    ];
    (bands, curves)
}

/// The p99 of each run and the area from the median to it, or where no interval has enough messages
/// for one the slowest of them.
fn beside_each_other(runs: &[Timeline]) -> (Vec<Band>, Vec<Curve>) {
    let is_known = runs.iter().flat_map(|run| &run.intervals).any(|each| each.p99_ns.is_some());
    let (name, value): (&str, fn(&Interval) -> Option<u64>) = match is_known {
        true => ("p99", |interval| interval.p99_ns),
        false => ("slowest", |interval| interval.max_ns),
    };
    let curve = |run: &Timeline| {
        let name = format!("{}, {name}", run.name);
        run.curve(name, (Shape::of(run.number), Weight::Main), value)
    };
    let band = |run: &Timeline| run.band("band faint", |each| Some((each.p50_ns?, each.p99_ns?)));
    (runs.iter().map(band).collect(), runs.iter().map(curve).collect())
}

fn key_of_stalls(runs: &[Timeline]) -> Option<Key> {
    let first = runs.iter().find(|run| !run.stalls.is_empty())?;
    let text = match runs {
        [_] => "host stall",
        _ => "host stall, in its run's colour",
    };
    let sign = match runs {
        [_] => first.dashes().class,
        _ => "stall plain".to_owned(),
    };
    Some(Key { sign: Sign::Area(sign), text: text.to_owned() })
}

impl Timeline {
    /// One percentile: a step for each interval, as wide as that is.
    fn curve(
        &self,
        name: impl Into<String>,
        (shape, weight): (Shape, Weight),
        value: fn(&Interval) -> Option<u64>,
    ) -> Curve {
        let corners = |(interval, ns): &(&Interval, u64)| {
            let Interval { span, .. } = interval;
            let middle = (span.middle_s(), !self.is_dense());
            [(span.start_s(), false), middle, (span.end_s(), false)].map(|(s, is_marked)| {
                let tip = format!(": {}", label::measured_latency(*ns));
                CurvePoint { at: (s, *ns as f64), state: State::Certain, is_marked, tip }
            })
        };
        let stretches = self.stretches(value);
        let stretches = stretches.iter().map(|stretch| stretch.iter().flat_map(corners).collect());
        Curve {
            name: name.into(),
            series: self.number,
            shape,
            weight: self.weight(weight),
            stretches: stretches.collect(),
        }
    }

    /// A weight as dense steps can bear it.
    pub(super) fn weight(&self, weight: Weight) -> Weight {
        if self.is_dense() { weight.lighter() } else { weight }
    }

    /// The area between two percentiles, where both are known.
    fn band(&self, class: &str, bounds: fn(&Interval) -> Option<(u64, u64)>) -> Band {
        let corners = |(interval, (low, high)): &(&Interval, (u64, u64))| {
            let Interval { span, .. } = interval;
            [span.start_s(), span.end_s()].map(|s| (s, *low as f64, *high as f64))
        };
        let stretches = self.stretches(bounds);
        let stretches = stretches.iter().map(|stretch| stretch.iter().flat_map(corners).collect());
        Band { class: format!("{class} {}", colour(self.number)), stretches: stretches.collect() }
    }

    fn dashes(&self) -> Dashes {
        let dash =
            |stall: &Stall| (stall.span.start_s(), stall.span.end_s(), stall.longest_ns as f64);
        let colour = if self.is_alone() { "plain" } else { colour(self.number) };
        Dashes { class: format!("stall {colour}"), dashes: self.stalls.iter().map(dash).collect() }
    }
}
