//! From values to pixels, and where the round values in between lie.

/// With fewer no step is wide enough for what lies on both sides of zero.
const MIN_TICKS: usize = 3;

/// More than any counter of 64 bits holds; what is larger is drawn as this.
const LARGEST: f64 = 1e21;
/// Between what an axis may be asked to tell apart at least, and [`LARGEST`].
const MAX_DECADES: usize = 32;

/// The place of a value between two others. Values outside are drawn at the end that they lie
/// beyond, so a place is always finite and inside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Scale {
    /// Equal differences take equal room.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        Self { low, high, is_log: false }
    }

    /// Equal ratios take equal room. Bounds are above 0.
    fn log(low: f64, high: f64) -> Self {
        Self { low: low.log10(), high: high.log10(), is_log: true }
    }

    pub(super) fn share(&self, value: f64) -> f64 {
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = (value - self.low) / (self.high - self.low);
        // Not `clamp`, which would let pass what is not a number.
        if share > 0.0 { share.min(1.0) } else { 0.0 }
    }
}

/// A scale with named values on it.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
}

/// An axis with round values at both ends and in between, some of them named: of ratios where the
/// values' range is wide, of differences where it is narrow. Nothing below 1 is told apart.
pub(super) fn fitting(range: Range, most: usize, name: fn(f64) -> String) -> Axis {
    const WIDE: f64 = 3.0;
    const LEAST: f64 = 1.0;
    let (low, high) = (range.low.max(LEAST), range.high.max(LEAST));
    if high == low {
        // One value alone stands in the middle of its surroundings.
        of_ratios(Range { low: low / 2.0, high: high * 2.0 }, most, name)
    } else if high / low < WIDE {
        of_differences(Range { low, high }, most, name)
    } else {
        of_ratios(Range { low, high }, most, name)
    }
}

fn of_ratios(range: Range, most: usize, name: fn(f64) -> String) -> Axis {
    let rungs = rungs(range.low, range.high);
    let scale = Scale::log(rungs[0], rungs[rungs.len() - 1]);
    named(scale, log_ticks(rungs, most.max(MIN_TICKS)), name)
}

/// Such an axis on which equal differences take equal room.
pub(super) fn of_differences(range: Range, most: usize, name: fn(f64) -> String) -> Axis {
    let ticks = linear_ticks(range.low, range.high, most.max(MIN_TICKS));
    named(Scale::linear(ticks[0], ticks[ticks.len() - 1]), ticks, name)
}

/// An axis of equal differences from 0 to beyond the largest value: what is steady does not run
/// along the edge.
pub(super) fn with_headroom(high: f64, most: usize, name: fn(f64) -> String) -> Axis {
    const HEADROOM: f64 = 1.15;
    let mut ticks = linear_ticks(0.0, high, most.max(MIN_TICKS));
    let end = (high * HEADROOM).max(ticks[1]);
    ticks.retain(|tick| *tick <= end);
    named(Scale::linear(0.0, end), ticks, name)
}

fn named(scale: Scale, ticks: Vec<f64>, name: fn(f64) -> String) -> Axis {
    Axis { scale, ticks: ticks.into_iter().map(|tick| (tick, name(tick))).collect() }
}

/// Times that are round for people, from 0 to `end_s`, all `step` apart: at most `most` of them,
/// and the step.
pub(super) fn time_ticks(end_s: f64, most: usize) -> (Vec<f64>, f64) {
    const STEPS_S: [f64; 25] = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
        120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0, 86_400.0, 172_800.0,
    ];
    let intervals = |step: f64| (end_s / step + 1e-9).floor();
    let fits = |step: &f64| intervals(*step) < most as f64;
    let step = STEPS_S.into_iter().find(fits).unwrap_or_else(|| {
        // Whole days, as many as it takes.
        (end_s / 86_400.0 / (most - 1) as f64).ceil() * 86_400.0
    });
    ((0..=intervals(step) as u32).map(|n| f64::from(n) * step).collect(), step)
}

/// The smallest and the largest of some values, none farther from zero than [`LARGEST`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// Of the values that are numbers, if there is any.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        values.filter(|value| value.is_finite()).fold(None, |range, value| {
            let value = value.clamp(-LARGEST, LARGEST);
            let Self { low, high } = range.unwrap_or(Self { low: value, high: value });
            Some(Self { low: low.min(value), high: high.max(value) })
        })
    }
}

/// Multiples of 1, 2 or 5 times a power of ten: 2 to `most` of them, from the last not above `low`
/// to the first not below `high`.
fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    /// Of the values themselves: nothing that is measured is told apart by less.
    const SMALLEST_SPAN: f64 = 1e-3;
    let largest = low.abs().max(high.abs()).max(1e-9);
    let span = (high - low).max(largest * SMALLEST_SPAN);
    let finest = (span / most as f64).log10().floor() as i32;
    let steps = (finest..).flat_map(|exponent| [1.0, 2.0, 5.0].map(|digit| (digit, exponent)));
    for (digit, exponent) in steps {
        let step = round(1.0, digit, exponent);
        let first = (low / step).floor();
        let last = (high / step).ceil().max(first + 1.0);
        let count = last - first + 1.0;
        if count <= most as f64 {
            return (0..count as u32)
                .map(|n| round(first + f64::from(n), digit, exponent))
                .collect();
        }
    }
    unreachable!("a step that is wide enough is among them, since three ticks are always allowed")
}

/// 1, 2 and 5 times powers of ten, at least two of them, from the last not above `low` to the first
/// not below `high`. Bounds are above 0.
fn rungs(low: f64, high: f64) -> Vec<f64> {
    // Logarithms round: it may begin a decade too low, never too high.
    let begin = (low.log10() - 1e-9).floor() as i32;
    let all = (begin..).flat_map(|exponent| [1.0, 2.0, 5.0].map(|digit| (digit, exponent)));
    let mut rungs: Vec<f64> = Vec::new();
    for (digit, exponent) in all {
        let rung = round(1.0, digit, exponent);
        if rung <= low {
            rungs.clear();
        }
        rungs.push(rung);
        if rung >= high && rungs.len() >= 2 {
            break;
        }
    }
    rungs
}

/// The rungs, or where these are more than `most` the powers of ten among them, or where these are
/// too many every second, third and so on: 2 to `most`. The ends stay where they are, so that no
/// decade is empty.
fn log_ticks(rungs: Vec<f64>, most: usize) -> Vec<f64> {
    if rungs.len() <= most {
        return rungs;
    }
    let (low, high) = (rungs[0], rungs[rungs.len() - 1]);
    let exponents = |value: f64| value.log10().round() as i32;
    let powers = |stride: usize| {
        let first = exponents(low).div_euclid(stride as i32) * stride as i32;
        let all = (first..=exponents(high)).step_by(stride);
        let all = all.map(|exponent| round(1.0, 1.0, exponent));
        all.filter(|power| (low..=high).contains(power)).collect::<Vec<_>>()
    };
    let ticks = (1..=MAX_DECADES).map(powers).find(|ticks| ticks.len() <= most);
    let ticks = ticks.expect("ticks this far apart are few");
    // Two ends tell more than one value between them.
    if ticks.len() >= 2 { ticks } else { vec![low, high] }
}

/// `count * digit * 10^exponent`, as near as 64 bits come: products with negative powers are not.
fn round(count: f64, digit: f64, exponent: i32) -> f64 {
    if exponent < 0 {
        count * digit / 10_f64.powi(-exponent)
    } else {
        count * digit * 10_f64.powi(exponent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_what_a_person_would_choose() {
        assert_eq!(linear_ticks(0.0, 172_629.0, 5), [0.0, 50e3, 100e3, 150e3, 200e3]);
        assert_eq!(linear_ticks(0.93, 1.07, 8), [0.9, 0.95, 1.0, 1.05, 1.1]);
        assert_eq!(linear_ticks(5.0, 5.0, 5), [5.0, 5.001]);
        assert_eq!(linear_ticks(0.0, 0.0, 5).len(), 2);
        let log_ticks = |low, high, most| log_ticks(rungs(low, high), most);
        assert_eq!(log_ticks(28.5, 371.0, 8), [20.0, 50.0, 100.0, 200.0, 500.0]);
        assert_eq!(log_ticks(1.0, 1e9, 8), [1.0, 100.0, 1e4, 1e6, 1e8]);
        assert_eq!(log_ticks(30.0, 7e7, 4), [1e2, 1e4, 1e6, 1e8]);
        assert_eq!(log_ticks(30.0, 7e7, 3), [1e3, 1e6]);
        assert_eq!(log_ticks(20.0, 200.0, 3), [20.0, 200.0]);
        assert_eq!(log_ticks(100.0, 100.0, 8), [100.0, 200.0]);
    }

    #[test]
    fn no_decade_of_an_axis_is_empty() {
        for (low, high) in [(30.0, 7e7), (1.0, 1e9), (3e3, 6e10), (1.1e3, 9e9)] {
            let axis = fitting(Range { low, high }, 8, |value| value.to_string());
            // Steps of 1, 2 and 5: what is left at an end is less than a factor of 2.5.
            let most_left = 2.5_f64.log10() / (high / low).log10();
            assert!(axis.scale.share(low) <= most_left, "{low} to {high}");
            assert!(axis.scale.share(high) >= 1.0 - most_left, "{low} to {high}");
        }
    }

    #[test]
    fn an_axis_with_headroom_has_room_above_the_highest() {
        for high in [1.0, 999.0, 20_000.0, 172_629.0] {
            let axis = with_headroom(high, 5, |value| value.to_string());
            let share = axis.scale.share(high);
            assert!((0.8..0.9).contains(&share), "{high} at {share}");
            assert!(axis.ticks.len() >= 2 && axis.ticks[0].0 == 0.0, "{axis:?}");
        }
    }

    #[test]
    fn a_scale_stays_in_its_span() {
        let scale = Scale::log(1.0, 1e6);
        assert_eq!([1.0, 1e3, 1e6].map(|value| scale.share(value)), [0.0, 0.5, 1.0]);
        let odd = [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0];
        assert_eq!(odd.map(|value| scale.share(value)), [0.0; 4]);
        assert_eq!(scale.share(f64::INFINITY), 1.0);
        assert!(Scale::linear(5.0, 5.0).share(5.0).is_finite());
    }

    #[test]
    fn times_are_round() {
        assert_eq!(time_ticks(10.0, 12), ((0..=10).map(f64::from).collect(), 1.0));
        assert_eq!(time_ticks(300.0, 12), ((0..=10).map(|n| f64::from(n) * 30.0).collect(), 30.0));
        assert_eq!(time_ticks(0.0, 12).0, [0.0]);
    }

    proptest! {
        #[test]
        fn time_ticks_are_inside_and_few(end_s in 0.0..1e9_f64, most in 2_usize..20) {
            let (ticks, _) = time_ticks(end_s, most);
            prop_assert!((1..=most).contains(&ticks.len()));
            prop_assert!(ticks.iter().all(|tick| *tick <= end_s * (1.0 + 1e-6)), "{ticks:?}");
        }

        #[test]
        fn ticks_are_round_cover_the_range_and_are_few(
            low in -1e12..1e12_f64,
            span in prop_oneof![0.0..1.0, 0.0..1e12_f64],
            exponent in -10.0..18.0_f64,
            decades in 0.0..12.0_f64,
            most in 3_usize..20,
        ) {
            let is_round = |value: f64| {
                let digit = value / 10_f64.powf((value.log10() + 1e-9).floor());
                [1.0, 2.0, 5.0, 10.0].iter().any(|round| (digit - round).abs() < 0.05)
            };
            let check = |ticks: &[f64], low: f64, high: f64| {
                (2..=most).contains(&ticks.len())
                    && ticks[0] <= low
                    && ticks[ticks.len() - 1] >= high
                    && ticks.windows(2).all(|pair| pair[0] < pair[1])
            };
            let linear = linear_ticks(low, low + span, most);
            prop_assert!(check(&linear, low, low + span) && is_round(linear[1] - linear[0]));
            let (low, high) = (10_f64.powf(exponent), 10_f64.powf(exponent + decades));
            let rungs = rungs(low, high);
            prop_assert!(check(&rungs, low, high) || rungs.len() > most);
            let (first, last) = (rungs[0], rungs[rungs.len() - 1]);
            prop_assert!(first <= low && last >= high);
            let log = log_ticks(rungs, most);
            prop_assert!(check(&log, log[0], log[log.len() - 1]));
            prop_assert!(log.iter().all(|tick| is_round(*tick) && (first..=last).contains(tick)));
        }

        #[test]
        fn any_axis_gives_places_inside(
            low: f64, high: f64, value: f64, most in 0_usize..20,
        ) {
            let Some(range) = Range::of([low, high].into_iter()) else { return Ok(()) };
            let name = |value: f64| value.to_string();
            let above = with_headroom(range.high.max(1.0), most, name);
            for axis in [fitting(range, most, name), of_differences(range, most, name), above] {
                let is_inside = |value: f64| (0.0..=1.0).contains(&axis.scale.share(value));
                prop_assert!(is_inside(value));
                prop_assert!(axis.ticks.iter().all(|(tick, _)| is_inside(*tick)));
            }
        }
    }
}
