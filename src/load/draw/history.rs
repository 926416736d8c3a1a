//! A run's intervals as they come, for its timeline.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use super::rates::Rates;
use super::span::{Span, Stretch, Thinned};
use super::timeline::{Interval, Stall, Timeline};
use crate::load::clock;
use crate::load::config::quantile::Quantile;
use crate::load::config::{Config, Load};
use crate::load::record::watch::Tag;
use crate::load::report::hlog::{Logged, add_any};

/// A sleep of a millisecond cannot tell shorter stalls from its own cost.
const MIN_STALL_NS: u64 = 1_000_000;

/// Follows a run and remembers what its timeline shows. Its memory is bounded: of a long run the
/// worst interval of every few seconds is kept.
#[derive(Debug, Default)]
pub struct History {
    messages: Vec<Option<String>>,
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
        Self::of_messages(vec![Some(main.name().to_owned())])
    }

    /// Will follow a log whose messages have these tags.
    pub(super) fn of_messages(messages: Vec<Option<String>>) -> Self {
        Self { messages, ..Self::default() }
    }

    /// Remembers an interval. They come in the order of their start.
    pub fn follow(&mut self, interval: &Logged<'_>) {
        let Logged { tag, start, duration, values } = *interval;
        if self.messages.iter().any(|message| message.as_deref() == tag) {
            let span = self.span(start, duration);
            self.record(Cell { span, latencies: values.clone() });
        } else if tag == Some(Tag::Hiccup.name()) {
            let span = self.span(start, duration);
            if values.max() >= MIN_STALL_NS {
                self.stalls.push(Stall { span, longest_ns: values.max() });
            }
        }
    }

    fn record(&mut self, cell: Cell) {
        if self.rates.may_be_left(&cell.span) {
            return self.tails.push(cell);
        }
        self.decide_tails(Some(&cell.span));
        self.add(cell);
    }

    /// The timeline, and the time that a point stands for if that is more than an interval.
    pub(super) fn into_timeline(mut self) -> (Option<Timeline>, Option<Duration>) {
        self.decide_tails(None);
        self.close();
        let (intervals, width) = self.intervals.finish();
        let timeline = (!intervals.is_empty()).then(|| Timeline {
            name: String::new(),
            number: 0,
            offered_per_s: None,
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
        let mut histogram = Histogram::new_with_bounds(1, 10_000_000, 3).unwrap();
        values.into_iter().for_each(|value| histogram.record(value).unwrap());
        histogram
    }

    /// Follows intervals of messages, each with its start and its length in seconds.
    struct Follower(History);

    impl Follower {
        fn new() -> Self {
            Self(History::of_messages(vec![None]))
        }

        fn log(&mut self, tag: Option<&str>, start: f64, length: f64, values: &Histogram<u64>) {
            let start = SystemTime::UNIX_EPOCH + SECOND * 1_000 + SECOND.mul_f64(start);
            self.0.follow(&Logged { tag, start, duration: SECOND.mul_f64(length), values });
        }

        fn record(&mut self, start: f64, length: f64, values: impl IntoIterator<Item = u64>) {
            self.log(None, start, length, &histogram(values));
        }

        fn stall(&mut self, start: f64, values: impl IntoIterator<Item = u64>) {
            self.log(Some("hiccup"), start, 1.0, &histogram(values));
        }

        fn timeline(self) -> Timeline {
            self.0.into_timeline().0.unwrap()
        }
    }

    /// Starts, ends and rates.
    fn steps(timeline: &Timeline) -> Vec<(f64, f64, f64)> {
        let steps = timeline.steps.iter();
        steps.map(|step| (step.span.start_s(), step.span.end_s(), step.messages_per_s)).collect()
    }

    #[test]
    fn an_interval_is_a_point() {
        let mut run = Follower::new();
        run.record(0.0, 1.0, 1..=2_000);
        run.record(1.0, 1.0, [5]);
        run.record(2.0, 1.0, []);
        run.stall(1.0, [50_000, 4_000_000]);
        run.stall(2.0, [50_000]);
        let timeline = run.timeline();
        assert_eq!(steps(&timeline), [(0.0, 1.0, 2_000.0), (1.0, 2.0, 1.0), (2.0, 3.0, 0.0)]);
        let [first, second, third] = timeline.intervals.as_slice() else { panic!("{timeline:?}") };
        assert_eq!((first.span.start_s(), first.span.end_s()), (0.0, 1.0));
        assert!(first.p50_ns == Some(1_000) && first.p99_ns.is_some() && first.max_ns.is_some());
        assert_eq!((second.p50_ns, second.max_ns, third.max_ns), (None, Some(5), None));
        let [stall] = timeline.stalls.as_slice() else { panic!("{timeline:?}") };
        assert_eq!((stall.span.start_s(), stall.span.end_s()), (1.0, 2.0));
        assert!(stall.longest_ns >= 4_000_000);
        assert_eq!(Follower::new().0.into_timeline(), (None, None), "nothing is no timeline");
    }

    #[test]
    fn what_comes_after_the_end_of_load_is_no_dip() {
        for tail in [0.001, 0.025, 0.190] {
            let mut run = Follower::new();
            run.record(0.0, 1.0, [5; 100]);
            run.record(1.0, 1.0, [5; 99]);
            // Of each of two tags.
            run.record(2.0, tail, [7, 9]);
            run.record(2.0, tail, [7, 9]);
            let timeline = run.timeline();
            assert_eq!(steps(&timeline), [(0.0, 1.0, 100.0), (1.0, 2.0, 99.0)]);
            let last = timeline.intervals.last().unwrap();
            assert_eq!((last.span.end_s(), last.max_ns), (2.0, Some(9)));
        }
    }

    #[test]
    fn intervals_have_their_own_width_and_rate() {
        let mut run = Follower::new();
        run.record(0.0, 1.0, [5; 100]);
        // Finer from here on, then coarser, and in the end without a length.
        (10..15).for_each(|tenth| run.record(f64::from(tenth) / 10.0, 0.1, [5; 20]));
        run.record(1.5, 5.0, [5; 50]);
        run.record(20.0, 0.0, [7; 100]);
        let timeline = run.timeline();
        let rates: Vec<f64> = timeline.steps.iter().map(|step| step.messages_per_s).collect();
        assert_eq!(rates, [100.0, 200.0, 200.0, 200.0, 200.0, 200.0, 10.0]);
        assert_eq!(timeline.intervals.len(), 8);
        assert_eq!(timeline.intervals[6].span.end_s(), 6.5);
        assert_eq!(timeline.intervals[7].max_ns, Some(7));
    }

    #[test]
    fn intervals_that_overlap_are_added_up() {
        let mut run = Follower::new();
        (0..10).for_each(|half| run.record(f64::from(half) / 2.0, 1.0, [5; 100]));
        let timeline = run.timeline();
        assert_eq!(timeline.intervals.len(), 5);
        assert!(timeline.intervals.iter().all(|interval| interval.p50_ns == Some(5)));
        let steps = steps(&timeline);
        assert_eq!((steps[0], steps[10]), ((0.0, 0.5, 100.0), (5.0, 5.5, 100.0)));
        assert!(steps[1..10].iter().all(|(.., rate)| *rate == 200.0), "{steps:?}");
    }

    #[test]
    fn a_long_run_keeps_the_worst_of_every_few_seconds_and_its_gaps() {
        const GAP_S: f64 = 8_000.0;
        let mut run = Follower::new();
        for second in 0..10_000 {
            let slowest = if second == 7_777 { 9 } else { 3 };
            let start = f64::from(second) + if second < 4_000 { 0.0 } else { GAP_S };
            run.record(start, 1.0, [1, slowest]);
            run.stall(start, [1, 2_000_000]);
        }
        let (timeline, per_point) = run.0.into_timeline();
        let Timeline { intervals, steps, stalls, .. } = timeline.unwrap();
        assert_eq!(per_point, Some(16 * SECOND));
        assert_eq!([intervals.len(), steps.len(), stalls.len()], [625; 3]);
        let gap = steps.windows(2).filter(|pair| pair[0].span.is_apart_from(&pair[1].span));
        let [[before, after]] = gap.collect::<Vec<_>>()[..] else { panic!("one gap") };
        assert_eq!((before.span.end_s(), after.span.start_s()), (4_000.0, 4_000.0 + GAP_S));
        let apart = intervals.windows(2).filter(|pair| pair[0].span.is_apart_from(&pair[1].span));
        assert_eq!(apart.count(), 1);
        let worst = intervals.iter().filter(|interval| interval.max_ns == Some(9));
        let [worst] = worst.collect::<Vec<_>>()[..] else { panic!("one is the worst") };
        let second = 7_777.0 + GAP_S;
        assert!(worst.span.start_s() <= second && worst.span.end_s() > second, "{worst:?}");
        assert!(steps.iter().all(|step| (step.messages_per_s - 2.0).abs() < 1e-9));
    }
}
