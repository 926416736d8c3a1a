//! A distribution in one line: a bar for each part of a logarithmic axis.

use hdrhistogram::Histogram;

use super::page::HARD_BLANK;
use crate::load::format::nanos;

/// Parts of the axis. With both ends and the words behind it fits the line of a report.
const PARTS: u32 = 32;
/// By height.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The samples between the smallest and the largest, both named; nothing of nothing.
pub(super) fn draw(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return String::new();
    }
    let (low, high) = (histogram.min(), histogram.max());
    let parts = samples(histogram, low.max(1), high);
    let most = u128::from(parts.iter().copied().max().unwrap_or(0).max(1));
    // A log from elsewhere may count up to 2^63 of a value.
    let height = |samples: u64| (u128::from(samples) * BARS.len() as u128).div_ceil(most);
    let bar = |samples: &u64| match *samples {
        0 => HARD_BLANK,
        samples => BARS[height(samples) as usize - 1],
    };
    let bars: String = parts.iter().map(bar).collect();
    format!("{} ▕{bars}▏ {}", nanos(low), nanos(high))
}

/// Samples in each of the parts, which grow by the same ratio.
fn samples(histogram: &Histogram<u64>, low: u64, high: u64) -> Vec<u64> {
    let ratio = high.max(low) as f64 / low as f64;
    let mut counted = 0;
    let part = |part: u32| {
        let end = low as f64 * ratio.powf(f64::from(part) / f64::from(PARTS));
        let upto_here = match part {
            PARTS => histogram.len(),
            _ => histogram.count_between(0, end as u64).min(histogram.len()),
        };
        // The ends of neighbours may lie in one bucket.
        let samples = upto_here - counted.min(upto_here);
        counted = upto_here.max(counted);
        samples
    };
    (1..=PARTS).map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(samples: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        samples.iter().for_each(|sample| histogram.saturating_record(*sample));
        histogram
    }

    fn shown(samples: &[u64]) -> String {
        draw(&histogram(samples)).replace(HARD_BLANK, " ")
    }

    #[test]
    fn the_axis_is_logarithmic_and_both_ends_are_named() {
        let samples = [&[1_000; 8][..], &[31_000; 4], &[1_000_000; 1]].concat();
        let expected = "1.00 µs ▕█              ▄               ▁▏ 1.00 ms";
        assert_eq!(shown(&samples), expected);
        assert_eq!(shown(&[5]), format!("5 ns ▕█{}▏ 5 ns", " ".repeat(31)));
        assert_eq!(draw(&histogram(&[])), "");
    }

    proptest! {
        #[test]
        fn every_sample_is_in_one_part(
            latencies in proptest::collection::vec(0_u64..60_000_000_000, 1..100),
        ) {
            let histogram = histogram(&latencies);
            let parts = samples(&histogram, histogram.min().max(1), histogram.max());
            prop_assert_eq!(parts.iter().sum::<u64>(), histogram.len());
        }
    }
}
