//! Throughput over a run's time, beside what was asked for.

use super::axis::{self, Axis, Range, Scale, time_ticks};
use super::canvas::Shape;
use super::chart::Content;
use super::curve::{Band, Curve, CurvePoint, Level, State, Weight, colour};
use super::label;
use super::paper::INNER;
use super::timeline::{Step, Timeline};

/// The rates of the runs, with room above them.
pub(super) fn throughput(runs: &[Timeline], end_s: f64) -> Content {
    let (bands, offered_per_s) = match runs {
        [only] => (vec![only.rate_band()], only.offered_per_s),
        _ => (Vec::new(), None),
    };
    let rates = runs.iter().flat_map(|run| &run.steps).map(|step| step.messages_per_s);
    let high = Range::of(rates.chain(offered_per_s).chain([1.0])).map_or(1.0, |range| range.high);
    let level = offered_per_s.map(|per_s| Level { colour: "plain", row: per_s });
    let key = level.iter().map(|level| level.key(format!("offered: {}", label::rate(level.row))));
    let keys = key.collect();
    let name = if level.is_some() { "answered" } else { "" };
    let curves = runs.iter().map(|run| run.rate_curve(name.to_owned())).collect();
    let columns = Axis { scale: Scale::linear(0.0, end_s), ticks: named_times(end_s) };
    let rows = axis::with_headroom(high, 5, label::rate);
    Content {
        columns_title: "time since measuring started",
        bands,
        levels: level.into_iter().collect(),
        keys,
        ..Content::new(columns, rows, 96.0, curves)
    }
}

pub(super) fn named_times(end_s: f64) -> Vec<(f64, String)> {
    const ROOM: f64 = 60.0;
    let (ticks, step_s) = time_ticks(end_s, (INNER / ROOM) as usize);
    ticks.into_iter().map(|time| (time, label::time(time, step_s))).collect()
}

impl Timeline {
    fn rate_curve(&self, name: String) -> Curve {
        let corner = |at: (f64, f64)| CurvePoint {
            at,
            state: State::Certain,
            is_marked: false,
            tip: String::new(),
        };
        let corners = |step: &Step| {
            [step.span.start_s(), step.span.end_s()].map(|s| corner((s, step.messages_per_s)))
        };
        let stretches =
            self.steps.chunk_by(|before, after| before.span.end_ns >= after.span.start_ns);
        let stretches = stretches.map(|stretch| stretch.iter().flat_map(corners).collect());
        Curve {
            name,
            series: self.series_of_rate(),
            shape: Shape::Circle,
            weight: self.weight(Weight::Main),
            stretches: stretches.collect(),
        }
    }

    /// The area below the rate.
    fn rate_band(&self) -> Band {
        let corners = |step: &Step| {
            [step.span.start_s(), step.span.end_s()].map(|s| (s, 0.0, step.messages_per_s))
        };
        let stretches = self.steps.iter().map(|step| corners(step).to_vec());
        Band {
            class: format!("band {}", colour(self.series_of_rate())),
            stretches: stretches.collect(),
        }
    }

    /// The colour of the rate: that of the run among several, and of a run alone one that no
    /// latency has.
    fn series_of_rate(&self) -> usize {
        const NO_LATENCY: usize = 2;
        if self.is_alone() { NO_LATENCY } else { self.number }
    }
}
