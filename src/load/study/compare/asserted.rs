//! Assertions on two servers, and in how many of its runs each met them.

use schemars::JsonSchema;
use serde::Serialize;

use super::block::{Block, Side};
use crate::load::config::assertion::Measured;

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
    pub(super) fn all(assertions: usize, blocks: &[Block]) -> Vec<Self> {
        let of = |place: usize| [Side::A, Side::B].map(|side| Self::of(place, side, blocks));
        (0..assertions).flat_map(of).flatten().collect()
    }

    fn of(place: usize, side: Side, blocks: &[Block]) -> Option<Self> {
        let runs = blocks.iter().flat_map(|block| block.runs_of(side)).filter(|run| run.is_valid);
        let mut results: Vec<_> = runs.map(|run| &run.results[place]).collect();
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
    use super::super::block::{Order, Run};
    use super::*;
    use crate::load::config::assertion::AssertionResult;

    /// A run in which p99 was to be below 100 ns.
    fn run(p99_ns: u64) -> Run {
        let result = AssertionResult {
            assertion: "p99<100ns".to_owned(),
            measured: Measured::Ns(p99_ns),
            met: p99_ns < 100,
        };
        Run { metric: Ok(1.0), is_valid: true, results: vec![result] }
    }

    #[test]
    fn each_server_answers_for_its_own_valid_runs() {
        let invalid = Run { is_valid: false, ..run(1_000) };
        let blocks = [
            Block { order: Order::Abba, runs: vec![run(90), run(40), run(50), invalid] },
            Block { order: Order::Baab, runs: vec![run(30), run(99), run(120), run(20)] },
        ];
        let results: Vec<_> = Asserted::all(1, &blocks)
            .into_iter()
            .map(|of| (of.server, of.met_in, of.runs, of.median, of.met))
            .collect();
        assert_eq!(
            results,
            [(Side::A, 2, 3, Measured::Ns(99), false), (Side::B, 4, 4, Measured::Ns(30), true),]
        );
    }

    #[test]
    fn without_a_valid_run_nothing_is_said() {
        let metric = Err("it died".to_owned());
        let invalid = Run { metric, is_valid: false, results: Vec::new() };
        let blocks = [Block { order: Order::Abba, runs: vec![invalid] }];
        assert_eq!(Asserted::all(1, &blocks), []);
    }
}
