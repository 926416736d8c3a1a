//! Which server is better, if it can be said. Pure: estimates in, a judgement out.

use super::block::Side;
use super::metric::Better;
use super::statistics::{Estimate, MIN_BLOCKS};
use crate::load::format::{counted, percent};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    Better(Side),
    /// It cannot be said, for these reasons, each a sentence.
    Inconclusive(Vec<String>),
}

impl Judgement {
    /// As in the JSON: `a`, `b` or `inconclusive`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Better(side) => side.name(),
            Self::Inconclusive(_) => "inconclusive",
        }
    }

    /// Weighs the ratio B/A of so many blocks against the control.
    pub(super) fn of(
        ratio: &Estimate,
        control: &Estimate,
        blocks: usize,
        better: Better,
        min_effect: f64,
    ) -> Self {
        let doubts = doubts(ratio, control, blocks, min_effect);
        if !doubts.is_empty() {
            return Self::Inconclusive(doubts);
        }
        let b_has_more = ratio.median > 1.0;
        let b_is_better = b_has_more == (better == Better::More);
        Self::Better(if b_is_better { Side::B } else { Side::A })
    }
}

fn doubts(ratio: &Estimate, control: &Estimate, blocks: usize, min_effect: f64) -> Vec<String> {
    let effect = ratio.effect();
    let mut doubts = Vec::new();
    if blocks < MIN_BLOCKS {
        doubts.push(format!(
            "{} cannot give an interval: at least {MIN_BLOCKS} must be valid",
            counted(blocks as u64, "valid block"),
        ));
    }
    if ratio.interval().is_some_and(|(low, high)| (low..=high).contains(&1.0)) {
        doubts.push("the interval of the ratio covers 1".to_owned());
    }
    if effect < min_effect {
        doubts.push(format!(
            "the difference of {} is below --min-effect {}",
            percent(effect),
            percent(min_effect),
        ));
    }
    if let Some(reach) = control.reach()
        && reach >= effect
    {
        doubts.push(format!(
            "the control, each server against itself, reaches {} from 1: a difference of {} can be \
             the machine's",
            percent(reach),
            percent(effect),
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::super::block::{Block, Order, Run};
    use super::*;
    use crate::load::random::SplitMix64;

    const STEADY: Estimate = control(0.995, 1.004);

    const fn control(low: f64, high: f64) -> Estimate {
        Estimate { median: 1.0, low: Some(low), high: Some(high) }
    }

    fn judge(ratio: (f64, f64, f64), control: Estimate, better: Better) -> Judgement {
        let (low, median, high) = ratio;
        let ratio = Estimate { median, ..self::control(low, high) };
        Judgement::of(&ratio, &control, 10, better, 0.01)
    }

    #[test]
    fn a_server_is_better_where_ratio_interval_and_control_agree() {
        let narrow = control(0.995, 1.049);
        let wide = control(0.995, 1.051);
        let low = control(0.95, 1.004);
        let of_control = "the control, each server against itself, reaches 5.1 % from 1: a \
                          difference of 5.0 % can be the machine's";
        for (ratio, control, better, expected) in [
            ((1.04, 1.05, 1.06), STEADY, Better::More, "b"),
            ((1.04, 1.05, 1.06), STEADY, Better::Less, "a"),
            ((0.94, 0.95, 0.96), STEADY, Better::More, "a"),
            ((0.94, 0.95, 0.96), STEADY, Better::Less, "b"),
            ((0.999, 1.05, 1.06), STEADY, Better::More, "the interval of the ratio covers 1"),
            ((1.006, 1.007, 1.008), STEADY, Better::More, "is below --min-effect 1 %"),
            ((0.992, 0.993, 0.994), STEADY, Better::More, "is below --min-effect 1 %"),
            ((1.04, 1.05, 1.06), narrow, Better::More, "b"),
            ((1.04, 1.05, 1.06), wide, Better::More, of_control),
            ((1.04, 1.05, 1.06), low, Better::More, "the control, each server against itself"),
        ] {
            match judge(ratio, control, better) {
                Judgement::Better(side) => assert_eq!(side.name(), expected, "{ratio:?}"),
                Judgement::Inconclusive(reasons) => {
                    let [reason] = reasons.as_slice() else { panic!("{reasons:?}") };
                    assert!(reason.contains(expected), "{ratio:?} {reason}");
                }
            }
        }
        assert_eq!(judge((0.999, 1.05, 1.06), STEADY, Better::More).name(), "inconclusive");
    }

    #[test]
    fn two_blocks_decide_nothing() {
        let clear = Estimate { median: 2.0, ..control(1.9, 2.1) };
        let of = |blocks| Judgement::of(&clear, &STEADY, blocks, Better::More, 0.01);
        assert_eq!(of(3), Judgement::Better(Side::B));
        for (blocks, words) in [(2, "2 valid blocks cannot give"), (1, "1 valid block cannot")] {
            let Judgement::Inconclusive(reasons) = of(blocks) else { panic!("{blocks} decide") };
            assert!(reasons[0].starts_with(words), "{reasons:?}");
        }
    }

    /// The noise of a short run's metric: of the steady, of the spiky, and of one that has two
    /// states.
    fn noises() -> [fn(&mut SplitMix64) -> f64; 3] {
        fn uniform(random: &mut SplitMix64) -> f64 {
            random.next() as f64 / u64::MAX as f64
        }
        [
            |random| (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0,
            |random| random.next_exponential(),
            |random| f64::from(u8::from(uniform(random) < 0.3)) + 0.1 * uniform(random),
        ]
    }

    /// In how many of a thousand comparisons of a server with itself one side is found better.
    fn false_better(blocks: usize, noise: fn(&mut SplitMix64) -> f64) -> usize {
        const RESAMPLES: usize = 200;
        let mut random = SplitMix64::new(blocks as u64);
        let mut comparison = |seed| {
            let all: Vec<Block> = (0..blocks)
                .map(|number| {
                    let mut metric = || Ok((0.05 * noise(&mut random)).exp());
                    let runs = [(); 4].map(|()| Run::without_results(metric()));
                    Block::new(Order::of_block(number), &runs)
                })
                .collect();
            let of = |value: fn(&Block) -> Option<f64>| {
                let values: Vec<f64> = all.iter().filter_map(value).collect();
                Estimate::of_resamples(RESAMPLES, &values, seed).unwrap()
            };
            let (ratio, control) = (of(|block| block.ratio), of(|block| block.control));
            Judgement::of(&ratio, &control, blocks, Better::More, 0.0)
        };
        (0..1000).filter(|seed| matches!(comparison(*seed), Judgement::Better(_))).count()
    }

    #[test]
    fn a_server_is_found_better_than_itself_in_at_most_one_of_twenty_comparisons() {
        /// Of a thousand: less than 50, for hosts that are worse than these noises.
        const MAX_FOUND: usize = 30;
        for blocks in [3, 4, 5, 6, 7, 8, 10, 15] {
            for noise in noises() {
                let found = false_better(blocks, noise);
                assert!(found <= MAX_FOUND, "{blocks} blocks: {found} of 1000");
            }
        }
    }
}
