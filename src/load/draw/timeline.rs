//! A run's time: its latencies, its rate, and the machine's own stalls.

use super::label;
use super::span::Span;
use crate::load::format::counted;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    /// For the legend; empty if the picture is of this run only.
    pub(super) name: String,
    /// Its place among the runs of the picture, which have the same colour in every chart.
    pub(super) number: usize,
    /// Messages a second that were meant to be sent, where that is known.
    pub(super) offered_per_s: Option<f64>,
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
    pub(super) fn describe(&self) -> String {
        let slowest = self.intervals.iter().filter_map(|interval| interval.max_ns).max();
        let slowest = slowest.map_or("unknown".to_owned(), label::measured_latency);
        let longest = self.stalls.iter().map(|stall| stall.longest_ns).max();
        let stalls = longest.map_or("no host stall".to_owned(), |longest_ns| {
            format!("longest host stall {}", label::measured_latency(longest_ns))
        });
        let name = if self.is_alone() { String::new() } else { format!("{}: ", self.name) };
        let intervals = counted(self.intervals.len() as u64, "interval");
        format!("{name}{intervals}, slowest message {slowest}, {stalls}")
    }

    /// Returns whether the picture is of this run only.
    pub(super) fn is_alone(&self) -> bool {
        self.name.is_empty()
    }

    /// Returns whether its intervals are so narrow that markers would hide the lines, and wide
    /// lines each other.
    pub(super) fn is_dense(&self) -> bool {
        /// As many fit a chart with their markers.
        const MAX_MARKED: f64 = 60.0;
        let lengths_s = self.intervals.iter().map(|interval| interval.span.length_s());
        let mean_s = lengths_s.sum::<f64>() / self.intervals.len() as f64;
        let end_s = self.intervals.last().map_or(0.0, |last| last.span.end_s());
        end_s > mean_s * MAX_MARKED
    }

    /// The intervals that have a value, with it, without those between which there is a gap: one of
    /// time or of values.
    pub(super) fn stretches<T>(
        &self,
        value: impl Fn(&Interval) -> Option<T>,
    ) -> Vec<Vec<(&Interval, T)>> {
        let mut stretches: Vec<Vec<(&Interval, T)>> = Vec::new();
        let mut before: Option<&Interval> = None;
        for interval in &self.intervals {
            let follows = before.is_some_and(|before| !before.span.is_apart_from(&interval.span));
            before = None;
            let Some(value) = value(interval) else { continue };
            before = Some(interval);
            match stretches.last_mut() {
                Some(last) if follows => last.push((interval, value)),
                _ => stretches.push(vec![(interval, value)]),
            }
        }
        stretches
    }
}
