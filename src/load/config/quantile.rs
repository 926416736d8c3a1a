//! Percentiles, exactly, and the samples that it takes to know one.

use std::str::FromStr;

use hdrhistogram::Histogram;

use crate::load::error::ConfigError;

/// A share of the samples, above 0 and below 1: millionths of a percent, so that it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantile(u64);

impl Quantile {
    pub(in crate::load) const P50: Self = Self(50_000_000);
    pub(in crate::load) const P75: Self = Self(75_000_000);
    pub(in crate::load) const P90: Self = Self(90_000_000);
    pub(in crate::load) const P95: Self = Self(95_000_000);
    pub(in crate::load) const P99: Self = Self(99_000_000);
    pub(in crate::load) const P99_9: Self = Self(99_900_000);
    pub(in crate::load) const P99_99: Self = Self(99_990_000);
    /// Those that every report shows, in ascending order.
    pub(in crate::load) const SHOWN: [Self; 7] =
        [Self::P50, Self::P75, Self::P90, Self::P95, Self::P99, Self::P99_9, Self::P99_99];
    /// Those that a line has room for.
    pub(in crate::load) const MAIN: [Self; 4] = [Self::P50, Self::P90, Self::P99, Self::P99_9];
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

    /// The name as in reports: `p99.9`.
    pub fn name(self) -> String {
        let (whole, decimals) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let text = format!("p{whole}.{decimals:06}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
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

impl FromStr for Quantile {
    type Err = ConfigError;

    /// Reads percents with at most six decimals, with or without the `p` of a percentile: `99.9`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let percent = text.strip_prefix('p').unwrap_or(text);
        parse_percent(percent).and_then(Self::from_micropercents).ok_or_else(|| {
            ConfigError(format!(
                "{text} is not a percentile: it must be above p0 and below p100, with at most six \
                 decimals; the largest latency is max"
            ))
        })
    }
}

/// Percents with at most six decimals, in millionths.
fn parse_percent(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(decimals) || decimals.len() > 6 {
        return None;
    }
    format!("{whole}{decimals:0<6}").parse().ok()
}
