//! Whether the measured window was one steady state: its first half against its second.
//!
//! Each second has its rate, its median and its p99. A drift is told when the typical second of
//! one half differs from that of the other by a fifth, *and* nearly every second of the one lies on
//! the same side of nearly every second of the other. The first condition keeps out what does not
//! matter; the second, a rank test (Mann and Whitney's), keeps out what single bad seconds do: with
//! five seconds a half, chance alone passes it once in thirty windows.

use hdrhistogram::Histogram;

use super::report::Quantile;
use super::report::format::{count, nanos};

/// Seconds a half, below which the order of seconds tells nothing.
const LEAST_A_HALF: usize = 4;
/// What is remembered: longer windows join neighbouring seconds.
const MOST_STRETCHES: usize = 1024;
/// How much the halves must differ.
const RATIO: f64 = 1.2;
/// The share of pairs of seconds, one from each half, that must differ in the same direction.
const SAME_DIRECTION: f64 = 0.9;

/// What the seconds of a window were like, in their order.
#[derive(Debug)]
pub(super) struct Drift {
    stretches: Vec<Stretch>,
    /// Seconds that make a stretch.
    seconds_each: usize,
    /// Seconds of a stretch that is not complete.
    pending: Vec<Stretch>,
}

/// A second, or the mean of several. `None` where it has too few samples.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    rate: Option<f64>,
    p50_ns: Option<f64>,
    p99_ns: Option<f64>,
}

impl Drift {
    pub(super) fn new() -> Self {
        Self { stretches: Vec::new(), seconds_each: 1, pending: Vec::new() }
    }

    /// One more whole second of the window, of the latency that users feel.
    pub(super) fn add(&mut self, latencies: &Histogram<u64>) {
        let at = |quantile: Quantile| quantile.of(latencies).map(|ns| ns as f64);
        let second = Stretch {
            rate: Some(latencies.len() as f64),
            p50_ns: at(Quantile::P50),
            p99_ns: at(Quantile::P99),
        };
        self.pending.push(second);
        if self.pending.len() < self.seconds_each {
            return;
        }
        self.stretches.push(Stretch::mean(&self.pending));
        self.pending.clear();
        if self.stretches.len() == MOST_STRETCHES {
            self.stretches = self.stretches.chunks(2).map(Stretch::mean).collect();
            self.seconds_each *= 2;
        }
    }

    /// What was different between the halves. The rate of an open loop is given, and tells nothing.
    pub(super) fn tell(&self, is_open_loop: bool) -> Vec<String> {
        let rate = (!is_open_loop).then(|| {
            let told = |rate: f64| format!("{}/s", count(rate.round() as u64));
            self.change("throughput", |stretch| stretch.rate, told)
        });
        let ns = |ns: f64| nanos(ns.round() as u64);
        let p50 = self.change("median latency", |stretch| stretch.p50_ns, ns);
        let p99 = self.change("p99 latency", |stretch| stretch.p99_ns, ns);
        [rate.flatten(), p50, p99].into_iter().flatten().collect()
    }

    fn change(
        &self,
        name: &str,
        value: impl Fn(&Stretch) -> Option<f64>,
        told: impl Fn(f64) -> String,
    ) -> Option<String> {
        let values: Vec<f64> = self.stretches.iter().map(value).collect::<Option<_>>()?;
        let half = values.len() / 2;
        let (first, second) = (&values[..half], &values[values.len() - half..]);
        if half < LEAST_A_HALF || !are_apart(first, second) {
            return None;
        }
        let (before, after) = (median(first), median(second));
        (before.max(after) >= before.min(after) * RATIO).then(|| {
            format!(
                "the {name} drifted: {} in the typical second of the window's first half, {} in \
                 the second; it was no steady state: try a longer --warmup",
                told(before),
                told(after),
            )
        })
    }
}

impl Stretch {
    fn mean(stretches: &[Self]) -> Self {
        let of = |value: fn(&Self) -> Option<f64>| {
            let sum: Option<f64> = stretches.iter().map(value).sum();
            sum.map(|sum| sum / stretches.len() as f64)
        };
        Self {
            rate: of(|stretch| stretch.rate),
            p50_ns: of(|stretch| stretch.p50_ns),
            p99_ns: of(|stretch| stretch.p99_ns),
        }
    }
}

/// Whether nearly every value of one side is above nearly every value of the other.
fn are_apart(first: &[f64], second: &[f64]) -> bool {
    let pairs = first.len() * second.len();
    let count_pairs = |is_so: fn(&f64, &f64) -> bool| {
        first.iter().flat_map(|a| second.iter().filter(move |b| is_so(a, b))).count()
    };
    let (rising, falling) = (count_pairs(|a, b| a < b), count_pairs(|a, b| a > b));
    rising.max(falling) as f64 >= pairs as f64 * SAME_DIRECTION
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::super::latencies::histogram;
    use super::super::random::SplitMix64;
    use super::*;

    /// A window whose seconds hold so many samples of one latency.
    fn window(seconds: impl IntoIterator<Item = (u64, u64)>) -> Drift {
        let mut drift = Drift::new();
        for (samples, ns) in seconds {
            let mut second = histogram();
            second.record_n(ns, samples).unwrap();
            drift.add(&second);
        }
        drift
    }

    #[test]
    fn a_steady_window_tells_nothing() {
        let steady = window((0..10).map(|_| (5000, 100_000)));
        assert!(steady.tell(false).is_empty());
        let slight = window((0..10).map(|second| (5000 + second, 100_000 + 1000 * second)));
        assert!(slight.tell(false).is_empty(), "a tenth does not matter");
    }

    #[test]
    fn a_window_that_changes_is_told() {
        let slower = window((0..10).map(|second| (5000 - 300 * second, 100_000 + 9000 * second)));
        let told = slower.tell(false);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("the throughput drifted: 4,400/s in the typical second"));
        assert!(told[1].contains("median latency drifted: 118 µs"), "{}", told[1]);
        assert!(told[2].contains("p99 latency drifted: 118 µs"), "{}", told[2]);
        assert_eq!(slower.tell(true).len(), 2, "an open loop's rate is given");
        let faster = window((0..9).map(|second| (5000, 200_000 - 10_000 * second)));
        assert_eq!(faster.tell(false).len(), 2, "an odd second in the middle is nobody's");
    }

    #[test]
    fn single_bad_seconds_are_no_drift() {
        let stalled = |bad: &'static [u64]| {
            window((0..10).map(move |second| {
                if bad.contains(&second) { (100, 90_000_000) } else { (5000, 100_000) }
            }))
        };
        assert!(stalled(&[7]).tell(false).is_empty());
        assert!(stalled(&[0, 1]).tell(false).is_empty());
    }

    #[test]
    fn chance_is_rarely_told() {
        let mut random = SplitMix64::new(5);
        let told = (0..1000)
            .filter(|_| {
                let noisy = (0..10).map(|_| (2000, 100_000 + random.next() % 100_000));
                !window(noisy.collect::<Vec<_>>()).tell(true).is_empty()
            })
            .count();
        // One in thirty, and five standard deviations of it.
        assert!(told <= 33 + 28, "{told}");
    }

    #[test]
    fn short_windows_and_thin_seconds_tell_nothing() {
        assert!(window((0..7).map(|second| (5000, 100_000 << second))).tell(false).is_empty());
        let thin = window((0..10).map(|second| (19, 100_000 + 50_000 * second)));
        assert!(thin.tell(true).is_empty(), "not even the median is known");
    }

    #[test]
    fn long_windows_join_seconds() {
        let mut drift = Drift::new();
        let (mut slow, mut fast) = (histogram(), histogram());
        slow.record_n(200_000, 2000).unwrap();
        fast.record_n(100_000, 2000).unwrap();
        for second in 0..10_000 {
            drift.add(if second < 5000 { &fast } else { &slow });
        }
        assert!(drift.stretches.len() < MOST_STRETCHES);
        assert_eq!(drift.tell(false).len(), 2);
    }
}
