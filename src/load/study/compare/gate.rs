//! Bounds that the ratio of a comparison must not cross: `b/a>1.05`. Pure: estimates in, an answer
//! out.

use schemars::JsonSchema;
use serde::Serialize;

use super::statistics::Estimate;
use crate::load::config::assertion::Comparison;

/// A bound on the ratio of the two servers, whose crossing fails the comparison.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Gate {
    /// As the user wrote it.
    pub name: String,
    /// True if it bounds A/B, not B/A.
    pub is_inverse: bool,
    /// How the ratio must compare with the limit to fail.
    pub comparison: Comparison,
    /// The bound, above 0.
    pub limit: f64,
}

/// The result of a gate.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GateResult {
    /// As the user wrote it.
    pub gate: String,
    /// True if the ratio is as it must not be; null where it cannot be said.
    pub met: Option<bool>,
}

impl Gate {
    /// A bound on B/A, by the name that reports give it; one on A/B where
    /// [`is_inverse`](Self::is_inverse) is set.
    pub fn new(name: impl Into<String>, comparison: Comparison, limit: f64) -> Self {
        Self { name: name.into(), is_inverse: false, comparison, limit }
    }

    /// It is met, or not, where the whole interval says so and the control is nearer to 1 than the
    /// ratio is to the limit; else chance may have decided.
    pub(super) fn check(&self, ratio: Option<&Estimate>, control: Option<&Estimate>) -> GateResult {
        let met = ratio.zip(control).and_then(|(ratio, control)| {
            let ratio = if self.is_inverse { ratio.reciprocal() } else { *ratio };
            let (low, high) = ratio.interval()?;
            let of_limit = Estimate { median: ratio.median / self.limit, ..ratio };
            let [at_low, at_high] = [low, high].map(|end| self.comparison.holds(end, self.limit));
            (at_low == at_high && of_limit.effect() > control.reach()?).then_some(at_low)
        });
        GateResult { gate: self.name.clone(), met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(low: f64, median: f64, high: f64) -> Estimate {
        Estimate { median, low: Some(low), high: Some(high) }
    }

    #[test]
    fn the_whole_interval_decides_unless_the_control_is_nearer_to_1() {
        use Comparison::{Above, AtLeast, Below};
        let one_block = Estimate { low: None, high: None, ..estimate(2.0, 2.0, 2.0) };
        for (is_inverse, comparison, limit, ratio, met) in [
            (false, Above, 1.05, estimate(1.06, 1.10, 1.15), Some(true)),
            (false, Above, 1.05, estimate(1.00, 1.02, 1.04), Some(false)),
            (false, Above, 1.05, estimate(1.04, 1.10, 1.15), None),
            (false, Above, 1.05, estimate(0.98, 1.02, 1.06), None),
            (false, Above, 1.05, one_block, None),
            (false, AtLeast, 1.05, estimate(1.055, 1.058, 1.06), None),
            (false, AtLeast, 1.05, estimate(1.055, 1.065, 1.07), Some(true)),
            (true, Below, 0.8, estimate(1.4, 1.5, 1.6), Some(true)),
            (true, Below, 0.8, estimate(0.6, 0.7, 0.8), Some(false)),
        ] {
            let gate = Gate { name: "b/a".to_owned(), is_inverse, comparison, limit };
            let found = gate.check(Some(&ratio), Some(&estimate(0.99, 1.0, 1.01)));
            assert_eq!(found.met, met, "{gate:?} {ratio:?}");
        }
    }
}
