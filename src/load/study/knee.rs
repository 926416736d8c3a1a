//! Where latency begins to run away. Pure.

use crate::load::report::sweep::KNEE_FACTOR;

/// The knee among points in ascending order of their rates: the last with a p50 of at most
/// [`KNEE_FACTOR`] times the lowest of all. A single bad point on the way up is no knee, since the
/// server did better at a higher rate.
///
/// `None` stands for a rate that gave no valid p50. If the last point of all is still good, there
/// is no knee: latency ran away nowhere.
pub(super) fn knee(p50_ns: &[Option<u64>]) -> Option<usize> {
    let lowest_ns = p50_ns.iter().flatten().min()?;
    let limit_ns = lowest_ns.saturating_mul(KNEE_FACTOR);
    let last_good = p50_ns.iter().rposition(|p50| p50.is_some_and(|ns| ns <= limit_ns))?;
    (last_good + 1 < p50_ns.len()).then_some(last_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_knee_is_the_last_rate_before_latency_runs_away() {
        let cases: [(&[Option<u64>], Option<usize>); 9] = [
            (&[Some(50), Some(52), Some(60), Some(90), Some(900), None], Some(3)),
            // A rate that was not reached ends the good ones as well.
            (&[Some(50), Some(60), None], Some(1)),
            // A machine that sleeps between messages takes long to wake up.
            (&[Some(400), Some(100), Some(290), Some(310)], Some(2)),
            // One bad point on the way up is no knee.
            (&[Some(50), Some(5000), Some(60), Some(800)], Some(2)),
            (&[Some(50), None, Some(60), Some(800)], Some(2)),
            (&[Some(50), Some(60), Some(70)], None),
            (&[Some(50), Some(5000), Some(70)], None),
            (&[None, None], None),
            (&[], None),
        ];
        for (p50_ns, expected) in cases {
            assert_eq!(knee(p50_ns), expected, "{p50_ns:?}");
        }
    }
}
