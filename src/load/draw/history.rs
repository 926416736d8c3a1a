//! A run's seconds as they come, for its timeline.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use super::timeline::{Interval, Stall, TimelineRun};
use crate::load::config::quantile::Quantile;
use crate::load::config::{Config, Load};
use crate::load::record::watch::{self, Tag};

/// An even number of points, as many as can be seen and a picture should carry.
const MAX_POINTS: usize = 1200;
/// Shorter intervals join the second before: they are too short for a rate.
const MIN_SECOND: Duration = Duration::from_millis(200);
/// A sleep of a millisecond cannot tell shorter stalls from its own cost.
const MIN_STALL_NS: u64 = 1_000_000;

/// Follows a run and remembers what its timeline shows. Its memory is bounded: of a long run the
/// worst second of every few is kept.
#[derive(Debug, Default)]
pub struct History {
    /// Whose latencies matter most.
    main: Option<Tag>,
    /// When the first second started.
    start: Option<SystemTime>,
    /// The last second, which what comes may join.
    open: Option<Second>,
    points: Vec<Interval>,
    /// Seconds that are not yet as many as a point stands for.
    pending: Vec<Interval>,
    /// How often the seconds that a point stands for have doubled.
    doublings: u32,
    stalls: Vec<Stall>,
}

#[derive(Debug)]
struct Second {
    start_s: f64,
    end_s: f64,
    latencies: Histogram<u64>,
}

impl History {
    /// Will follow a run of this configuration.
    pub fn of(config: &Config) -> Self {
        let main = match config.load {
            Load::Closed => Tag::Service,
            Load::Open { .. } => Tag::Response,
        };
        Self { main: Some(main), ..Self::default() }
    }

    /// Remembers an interval of the run.
    pub fn follow(&mut self, interval: &watch::Interval<'_>) {
        let watch::Interval { tag, start, duration, latencies } = *interval;
        if Some(tag) == self.main {
            self.record(start, duration, latencies);
        } else if tag == Tag::Hiccup {
            self.record_stalls(start, duration, latencies);
        }
    }

    /// Remembers a second's latencies, in nanoseconds. Seconds come in the order of time.
    pub(super) fn record(
        &mut self,
        start: SystemTime,
        duration: Duration,
        latencies: &Histogram<u64>,
    ) {
        let (start_s, end_s) = self.place(start, duration);
        match &mut self.open {
            Some(open) if duration < MIN_SECOND => {
                open.latencies.add(latencies).expect("it grows as needed");
                open.end_s = end_s.max(open.end_s);
            }
            _ => {
                let mut latencies = latencies.clone();
                latencies.auto(true);
                let closed = self.open.replace(Second { start_s, end_s, latencies });
                self.close(closed);
            }
        }
    }

    /// Remembers the machine's stalls in a second, in nanoseconds.
    pub(super) fn record_stalls(
        &mut self,
        start: SystemTime,
        duration: Duration,
        stalls: &Histogram<u64>,
    ) {
        let (start_s, end_s) = self.place(start, duration);
        if stalls.is_empty() || stalls.max() < MIN_STALL_NS {
            return;
        }
        self.stalls.push(Stall { start_s, end_s, longest_ns: stalls.max() });
        if self.stalls.len() == MAX_POINTS {
            self.stalls = join_pairs(&self.stalls, |earlier, later| Stall {
                end_s: later.end_s,
                longest_ns: earlier.longest_ns.max(later.longest_ns),
                ..earlier
            });
        }
    }

    /// The timeline, and for how many seconds a point stands if that is more than one.
    pub(super) fn into_timeline(mut self, name: &str) -> (Option<TimelineRun>, Option<u32>) {
        let last = self.open.take();
        self.close(last);
        self.points.extend(self.pending.drain(..).reduce(worse));
        let timeline = (!self.points.is_empty()).then(|| TimelineRun {
            name: name.to_owned(),
            intervals: self.points,
            stalls: self.stalls,
        });
        (timeline, (self.doublings > 0).then(|| 1 << self.doublings))
    }

    /// Seconds since the first one started.
    fn place(&mut self, start: SystemTime, duration: Duration) -> (f64, f64) {
        let first = *self.start.get_or_insert(start);
        let start_s = start.duration_since(first).unwrap_or_default().as_secs_f64();
        (start_s, start_s + duration.as_secs_f64())
    }

    fn close(&mut self, second: Option<Second>) {
        let Some(Second { start_s, end_s, latencies }) = second else { return };
        let any = (!latencies.is_empty()).then(|| latencies.max());
        let point = Interval {
            start_s,
            end_s,
            messages_per_s: latencies.len() as f64 / (end_s - start_s).max(1e-9),
            p50_ns: Quantile::P50.of(&latencies),
            p99_ns: Quantile::P99.of(&latencies),
            max_ns: any,
        };
        self.pending.push(point);
        if self.pending.len() < 1 << self.doublings {
            return;
        }
        self.points.extend(self.pending.drain(..).reduce(worse));
        if self.points.len() == MAX_POINTS {
            self.points = join_pairs(&self.points, worse);
            self.doublings += 1;
        }
    }
}

/// Half as many of an even number.
fn join_pairs<T: Copy>(points: &[T], join: impl Fn(T, T) -> T) -> Vec<T> {
    points.chunks_exact(2).map(|pair| join(pair[0], pair[1])).collect()
}

/// Both times, with the worse latencies of the two and the rate over both.
fn worse(earlier: Interval, later: Interval) -> Interval {
    let messages =
        |interval: Interval| interval.messages_per_s * (interval.end_s - interval.start_s);
    let together_s = (later.end_s - earlier.start_s).max(1e-9);
    Interval {
        start_s: earlier.start_s,
        end_s: later.end_s,
        messages_per_s: (messages(earlier) + messages(later)) / together_s,
        p50_ns: earlier.p50_ns.max(later.p50_ns),
        p99_ns: earlier.p99_ns.max(later.p99_ns),
        max_ns: earlier.max_ns.max(later.max_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        values.into_iter().for_each(|value| histogram.record(value).unwrap());
        histogram
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + seconds)
    }

    #[test]
    fn a_second_is_a_point() {
        let mut history = History::default();
        history.record(at(0), SECOND, &histogram(1..=2_000));
        history.record(at(1), SECOND, &histogram([5]));
        history.record(at(2), SECOND, &histogram([]));
        // The last replies came a millisecond after the end.
        history.record(at(3), Duration::from_millis(1), &histogram([7, 9]));
        history.record_stalls(at(1), SECOND, &histogram([50_000, 4_000_000]));
        history.record_stalls(at(2), SECOND, &histogram([50_000]));
        let (timeline, per_point) = history.into_timeline("a");
        let TimelineRun { name, intervals, stalls } = timeline.unwrap();
        assert_eq!((name.as_str(), per_point), ("a", None));
        let [first, second, third] = intervals.as_slice() else { panic!("{intervals:?}") };
        assert_eq!((first.start_s, first.end_s, first.messages_per_s), (0.0, 1.0, 2_000.0));
        assert_eq!(first.p50_ns, Some(1_000));
        assert!(first.p99_ns.is_some() && first.max_ns.is_some());
        assert_eq!((second.p50_ns, second.max_ns), (None, Some(5)));
        assert!((third.end_s - 3.001).abs() < 1e-9 && third.max_ns == Some(9), "{third:?}");
        let [stall] = stalls.as_slice() else { panic!("{stalls:?}") };
        assert_eq!((stall.start_s, stall.end_s), (1.0, 2.0));
        assert!(stall.longest_ns >= 4_000_000);
    }

    #[test]
    fn a_long_run_keeps_the_worst_of_every_few_seconds() {
        let histogram = |values: [u64; 2]| {
            let mut small = Histogram::new_with_bounds(1, 10_000_000, 1).unwrap();
            values.into_iter().for_each(|value| small.record(value).unwrap());
            small
        };
        let mut history = History::default();
        let seconds = 10_000_u64;
        for second in 0..seconds {
            let slowest = if second == 7_777 { 9 } else { 3 };
            history.record(at(second), SECOND, &histogram([1, slowest]));
            history.record_stalls(at(second), SECOND, &histogram([1, 2_000_000 + second]));
        }
        let (timeline, per_point) = history.into_timeline("a");
        let TimelineRun { intervals, stalls, .. } = timeline.unwrap();
        let per_point = per_point.unwrap();
        assert!(intervals.len() <= MAX_POINTS && stalls.len() <= MAX_POINTS);
        assert!(intervals.windows(2).all(|pair| pair[0].end_s == pair[1].start_s));
        assert_eq!(intervals.last().unwrap().end_s, seconds as f64);
        let worst: Vec<_> =
            intervals.iter().filter(|interval| interval.max_ns == Some(9)).collect();
        let [worst] = worst.as_slice() else { panic!("{worst:?}") };
        assert!(worst.start_s <= 7_777.0 && worst.end_s >= 7_778.0, "{worst:?}");
        for interval in &intervals[..intervals.len() - 1] {
            assert_eq!(interval.end_s - interval.start_s, f64::from(per_point), "{interval:?}");
            assert!((interval.messages_per_s - 2.0).abs() < 1e-9);
        }
    }

    #[test]
    fn nothing_is_no_timeline() {
        assert_eq!(History::default().into_timeline("a"), (None, None));
    }
}
