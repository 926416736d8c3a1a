//! Which server is better, if it can be said. Pure: estimates in, a judgement out.

use super::block::Side;
use super::metric::Better;
use super::statistics::Estimate;
use crate::load::format::{counted, percent};

/// Fewer blocks give no interval worth the name: of two ratios it is the two.
const MIN_BLOCKS: usize = 3;

/// Which server is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// This one.
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
    if ratio.covers_one() {
        doubts.push("the interval of the ratio covers 1".to_owned());
    }
    if effect < min_effect {
        doubts.push(format!(
            "the difference of {} is below --min-effect {}",
            percent(effect),
            percent(min_effect),
        ));
    }
    if control.reach() >= effect {
        doubts.push(format!(
            "the control, each server against itself, reaches {} from 1: a difference of {} can be \
             the machine's",
            percent(control.reach()),
            percent(effect),
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEADY: Estimate = Estimate { median: 1.0, low: 0.995, high: 1.004 };

    fn judge(ratio: (f64, f64, f64), control: Estimate, better: Better) -> Judgement {
        let (low, median, high) = ratio;
        Judgement::of(&Estimate { median, low, high }, &control, 10, better, 0.01)
    }

    fn reasons(judgement: Judgement) -> Vec<String> {
        match judgement {
            Judgement::Inconclusive(reasons) => reasons,
            Judgement::Better(side) => panic!("{side:?} is better"),
        }
    }

    #[test]
    fn more_or_less_is_better_as_the_metric_has_it() {
        let higher = (1.04, 1.05, 1.06);
        let lower = (0.94, 0.95, 0.96);
        assert_eq!(judge(higher, STEADY, Better::More), Judgement::Better(Side::B));
        assert_eq!(judge(higher, STEADY, Better::Less), Judgement::Better(Side::A));
        assert_eq!(judge(lower, STEADY, Better::More), Judgement::Better(Side::A));
        assert_eq!(judge(lower, STEADY, Better::Less), Judgement::Better(Side::B));
        assert_eq!(judge(lower, STEADY, Better::Less).name(), "b");
    }

    #[test]
    fn an_interval_that_covers_one_decides_nothing() {
        let reasons = reasons(judge((0.999, 1.05, 1.06), STEADY, Better::More));
        assert_eq!(reasons, ["the interval of the ratio covers 1"]);
    }

    #[test]
    fn too_small_a_difference_decides_nothing_in_either_direction() {
        for ratio in [(1.006, 1.007, 1.008), (0.992, 0.993, 0.994)] {
            let reasons = reasons(judge(ratio, STEADY, Better::More));
            let [reason] = reasons.as_slice() else { panic!("{reasons:?}") };
            assert!(reason.ends_with("is below --min-effect 1 %"), "{reason}");
        }
    }

    #[test]
    fn a_control_as_wide_as_the_difference_decides_nothing() {
        let narrow = Estimate { high: 1.049, ..STEADY };
        let wide = Estimate { high: 1.051, ..STEADY };
        assert_eq!(judge((1.04, 1.05, 1.06), narrow, Better::More).name(), "b");
        let reasons = reasons(judge((1.04, 1.05, 1.06), wide, Better::More));
        assert_eq!(
            reasons,
            ["the control, each server against itself, reaches 5.1 % from 1: a difference of 5.0 \
              % can be the machine's"]
        );
        let low = Estimate { low: 0.95, ..STEADY };
        assert_eq!(judge((1.04, 1.05, 1.06), low, Better::More).name(), "inconclusive");
    }

    #[test]
    fn two_blocks_decide_nothing() {
        let clear = Estimate { median: 2.0, low: 1.9, high: 2.1 };
        let of = |blocks| Judgement::of(&clear, &STEADY, blocks, Better::More, 0.01);
        assert_eq!(of(3).name(), "b");
        assert!(reasons(of(2))[0].starts_with("2 valid blocks cannot give an interval"));
        assert!(reasons(of(1))[0].starts_with("1 valid block cannot"));
    }
}
