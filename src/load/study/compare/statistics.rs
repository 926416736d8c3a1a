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

/// A ratio as it was found, and how far chance may have moved it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Estimate {
    /// Median over the blocks.
    pub median: f64,
    /// Where the bootstrap interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

impl Estimate {
    /// The median of these ratios with its 95 % bootstrap percentile interval; `None` of none.
    ///
    /// The blocks are what is resampled: they are independent, the messages within one are not.
    pub(super) fn of(ratios: &[f64], seed: u64) -> Option<Self> {
        Self::of_resamples(RESAMPLES, ratios, seed)
    }

    fn of_resamples(resamples: usize, ratios: &[f64], seed: u64) -> Option<Self> {
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
        Some(Self {
            median: median(&mut logarithms.clone()).exp(),
            low: medians[outside].exp(),
            high: medians[resamples - 1 - outside].exp(),
        })
    }

    /// Returns whether "no difference" lies in the interval.
    pub(super) fn covers_one(&self) -> bool {
        (self.low..=self.high).contains(&1.0)
    }

    /// How far the median is from 1, as a share: 0.05 for 1.05 and for 1 / 1.05.
    pub(super) fn effect(&self) -> f64 {
        distance(self.median)
    }

    /// How far from 1 the interval reaches, in the same measure.
    pub(super) fn reach(&self) -> f64 {
        distance(self.low).max(distance(self.high))
    }
}

fn distance(ratio: f64) -> f64 {
    ratio.max(1.0 / ratio) - 1.0
}

fn resample(values: &[f64], random: &mut SplitMix64) -> Vec<f64> {
    values.iter().map(|_| values[below(random, values.len())]).collect()
}

/// A number below this one, each as likely: the bias of the multiplication is below 2^-50.
fn below(random: &mut SplitMix64, bound: usize) -> usize {
    ((u128::from(random.next()) * bound as u128) >> u64::BITS) as usize
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
    fn the_interval_of_equal_ratios_is_a_point() {
        let estimate = Estimate::of(&[1.25; 6], 1).unwrap();
        assert_eq!((estimate.median, estimate.low, estimate.high), (1.25, 1.25, 1.25));
        assert_eq!(Estimate::of(&[], 1), None);
    }

    #[test]
    fn the_interval_is_that_of_the_order_statistics() {
        // Of eleven values, the median of a resample is below the third smallest with probability
        // P(Bin(11, 2/11) >= 6) = 0.6 %, and not above it with P(Bin(11, 3/11) >= 6) = 4.8 %.
        let ratios: Vec<f64> = (0..11).map(|place| f64::from(place).exp2()).collect();
        let estimate = Estimate::of(&ratios, 5).unwrap();
        assert_eq!(estimate.median, 32.0);
        assert!((estimate.low - 4.0).abs() < 1e-9, "{estimate:?}");
        assert!((estimate.high - 256.0).abs() < 1e-9, "{estimate:?}");
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
                (estimate.low..=estimate.high).contains(&truth)
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
        fn the_interval_lies_within_the_ratios_and_holds_the_median(ratios in ratios(), seed: u64) {
            let estimate = Estimate::of_resamples(200, &ratios, seed).unwrap();
            let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let most = ratios.iter().copied().fold(0.0, f64::max);
            prop_assert!(least * 0.999_999 <= estimate.low && estimate.high <= most * 1.000_001);
            prop_assert!(estimate.low <= estimate.median * 1.000_001);
            prop_assert!(estimate.median <= estimate.high * 1.000_001);
        }

        #[test]
        fn exchanging_the_servers_gives_the_reciprocal(ratios in ratios(), seed: u64) {
            let forth = Estimate::of_resamples(200, &ratios, seed).unwrap();
            let reciprocals: Vec<f64> = ratios.iter().map(|ratio| 1.0 / ratio).collect();
            let back = Estimate::of_resamples(200, &reciprocals, seed).unwrap();
            for (ratio, reciprocal) in
                [(forth.median, back.median), (forth.low, back.high), (forth.high, back.low)]
            {
                prop_assert!((ratio * reciprocal - 1.0).abs() < 1e-9);
            }
            prop_assert!((forth.effect() - back.effect()).abs() < 1e-9 * (1.0 + forth.effect()));
            prop_assert!((forth.reach() - back.reach()).abs() < 1e-9 * (1.0 + forth.reach()));
        }

        #[test]
        fn a_seed_fixes_the_result(ratios in ratios(), seed: u64) {
            prop_assert_eq!(Estimate::of(&ratios, seed), Estimate::of(&ratios, seed));
        }
    }
}
