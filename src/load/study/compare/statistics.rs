//! The estimate from a handful of ratios. Pure: ratios in, an estimate out; a seed fixes what
//! chance does.
//!
//! Everything happens on logarithms, where twice as fast and half as fast are equally far from
//! the same: exchanging the servers gives exactly the reciprocal of every number.

use schemars::JsonSchema;
use serde::Serialize;

use crate::load::random::SplitMix64;

/// Resamples of the bootstrap: enough for the interval's ends to be good to a few thousandths of
/// its width, whatever the seed.
pub(super) const RESAMPLES: usize = 10_000;
/// The share of the resampled medians that the interval holds.
pub(super) const CONFIDENCE: f64 = 0.95;

/// Fewer blocks give no interval worth the name: of two ratios it is the two.
pub(super) const MIN_BLOCKS: usize = 3;

/// A ratio as it was found, and how far chance may have moved it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Estimate {
    /// Median over the blocks.
    pub median: f64,
    /// Where the interval begins; null of one or two ratios, which tell nothing of chance.
    pub low: Option<f64>,
    /// Where it ends.
    pub high: Option<f64>,
}

impl Estimate {
    /// The median of these ratios with its 95 % interval; `None` of none.
    ///
    /// The interval holds the bootstrap percentile interval and Student's. In the bootstrap the
    /// blocks are what is resampled: they are independent, the messages within one are not. Of few
    /// ratios it is too narrow, since nothing beyond them can be drawn: of three it misses the
    /// truth in a quarter of all cases.
    pub(super) fn of(ratios: &[f64], seed: u64) -> Option<Self> {
        Self::of_resamples(RESAMPLES, ratios, seed)
    }

    pub(super) fn of_resamples(resamples: usize, ratios: &[f64], seed: u64) -> Option<Self> {
        if ratios.is_empty() {
            return None;
        }
        let logarithms: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
        let mut random = SplitMix64::new(seed);
        let mut medians: Vec<f64> =
            (0..resamples).map(|_| median(&mut resample(&logarithms, &mut random))).collect();
        medians.sort_unstable_by(f64::total_cmp);
        // The same number of medians lies outside either end.
        let outside = ((1.0 - CONFIDENCE) / 2.0 * resamples as f64) as usize;
        let median = median(&mut logarithms.clone());
        let reach = reach_of_student(&logarithms);
        let last = medians[resamples - 1 - outside];
        Some(Self {
            median: median.exp(),
            low: reach.map(|reach| medians[outside].min(median - reach).exp()),
            high: reach.map(|reach| last.max(median + reach).exp()),
        })
    }

    /// The estimate of the servers exchanged.
    pub(super) fn reciprocal(self) -> Self {
        let inverse = |end: f64| 1.0 / end;
        let (low, high) = (self.high.map(inverse), self.low.map(inverse));
        Self { median: inverse(self.median), low, high }
    }

    pub(super) fn interval(&self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }

    /// How far the median is from 1, as a share: 0.05 for 1.05 and for 1 / 1.05.
    pub(super) fn effect(&self) -> f64 {
        distance(self.median)
    }

    /// How far from 1 the interval reaches, in the same measure.
    pub(super) fn reach(&self) -> Option<f64> {
        self.interval().map(|(low, high)| distance(low).max(distance(high)))
    }
}

/// Half the width of Student's 95 % interval of a mean; `None` of too few values.
fn reach_of_student(values: &[f64]) -> Option<f64> {
    if values.len() < MIN_BLOCKS {
        return None;
    }
    let count = values.len() as f64;
    let quantile = student_quantile(values.len().checked_sub(1)?)?;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some(quantile * (squares / (count - 1.0) / count).sqrt())
}

/// Student's 97.5 % quantile; `None` without a degree of freedom.
fn student_quantile(degrees: usize) -> Option<f64> {
    const SMALL: [f64; 10] =
        [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    const Z: f64 = 1.959_964;
    match SMALL.get(degrees.checked_sub(1)?) {
        Some(quantile) => Some(*quantile),
        // Abramowitz and Stegun, 26.7.5, to two terms.
        None => {
            let n = degrees as f64;
            let first = (Z.powi(3) + Z) / (4.0 * n);
            let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / (96.0 * n * n);
            Some(Z + first + second)
        }
    }
}

fn distance(ratio: f64) -> f64 {
    ratio.max(1.0 / ratio) - 1.0
}

fn resample(values: &[f64], random: &mut SplitMix64) -> Vec<f64> {
    values.iter().map(|_| values[random.below(values.len() as u64) as usize]).collect()
}

/// Of an even number of values, half-way between the two in the middle.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (lower, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !is_even {
        return *upper;
    }
    let below = lower.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(below, *upper)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers_of_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
    }

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        assert_eq!(student_quantile(0), None);
        for (degrees, quantile) in
            [(1, 12.706), (10, 2.228), (11, 2.201), (30, 2.042), (999, 1.962)]
        {
            assert!((student_quantile(degrees).unwrap() - quantile).abs() < 0.003, "{degrees}");
        }
    }

    #[test]
    fn the_interval_of_equal_ratios_is_a_point() {
        let estimate = Estimate::of(&[1.25; 6], 1).unwrap();
        let (low, high) = estimate.interval().unwrap();
        assert_eq!((estimate.median, low, high), (1.25, 1.25, 1.25));
        assert_eq!(Estimate::of(&[], 1), None);
        assert_eq!(Estimate::of(&[1.25, 1.26], 1).unwrap().interval(), None);
        assert_eq!(
            Estimate::of(&[1.25], 1).unwrap().interval(),
            None,
            "one tells nothing of chance"
        );
    }

    #[test]
    fn the_interval_is_that_of_the_order_statistics() {
        // Of eleven values, the median of a resample is below the third smallest with probability
        // P(Bin(11, 2/11) >= 6) = 0.6 %, and not above it with P(Bin(11, 3/11) >= 6) = 4.8 %.
        let ratios: Vec<f64> = (0..11).map(|place| f64::from(place).exp2()).collect();
        let estimate = Estimate::of(&ratios, 5).unwrap();
        assert_eq!(estimate.median, 32.0);
        let (low, high) = estimate.interval().unwrap();
        assert!((low - 4.0).abs() < 1e-9, "{estimate:?}");
        assert!((high - 256.0).abs() < 1e-9, "{estimate:?}");
    }

    /// In how many of 400 experiments the interval of ten noisy ratios covers the true one.
    #[test]
    fn the_interval_covers_the_truth_about_as_often_as_it_says() {
        let mut random = SplitMix64::new(7);
        let mut noise = || {
            let uniform = |random: &mut SplitMix64| random.next() as f64 / u64::MAX as f64;
            (0..12).map(|_| uniform(&mut random)).sum::<f64>() - 6.0
        };
        let truth = 1.02_f64;
        let covering = (0..400)
            .filter(|seed| {
                let ratios: Vec<f64> = (0..10).map(|_| truth * (0.01 * noise()).exp()).collect();
                let estimate = Estimate::of_resamples(1000, &ratios, *seed).unwrap();
                let (low, high) = estimate.interval().unwrap();
                (low..=high).contains(&truth)
            })
            .count();
        // 95 % of 400 are 380; five standard errors are 22.
        assert!((358..=400).contains(&covering), "{covering}");
    }

    fn ratios() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(0.01_f64..100.0, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_interval_holds_the_median_and_a_seed_fixes_it(ratios in ratios(), seed: u64) {
            let estimate = Estimate::of_resamples(200, &ratios, seed).unwrap();
            prop_assert_eq!(Estimate::of_resamples(200, &ratios, seed), Some(estimate));
            prop_assert_eq!(estimate.interval().is_none(), ratios.len() < MIN_BLOCKS);
            if let Some((low, high)) = estimate.interval() {
                prop_assert!(low <= estimate.median * 1.000_001);
                prop_assert!(estimate.median <= high * 1.000_001);
            }
        }

        #[test]
        fn exchanging_the_servers_gives_the_reciprocal(ratios in ratios(), seed: u64) {
            let forth = Estimate::of_resamples(200, &ratios, seed).unwrap();
            let reciprocals: Vec<f64> = ratios.iter().map(|ratio| 1.0 / ratio).collect();
            let back = Estimate::of_resamples(200, &reciprocals, seed).unwrap();
            let is_reciprocal = |one: f64, other: f64| (one * other - 1.0).abs() < 1e-9;
            prop_assert!(is_reciprocal(forth.median, back.median));
            for (ratio, other) in [(forth, back), (forth, forth.reciprocal())] {
                prop_assert_eq!(ratio.low.is_some(), other.high.is_some());
                let ends = [ratio.low.zip(other.high), ratio.high.zip(other.low)];
                let are_reciprocal = |(one, other)| is_reciprocal(one, other);
                prop_assert!(ends.into_iter().flatten().all(are_reciprocal));
            }
            prop_assert!((forth.effect() - back.effect()).abs() < 1e-9 * (1.0 + forth.effect()));
        }
    }
}
