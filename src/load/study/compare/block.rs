//! A block: both servers measured twice, in an order that lets what drifts fall out.
//!
//! The runs of a block are A B B A, and in every other block B A A B. Whatever changes steadily
//! while the block lasts (a machine that warms up, a neighbour that wakes) falls on both servers
//! alike.
//!
//! # The control
//!
//! The four runs are divided once more, so that each server stands against itself:
//!
//! ```text
//! effect  = √( B₁·B₂ / A₁·A₂ )          control = √( A₁/A₂ · B₂/B₁ )
//! ```
//!
//! The control does not depend on how the servers compare: it is 1, and what it is instead is the
//! machine. It is made of the same runs, as many on either side of the line, as the effect; so its
//! interval is what chance alone gives an effect here, on this day, with servers as unsteady as
//! these. An A/A comparison would cost as many runs again, and would not see an unsteady B.

use std::fmt;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;

use crate::load::config::assertion::AssertionResult;

/// One of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The one of `--a`.
    A,
    /// The one of `--b`.
    B,
}

impl Side {
    /// The name that the user gave it by choosing the option.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// In which order a block's runs are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Order {
    /// A B B A.
    Abba,
    /// B A A B.
    Baab,
}

pub(super) const RUNS: usize = 4;

impl Order {
    /// The order of the block with this number, counted from 0: they take turns.
    pub(super) fn of_block(number: usize) -> Self {
        if number.is_multiple_of(2) { Self::Abba } else { Self::Baab }
    }

    pub(super) fn sides(self) -> [Side; RUNS] {
        match self {
            Self::Abba => [Side::A, Side::B, Side::B, Side::A],
            Self::Baab => [Side::B, Side::A, Side::A, Side::B],
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Abba => "ABBA",
            Self::Baab => "BAAB",
        })
    }
}

/// A run that was made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    /// The value that is compared, or why the run has none that may be used.
    pub(super) metric: Result<f64, String>,
    /// The results of the assertions, in their order; none unless the measurement is valid, which
    /// may have no such metric all the same.
    pub(super) results: Vec<AssertionResult>,
    /// Its latencies, if the measurement is valid.
    pub(super) latency: Option<Histogram<u64>>,
    /// The warnings of its verdict, if the measurement is valid.
    pub(super) warnings: Vec<String>,
}

impl Run {
    pub(super) fn without_results(metric: Result<f64, String>) -> Self {
        Self { metric, results: Vec::new(), latency: None, warnings: Vec::new() }
    }
}

/// A block of four runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Block {
    /// The order of its runs.
    pub order: Order,
    /// Geometric mean of the server's two runs.
    pub a: Option<f64>,
    /// Geometric mean of server B's two runs.
    pub b: Option<f64>,
    /// The one over the other: B/A.
    pub ratio: Option<f64>,
    /// Each server over itself.
    pub control: Option<f64>,
    /// True if every run was made and is valid.
    pub valid: bool,
    /// Why runs are not valid, each with its place in the block.
    pub reasons: Vec<String>,
    /// In the order in which they were made; null where a run is not valid.
    pub runs: Vec<Option<f64>>,
}

impl Block {
    /// The block of as many runs as were made, in this order.
    pub(super) fn new(order: Order, runs: &[Run]) -> Self {
        let made = || order.sides().into_iter().zip(runs);
        let of = |side: Side| -> Option<[f64; 2]> {
            let mut own = made().filter(|(of, _)| *of == side).map(|(_, run)| run);
            let mut next = || own.next()?.metric.as_ref().ok().copied();
            Some([next()?, next()?])
        };
        let mean = |[first, second]: [f64; 2]| (first * second).sqrt();
        let both = of(Side::A).zip(of(Side::B));
        let reasons = made().zip(1..).filter_map(|((side, run), place)| {
            let reason = run.metric.as_ref().err()?;
            Some(format!("run {place} ({}): {reason}", side.name()))
        });
        Self {
            order,
            a: of(Side::A).map(mean),
            b: of(Side::B).map(mean),
            ratio: both.map(|(a, b)| mean(b) / mean(a)),
            control: both.map(|([a1, a2], [b1, b2])| (a1 / a2 * (b2 / b1)).sqrt()),
            valid: both.is_some(),
            reasons: reasons.collect(),
            runs: runs.iter().map(|run| run.metric.as_ref().ok().copied()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs each of whose metrics is that of its server times what the machine does.
    fn runs(order: Order, a: f64, b: f64, machine: [f64; RUNS]) -> Vec<Run> {
        let runs = order.sides().into_iter().zip(machine).map(|(side, machine)| {
            let of_server = if side == Side::A { a } else { b };
            Run::without_results(Ok(machine * of_server))
        });
        runs.collect()
    }

    fn block(order: Order, a: f64, b: f64, machine: [f64; RUNS]) -> Block {
        Block::new(order, &runs(order, a, b, machine))
    }

    fn close(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|value| (value / expected - 1.0).abs() < 1e-9)
    }

    #[test]
    fn blocks_take_turns() {
        let control: Vec<String> =
            (0..4).map(|number| Order::of_block(number).to_string()).collect();
        assert_eq!(control, ["ABBA", "BAAB", "ABBA", "BAAB"]);
    }

    #[test]
    fn a_block_with_a_missing_or_an_invalid_run_has_no_ratio_and_says_why() {
        let mut runs = runs(Order::Abba, 10.0, 20.0, [1.0; RUNS]);
        let whole = Block::new(Order::Abba, &runs);
        assert!(whole.valid && whole.reasons.is_empty());
        let cut_short = Block::new(Order::Abba, &runs[..3]);
        assert!(!cut_short.valid && cut_short.ratio.is_none());
        runs[1].metric = Err("3 messages were lost".to_owned());
        let invalid = Block::new(Order::Abba, &runs);
        assert_eq!((invalid.valid, invalid.ratio, invalid.control), (false, None, None));
        assert_eq!((invalid.a, invalid.b), (Some(10.0), None));
        // The place in the block, and whose.
        assert_eq!(invalid.reasons, ["run 2 (b): 3 messages were lost"]);
    }

    proptest! {
        #[test]
        fn steady_drift_falls_out_of_the_ratio(
            a in 0.1_f64..1e6,
            b in 0.1_f64..1e6,
            step in 0.5_f64..2.0,
        ) {
            let machine = [1.0, step, step * step, step * step * step];
            for order in [Order::Abba, Order::Baab] {
                let block = block(order, a, b, machine);
                prop_assert!(close(block.ratio, b / a));
            }
            // Of the control a step remains, in one direction and in the next block in the other.
            let control = |order| block(order, a, b, machine).control;
            let controls = [Order::Abba, Order::Baab].map(control);
            prop_assert!(close(controls[0], 1.0 / step) && close(controls[1], step));
        }

        #[test]
        fn the_control_knows_nothing_of_the_servers(
            a in 0.1_f64..1e6,
            b in 0.1_f64..1e6,
            machine in proptest::array::uniform4(0.5_f64..2.0),
        ) {
            for order in [Order::Abba, Order::Baab] {
                let equal = block(order, 1.0, 1.0, machine).control.unwrap();
                prop_assert!(close(block(order, a, b, machine).control, equal));
            }
        }
    }
}
