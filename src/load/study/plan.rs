//! At which rates a sweep measures. Pure: what was reached comes in, rates come out.

use crate::load::config::MAX_RATE;

/// At which rates to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rates {
    /// At these, in this order.
    Listed(Vec<u64>),
    /// At 1,000/s and twice as much each time, until a rate is not reached (down from 1,000/s
    /// until one is, if that is not); then at three rates between the last that was reached and
    /// the first that was not.
    Doubling,
}

impl Rates {
    pub(crate) fn first(&self) -> u64 {
        match self {
            Self::Listed(rates) => rates.first().copied().unwrap_or(FIRST),
            Self::Doubling => FIRST,
        }
    }

    /// How many there are, if that is known before.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::Listed(rates) => Some(rates.len()),
            Self::Doubling => None,
        }
    }
}

const FIRST: u64 = 1_000;
/// The last octave is divided into this many parts.
const PARTS: u64 = 4;

#[derive(Debug)]
pub(super) struct Plan {
    next: Next,
}

#[derive(Debug)]
enum Next {
    /// The rest of a list, the next rate last.
    Listed(Vec<u64>),
    Up(u64),
    Down(u64),
}

impl Plan {
    pub(super) fn new(rates: &Rates) -> Self {
        Self {
            next: match rates {
                Rates::Listed(rates) => Next::Listed(rates.iter().rev().copied().collect()),
                Rates::Doubling => Next::Up(FIRST),
            },
        }
    }

    /// The rate to measure at; the same until [`handle`](Self::handle) tells what came of it.
    pub(super) fn next_rate(&self) -> Option<u64> {
        match &self.next {
            Next::Listed(rates) => rates.last().copied(),
            Next::Up(rate) | Next::Down(rate) => Some(*rate),
        }
    }

    pub(super) fn handle(&mut self, rate: u64, is_reached: bool) {
        self.next = match (&mut self.next, is_reached) {
            (Next::Listed(rates), _) => {
                rates.pop();
                return;
            }
            (Next::Up(_), true) if rate < MAX_RATE => Next::Up((rate * 2).min(MAX_RATE)),
            (Next::Up(_), true) => Next::Listed(Vec::new()),
            (Next::Up(FIRST), false) | (Next::Down(_), false) if rate > 1 => Next::Down(rate / 2),
            (Next::Up(_), false) => Next::Listed(between(rate / 2, rate)),
            (Next::Down(_), true) => Next::Listed(between(rate, rate * 2)),
            (Next::Down(_), false) => Next::Listed(Vec::new()),
        };
    }
}

/// The rates that divide an octave, the highest first.
fn between(low: u64, high: u64) -> Vec<u64> {
    let mut rates: Vec<u64> =
        (1..PARTS).rev().map(|part| low + (high - low) * part / PARTS).collect();
    rates.dedup();
    rates.retain(|rate| *rate > low && *rate < high);
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates at which a server of this capacity is measured.
    fn rates(rates: &Rates, capacity: u64) -> Vec<u64> {
        let mut plan = Plan::new(rates);
        let mut measured = Vec::new();
        while let Some(rate) = plan.next_rate() {
            measured.push(rate);
            plan.handle(rate, rate <= capacity);
            assert!(measured.len() < 100);
        }
        measured
    }

    #[test]
    fn doubling_ends_beyond_the_capacity_and_looks_closer() {
        let listed = Rates::Listed(vec![10, 20, 30]);
        assert_eq!((rates(&listed, 15), listed.count()), (vec![10, 20, 30], Some(3)));
        let up = [1_000, 2_000, 4_000, 8_000, 5_000, 6_000, 7_000];
        assert_eq!(rates(&Rates::Doubling, 5_000), up);
        // A slow server is met from above, and there is an end to the slowest and the fastest.
        assert_eq!(rates(&Rates::Doubling, 300), [1_000, 500, 250, 312, 375, 437]);
        assert_eq!(rates(&Rates::Doubling, 1)[9..], [1]);
        assert_eq!(rates(&Rates::Doubling, 0).last(), Some(&1));
        assert_eq!(rates(&Rates::Doubling, u64::MAX).last(), Some(&MAX_RATE));
    }
}
