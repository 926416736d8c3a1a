//! Decisions, from a seed or from a script.

use std::collections::VecDeque;

/// Decides the same way on every machine for the same seed and script.
///
/// With a script, every decision takes two bytes of it, so that a fuzzer that changes a byte
/// changes one decision; where it ends the seed goes on. SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(super) struct Rng {
    state: u64,
    script: VecDeque<u8>,
}

impl Rng {
    pub(super) fn new(seed: u64, script: &[u8]) -> Self {
        Self { state: seed, script: script.iter().copied().collect() }
    }

    /// A byte that decides nothing, such as a payload's; it takes nothing of the script.
    pub(super) fn byte(&mut self) -> u8 {
        self.next_of_seed() as u8
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn next(&mut self) -> u64 {
        match (self.script.pop_front(), self.script.pop_front()) {
            (Some(low), Some(high)) => u64::from(u16::from_le_bytes([low, high])),
            _ => self.next_of_seed(),
        }
    }

    fn next_of_seed(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
