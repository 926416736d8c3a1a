//! Percentiles, exactly, and the samples that it takes to know one.

use hdrhistogram::Histogram;

/// A share of the samples, above 0 and below 1: millionths of a percent, so that it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantile(u64);

impl Quantile {
    pub(in crate::load) const P50: Self = Self(50_000_000);
    pub(in crate::load) const P90: Self = Self(90_000_000);
    pub(in crate::load) const P99: Self = Self(99_000_000);
    pub(in crate::load) const P99_9: Self = Self(99_900_000);
    pub(in crate::load) const P99_99: Self = Self(99_990_000);
    /// Those that every report shows, in ascending order.
    pub(in crate::load) const SHOWN: [Self; 5] =
        [Self::P50, Self::P90, Self::P99, Self::P99_9, Self::P99_99];
    /// Fewer samples beyond a percentile make it a matter of chance.
    pub(in crate::load) const SAMPLES_BEYOND: u64 = 10;
    const ALL: u64 = 100_000_000;

    /// The share of so many millionths of a percent, if it is above 0 and below 1.
    pub fn from_micropercents(micropercents: u64) -> Option<Self> {
        (1..Self::ALL).contains(&micropercents).then_some(Self(micropercents))
    }

    /// Samples of which ten are beyond this quantile.
    pub fn samples_needed(self) -> u64 {
        (Self::SAMPLES_BEYOND * Self::ALL).div_ceil(Self::ALL - self.0)
    }

    pub(in crate::load) fn share(self) -> f64 {
        self.0 as f64 / Self::ALL as f64
    }

    /// The value at this quantile; `None` with fewer than ten samples beyond it, where it would
    /// be chance.
    pub fn of(self, histogram: &Histogram<u64>) -> Option<u64> {
        let is_known = histogram.len() >= self.samples_needed();
        is_known.then(|| histogram.value_at_quantile(self.share()))
    }
}
