//! Assertions on two servers, and in how many of its runs each met them.

use schemars::JsonSchema;
use serde::Serialize;

use super::block::Side;
use crate::load::config::assertion::{AssertionResult, Measured};

/// An assertion and what became of it over the runs of one server.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Assertion")]
pub struct Asserted {
    /// Of which server.
    pub server: Side,
    /// As the user wrote it.
    pub assertion: String,
    /// Valid runs of the server, at least 1.
    pub runs: usize,
    /// Of those, the ones that showed it.
    pub met_in: usize,
    /// The measured value of the middle one of them, the smaller of two.
    #[schemars(with = "Option<f64>")]
    pub median: Measured,
    /// True if every run showed it.
    pub met: bool,
}

impl Asserted {
    /// So many assertions of each server, the first assertion first. One of which no run is valid
    /// says nothing.
    pub(super) fn all(assertions: usize, valid_runs: &[(Side, Vec<AssertionResult>)]) -> Vec<Self> {
        let of = |place: usize| [Side::A, Side::B].map(|side| Self::of(place, side, valid_runs));
        (0..assertions).flat_map(of).flatten().collect()
    }

    fn of(place: usize, side: Side, runs: &[(Side, Vec<AssertionResult>)]) -> Option<Self> {
        let runs = runs.iter().filter(|(of, _)| *of == side);
        let mut results: Vec<_> = runs.map(|(_, results)| &results[place]).collect();
        results.sort_by(|one, other| one.measured.value().total_cmp(&other.measured.value()));
        let middle = results.get(results.len().saturating_sub(1) / 2)?;
        let met_in = results.iter().filter(|result| result.met).count();
        Some(Self {
            server: side,
            assertion: middle.assertion.clone(),
            runs: results.len(),
            met_in,
            median: middle.measured,
            met: met_in == results.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_answers_for_its_own_runs() {
        /// Runs in which p99 was to be below 100 ns.
        fn runs<const N: usize>(side: Side, p99_ns: [u64; N]) -> [(Side, Vec<AssertionResult>); N] {
            p99_ns.map(|ns| {
                let (assertion, measured) = ("p99<100ns".to_owned(), Measured::Ns(ns));
                (side, vec![AssertionResult { assertion, measured, met: ns < 100 }])
            })
        }
        let runs = [&runs(Side::A, [90, 99, 120])[..], &runs(Side::B, [40, 50, 30, 20])].concat();
        let results: Vec<_> = Asserted::all(1, &runs)
            .into_iter()
            .map(|of| (of.server, of.met_in, of.runs, of.median, of.met))
            .collect();
        assert_eq!(
            results,
            [(Side::A, 2, 3, Measured::Ns(99), false), (Side::B, 4, 4, Measured::Ns(30), true)]
        );
        assert_eq!(Asserted::all(1, &[]), []);
    }
}
