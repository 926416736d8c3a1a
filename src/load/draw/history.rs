//! A run's intervals as they come, for its timeline.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use super::rates::Rates;
use super::span::{Span, Stretch, Thinned};
use super::timeline::{Interval, Stall, TimelineRun};
use crate::load::clock;
use crate::load::config::quantile::Quantile;
use crate::load::config::{Config, Load};
use crate::load::record::watch::{self, Tag};
use crate::load::report::hlog::add_any;

/// A sleep of a millisecond cannot tell shorter stalls from its own cost.
const MIN_STALL_NS: u64 = 1_000_000;

/// Follows a run and remembers what its timeline shows. Its memory is bounded: of a long run the
/// worst interval of every few seconds is kept.
#[derive(Debug, Default)]
pub struct History {
    /// Whose latencies matter most.
    main: Option<Tag>,
    /// When the first interval started.
    start: Option<SystemTime>,
    /// The last interval and those that started within it.
    open: Option<Cell>,
    /// Short intervals at what may be the end of load.
    tails: Vec<Cell>,
    intervals: Thinned<Interval>,
    rates: Rates,
    stalls: Thinned<Stall>,
}

#[derive(Debug)]
struct Cell {
    span: Span,
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

    /// Remembers an interval's latencies, in nanoseconds. Intervals come in the order of their
    /// start.
    pub(super) fn record(
        &mut self,
        start: SystemTime,
        duration: Duration,
        latencies: &Histogram<u64>,
    ) {
        let cell = Cell { span: self.span(start, duration), latencies: latencies.clone() };
        if self.rates.may_be_left(&cell.span) {
            return self.tails.push(cell);
        }
        self.decide_tails(Some(&cell.span));
        self.add(cell);
    }

    /// Remembers the machine's stalls in an interval, in nanoseconds.
    pub(super) fn record_stalls(
        &mut self,
        start: SystemTime,
        duration: Duration,
        stalls: &Histogram<u64>,
    ) {
        let span = self.span(start, duration);
        if !stalls.is_empty() && stalls.max() >= MIN_STALL_NS {
            self.stalls.push(Stall { span, longest_ns: stalls.max() });
        }
    }

    /// The timeline, and the time that a point stands for if that is more than an interval.
    pub(super) fn into_timeline(mut self) -> (Option<TimelineRun>, Option<Duration>) {
        self.decide_tails(None);
        self.close();
        let (intervals, width) = self.intervals.finish();
        let timeline = (!intervals.is_empty()).then(|| TimelineRun {
            name: String::new(),
            intervals,
            steps: self.rates.finish().finish().0,
            stalls: self.stalls.finish().0,
        });
        (timeline, width)
    }

    fn span(&mut self, start: SystemTime, duration: Duration) -> Span {
        let first = *self.start.get_or_insert(start);
        let start_ns = clock::nanos(start.duration_since(first).unwrap_or_default());
        Span { start_ns, end_ns: start_ns.saturating_add(clock::nanos(duration)) }
    }

    /// Tails that something follows are intervals as others are. After the last of a load, their
    /// latencies are among those of the interval before.
    fn decide_tails(&mut self, next: Option<&Span>) {
        for tail in std::mem::take(&mut self.tails) {
            match &mut self.open {
                Some(open) if next.is_none_or(|next| tail.span.is_apart_from(next)) => {
                    add_any(&mut open.latencies, &tail.latencies);
                }
                _ => self.add(tail),
            }
        }
    }

    fn add(&mut self, cell: Cell) {
        self.rates.add(cell.span, cell.latencies.len());
        match &mut self.open {
            Some(open) if cell.span.start_ns + open.span.slack_ns() < open.span.end_ns => {
                add_any(&mut open.latencies, &cell.latencies);
            }
            _ => {
                self.close();
                let Cell { span, mut latencies } = cell;
                latencies.auto(true);
                self.open = Some(Cell { span, latencies });
            }
        }
    }

    fn close(&mut self) {
        let Some(Cell { span, latencies }) = self.open.take() else { return };
        self.intervals.push(Interval {
            span,
            p50_ns: Quantile::P50.of(&latencies),
            p99_ns: Quantile::P99.of(&latencies),
            max_ns: (!latencies.is_empty()).then(|| latencies.max()),
        });
    }
}

/// The worse latencies of the two.
impl Stretch for Interval {
    fn span(&self) -> Span {
        self.span
    }

    fn joined(&self, later: &Self) -> Self {
        Self {
            span: self.span.joined(&later.span),
            p50_ns: self.p50_ns.max(later.p50_ns),
            p99_ns: self.p99_ns.max(later.p99_ns),
            max_ns: self.max_ns.max(later.max_ns),
        }
    }
}

/// The longer of the two.
impl Stretch for Stall {
    fn span(&self) -> Span {
        self.span
    }

    fn joined(&self, later: &Self) -> Self {
        let longest_ns = self.longest_ns.max(later.longest_ns);
        Self { span: self.span.joined(&later.span), longest_ns }
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

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000) + Duration::from_secs_f64(seconds)
    }

    fn timeline(history: History) -> TimelineRun {
        history.into_timeline().0.unwrap()
    }

    /// Starts, ends and rates.
    fn steps(timeline: &TimelineRun) -> Vec<(f64, f64, f64)> {
        let step = |step: &super::super::timeline::Step| {
            (step.span.start_s(), step.span.end_s(), step.messages_per_s)
        };
        timeline.steps.iter().map(step).collect()
    }

    #[test]
    fn an_interval_is_a_point() {
        let mut history = History::default();
        history.record(at(0.0), SECOND, &histogram(1..=2_000));
        history.record(at(1.0), SECOND, &histogram([5]));
        history.record(at(2.0), SECOND, &histogram([]));
        history.record_stalls(at(1.0), SECOND, &histogram([50_000, 4_000_000]));
        history.record_stalls(at(2.0), SECOND, &histogram([50_000]));
        let (timeline, per_point) = history.into_timeline();
        let timeline = timeline.unwrap();
        assert_eq!(per_point, None);
        assert_eq!(steps(&timeline), [(0.0, 1.0, 2_000.0), (1.0, 2.0, 1.0), (2.0, 3.0, 0.0)]);
        let [first, second, third] = timeline.intervals.as_slice() else { panic!("{timeline:?}") };
        assert_eq!((first.span.start_s(), first.span.end_s()), (0.0, 1.0));
        assert_eq!(first.p50_ns, Some(1_000));
        assert!(first.p99_ns.is_some() && first.max_ns.is_some());
        assert_eq!((second.p50_ns, second.max_ns), (None, Some(5)));
        assert_eq!(third.max_ns, None);
        let [stall] = timeline.stalls.as_slice() else { panic!("{timeline:?}") };
        assert_eq!((stall.span.start_s(), stall.span.end_s()), (1.0, 2.0));
        assert!(stall.longest_ns >= 4_000_000);
    }

    #[test]
    fn what_comes_after_the_end_of_load_is_no_dip() {
        for tail_ms in [1, 25, 190] {
            let mut history = History::default();
            history.record(at(0.0), SECOND, &histogram([5; 100]));
            history.record(at(1.0), SECOND, &histogram([5; 99]));
            // Of each of two tags.
            for _ in 0..2 {
                history.record(at(2.0), Duration::from_millis(tail_ms), &histogram([7, 9]));
            }
            let timeline = timeline(history);
            assert_eq!(steps(&timeline), [(0.0, 1.0, 100.0), (1.0, 2.0, 99.0)]);
            let last = timeline.intervals.last().unwrap();
            assert_eq!((last.span.end_s(), last.max_ns), (2.0, Some(9)));
        }
    }

    #[test]
    fn intervals_have_their_own_width_and_rate() {
        let mut history = History::default();
        history.record(at(0.0), SECOND, &histogram([5; 100]));
        // Finer from here on, then coarser.
        for tenth in 10..15 {
            let start = at(f64::from(tenth) / 10.0);
            history.record(start, SECOND / 10, &histogram([5; 20]));
        }
        history.record(at(1.5), 5 * SECOND, &histogram([5; 50]));
        let timeline = timeline(history);
        let rates: Vec<f64> = timeline.steps.iter().map(|step| step.messages_per_s).collect();
        assert_eq!(rates, [100.0, 200.0, 200.0, 200.0, 200.0, 200.0, 10.0]);
        assert_eq!(timeline.intervals.len(), 7);
        assert_eq!(timeline.intervals[6].span.end_s(), 6.5);
    }

    #[test]
    fn an_interval_without_a_length_has_latencies_and_no_rate() {
        let mut history = History::default();
        history.record(at(0.0), Duration::ZERO, &histogram([5; 100]));
        history.record(at(1.0), SECOND, &histogram([3; 7]));
        let timeline = timeline(history);
        assert_eq!(steps(&timeline), [(1.0, 2.0, 7.0)]);
        assert_eq!(timeline.intervals[0].max_ns, Some(5));
    }

    #[test]
    fn intervals_that_overlap_are_added_up() {
        let mut history = History::default();
        for second in 0..5 {
            for apart in [0.0, 0.5] {
                history.record(at(f64::from(second) + apart), SECOND, &histogram([5; 100]));
            }
        }
        let timeline = timeline(history);
        assert_eq!(timeline.intervals.len(), 5);
        assert!(timeline.intervals.iter().all(|interval| interval.p50_ns == Some(5)));
        let steps = steps(&timeline);
        assert_eq!((steps[0], steps[10]), ((0.0, 0.5, 100.0), (5.0, 5.5, 100.0)));
        assert!(steps[1..10].iter().all(|(.., rate)| *rate == 200.0), "{steps:?}");
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
            history.record(at(second as f64), SECOND, &histogram([1, slowest]));
            history.record_stalls(at(second as f64), SECOND, &histogram([1, 2_000_000 + second]));
        }
        let (timeline, per_point) = history.into_timeline();
        let TimelineRun { intervals, steps, stalls, .. } = timeline.unwrap();
        assert_eq!(per_point, Some(16 * SECOND));
        for number in [intervals.len(), steps.len(), stalls.len()] {
            assert_eq!(number, 625);
        }
        assert!(intervals.windows(2).all(|pair| pair[0].span.end_ns == pair[1].span.start_ns));
        assert_eq!(intervals.last().unwrap().span.end_s(), seconds as f64);
        let worst: Vec<_> =
            intervals.iter().filter(|interval| interval.max_ns == Some(9)).collect();
        let [worst] = worst.as_slice() else { panic!("{worst:?}") };
        assert!(worst.span.start_s() <= 7_777.0 && worst.span.end_s() >= 7_778.0, "{worst:?}");
        assert!(intervals.iter().all(|interval| interval.span.length_s() == 16.0));
        assert!(steps.iter().all(|step| (step.messages_per_s - 2.0).abs() < 1e-9));
    }

    #[test]
    fn gaps_stay_when_points_are_joined() {
        let mut history = History::default();
        for second in (0..2_000).chain(10_000..12_000) {
            history.record(at(f64::from(second)), SECOND, &histogram([1]));
        }
        let timeline = timeline(history);
        let apart = |pair: &[Interval]| pair[0].span.is_apart_from(&pair[1].span);
        assert_eq!(timeline.intervals.windows(2).filter(|pair| apart(pair)).count(), 1);
        let gap = timeline.steps.windows(2).find(|pair| pair[0].span.is_apart_from(&pair[1].span));
        let [before, after] = gap.unwrap() else { unreachable!() };
        assert_eq!((before.span.end_s(), after.span.start_s()), (2_000.0, 10_000.0));
    }

    #[test]
    fn nothing_is_no_timeline() {
        assert_eq!(History::default().into_timeline(), (None, None));
    }
}
