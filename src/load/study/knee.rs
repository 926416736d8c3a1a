//! Where latency begins to run away. Pure.

use crate::load::report::sweep::KNEE_FACTOR;

/// The knee among points in ascending order of their rates: the last with a p99 of at most
/// [`KNEE_FACTOR`] times the lowest of all. A single bad point on the way up is no knee, since the
/// server did better at a higher rate.
///
/// `None` stands for a rate that gave no valid p99. If the last point of all is still good, there
/// is no knee: latency ran away nowhere.
pub(super) fn knee(p99_ns: &[Option<u64>]) -> Option<usize> {
    let lowest_ns = p99_ns.iter().flatten().min()?;
    let limit_ns = lowest_ns.saturating_mul(KNEE_FACTOR);
    let last_good = p99_ns.iter().rposition(|p99| p99.is_some_and(|ns| ns <= limit_ns))?;
    (last_good + 1 < p99_ns.len()).then_some(last_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_knee_is_the_last_rate_before_latency_runs_away() {
        let hockey_stick = [Some(50), Some(52), Some(60), Some(90), Some(900), None];
        assert_eq!(knee(&hockey_stick), Some(3));
    }

    #[test]
    fn a_rate_that_was_not_reached_ends_the_good_ones_as_well() {
        assert_eq!(knee(&[Some(50), Some(60), None]), Some(1));
    }

    #[test]
    fn the_lowest_p99_need_not_be_the_first() {
        // A machine that sleeps between messages takes long to wake up.
        assert_eq!(knee(&[Some(400), Some(100), Some(290), Some(310)]), Some(2));
    }

    #[test]
    fn one_bad_point_on_the_way_up_is_no_knee() {
        assert_eq!(knee(&[Some(50), Some(5000), Some(60), Some(800)]), Some(2));
        assert_eq!(knee(&[Some(50), None, Some(60), Some(800)]), Some(2));
    }

    #[test]
    fn where_nothing_ran_away_or_was_measured_there_is_none() {
        assert_eq!(knee(&[Some(50), Some(60), Some(70)]), None);
        assert_eq!(knee(&[Some(50), Some(5000), Some(70)]), None);
        assert_eq!(knee(&[None, None]), None);
        assert_eq!(knee(&[]), None);
    }
}
