//! Which rate to try next. Pure: what passed and what failed comes in, rates come out.

use crate::load::config::MAX_RATE;
use crate::load::report::search::Purpose;

/// Where a search begins, and how close it comes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Bounds {
    /// The first rate, at least `least`.
    pub start: u64,
    /// No lower rate is tried, at least 1: below it there are too few messages to tell.
    pub least: u64,
    /// The search is over when the lowest rate that failed is at most this much above the highest
    /// that passed, as a share; more than 0.
    pub resolution: f64,
}

impl Bounds {
    /// The fields in their order, within what they say of themselves.
    pub fn new(start: u64, least: u64, resolution: f64) -> Self {
        Self { start, least, resolution }
    }
}

#[derive(Debug)]
pub(super) struct Search {
    bounds: Bounds,
    /// Rates that passed and none at or below which failed, ascending.
    passed: Vec<u64>,
    failed: Option<u64>,
    is_confirmed: bool,
}

impl Search {
    pub(super) fn new(bounds: Bounds) -> Self {
        assert!(bounds.least >= 1 && bounds.start >= bounds.least && bounds.resolution > 0.0);
        Self { bounds, passed: Vec::new(), failed: None, is_confirmed: false }
    }

    /// The next rate to try and why; `None` when the search is over.
    pub(super) fn next_probe(&self) -> Option<(u64, Purpose)> {
        match (self.highest_passed(), self.failed) {
            (None, None) => Some((self.bounds.start, Purpose::Double)),
            (Some(passed), None) if passed >= MAX_RATE => self.confirmation(passed),
            (Some(passed), None) => Some(((passed * 2).min(MAX_RATE), Purpose::Double)),
            (None, Some(failed)) if failed <= self.bounds.least => None,
            (None, Some(failed)) => Some(((failed / 2).max(self.bounds.least), Purpose::Halve)),
            (Some(passed), Some(failed)) if self.is_close(passed, failed) => {
                self.confirmation(passed)
            }
            (Some(passed), Some(failed)) => Some((u64::midpoint(passed, failed), Purpose::Bisect)),
        }
    }

    pub(super) fn handle(&mut self, rate: u64, is_passed: bool) {
        if is_passed {
            self.is_confirmed = self.highest_passed() == Some(rate);
            if !self.is_confirmed {
                self.passed.push(rate);
            }
        } else {
            self.is_confirmed = false;
            self.failed = Some(rate);
            // What passed once and failed now is not to be relied on.
            self.passed.retain(|passed| *passed < rate);
        }
    }

    pub(super) fn highest_passed(&self) -> Option<u64> {
        self.passed.last().copied()
    }

    pub(super) fn lowest_failed(&self) -> Option<u64> {
        self.failed
    }

    /// Returns whether the highest rate passed twice.
    pub(super) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    fn confirmation(&self, best: u64) -> Option<(u64, Purpose)> {
        (!self.is_confirmed).then_some((best, Purpose::Confirm))
    }

    fn is_close(&self, passed: u64, failed: u64) -> bool {
        failed - passed <= 1 || failed as f64 <= passed as f64 * (1.0 + self.bounds.resolution)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// More probes than any search makes.
    const MANY: usize = 500;

    fn bounds(start: u64, least: u64, resolution: f64) -> Bounds {
        Bounds { start, least, resolution }
    }

    /// Searches with the answers of an oracle; returns the probes and the search at its end.
    fn search(
        bounds: Bounds,
        mut passes: impl FnMut(u64) -> bool,
    ) -> (Vec<(u64, Purpose)>, Search) {
        let mut search = Search::new(bounds);
        let mut probes = Vec::new();
        while let Some((rate, purpose)) = search.next_probe() {
            probes.push((rate, purpose));
            search.handle(rate, passes(rate));
            assert!(probes.len() < MANY, "no end");
        }
        (probes, search)
    }

    #[test]
    fn doubles_then_bisects_then_confirms() {
        let (probes, search) = search(bounds(1000, 1, 0.1), |rate| rate <= 2700);
        let rates: Vec<u64> = probes.iter().map(|(rate, _)| *rate).collect();
        assert_eq!(rates, [1000, 2000, 4000, 3000, 2500, 2750, 2500]);
        assert_eq!(probes.last(), Some(&(2500, Purpose::Confirm)));
        assert_eq!((search.highest_passed(), search.lowest_failed()), (Some(2500), Some(2750)));
        assert!(search.is_confirmed());
    }

    #[test]
    fn a_start_that_fails_is_halved_down_to_the_least() {
        let (probes, found) = search(bounds(1000, 100, 0.5), |rate| rate <= 300);
        let halved = [(1000, Purpose::Double), (500, Purpose::Halve), (250, Purpose::Halve)];
        assert_eq!(probes[..3], halved);
        assert_eq!((found.highest_passed(), found.lowest_failed()), (Some(250), Some(375)));
        let (probes, found) = search(bounds(1000, 100, 0.5), |_| false);
        assert_eq!(probes.last(), Some(&(100, Purpose::Halve)));
        assert_eq!((found.highest_passed(), found.lowest_failed()), (None, Some(100)));
        assert!(!found.is_confirmed());
    }

    #[test]
    fn a_best_that_does_not_pass_again_has_failed() {
        let mut asked = 0;
        let (probes, found) = search(bounds(1000, 1, 0.05), |rate| {
            asked += usize::from(rate == 2000);
            rate < 2000 || (rate == 2000 && asked == 1)
        });
        assert!(probes.contains(&(2000, Purpose::Confirm)));
        assert_eq!(found.lowest_failed(), Some(2000));
        assert!(found.highest_passed().unwrap() < 2000 && found.is_confirmed());
    }

    proptest! {
        #[test]
        fn the_bracket_holds_the_capacity(
            start in 1_u64..1_000_000,
            capacity in 1_u64..100_000_000,
            resolution in 0.01_f64..1.0,
        ) {
            let (probes, found) = search(bounds(start, 1, resolution), |rate| rate <= capacity);
            let passed = found.highest_passed().unwrap();
            let failed = found.lowest_failed().unwrap();
            prop_assert!(passed <= capacity && capacity < failed);
            let is_close = failed as f64 <= passed as f64 * (1.0 + resolution);
            prop_assert!(failed - passed <= 1 || is_close);
            prop_assert!(found.is_confirmed());
            prop_assert!(probes.len() < 60, "{}", probes.len());
            let (_, found) = search(bounds(start, 1, resolution), |_| true);
            prop_assert_eq!((found.highest_passed(), found.lowest_failed()), (Some(MAX_RATE), None));
            prop_assert!(found.is_confirmed());
        }

        #[test]
        fn an_oracle_that_says_anything_comes_to_an_end(
            seed: u64,
            start in 1_u64..1_000_000,
            resolution in 0.01_f64..1.0,
        ) {
            let mut state = seed | 1;
            let (_, found) = search(bounds(start, 1, resolution), |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state >> 63 == 0
            });
            if let (Some(passed), Some(failed)) = (found.highest_passed(), found.lowest_failed()) {
                prop_assert!(passed < failed);
            }
            prop_assert_eq!(found.is_confirmed(), found.highest_passed().is_some());
        }
    }
}
