//! Decides whether a worker polls for a while before it sleeps.
//!
//! Being woken takes a virtual machine some 20 µs, so a server that finds the next message by
//! polling answers sooner. Polling pays only where messages come in time: the spinner learns from
//! what became of its earlier waits, and reads no clock.

use std::time::{Duration, Instant};

/// Decides for one worker.
#[derive(Debug)]
pub(super) struct Spinner {
    limit: Duration,
    /// How much polling has paid lately: it goes on as long as there is some left.
    credit: u32,
    /// Waits without polling since it last was tried.
    slept: u32,
}

/// Worth of a wait in which something came is worth, where one in which nothing came costs 1:
/// polling goes on while it finds something in every fifth wait.
const HIT: u32 = 4;
/// So many misses in a row end polling, however well it paid before: with a limit of 50 µs, 2 ms.
const MAX_CREDIT: u32 = 40;
/// After so many waits without polling it is tried again.
const TRY_AGAIN: u32 = 64;

impl Spinner {
    /// A spinner that polls for up to `limit`; never if that is zero.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, credit: MAX_CREDIT, slept: 0 }
    }

    /// There is nothing to do: until when to poll, if at all. `deadline` is when the wait would
    /// end by itself.
    pub(super) fn poll_until(
        &mut self,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Option<Instant> {
        if self.limit.is_zero() {
            return None;
        }
        if self.credit == 0 {
            self.slept += 1;
            if self.slept < TRY_AGAIN {
                return None;
            }
        }
        self.slept = 0;
        let end = now + self.limit;
        Some(deadline.map_or(end, |deadline| end.min(deadline)))
    }

    /// Something came while polling, or nothing did.
    pub(super) fn polled(&mut self, has_found: bool) {
        self.credit = if has_found {
            (self.credit + HIT).min(MAX_CREDIT)
        } else {
            self.credit.saturating_sub(1)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `waits` waits are spent polling, if every `nth` of them would find something.
    fn polled(spinner: &mut Spinner, waits: u32, nth: u32) -> u32 {
        let now = Instant::now();
        let poll = |wait: u32| {
            let polls = spinner.poll_until(now, None).is_some();
            if polls {
                spinner.polled(wait.is_multiple_of(nth));
            }
            u32::from(polls)
        };
        (1..=waits).map(poll).sum()
    }

    #[test]
    fn it_polls_where_that_pays_and_stops_where_it_does_not() {
        let mut spinner = Spinner::new(Duration::from_micros(50));
        assert_eq!(polled(&mut spinner, 10_000, 4), 10_000);
        let in_vain = polled(&mut spinner, 10_000, u32::MAX);
        assert_eq!(in_vain, MAX_CREDIT + (10_000 - MAX_CREDIT) / TRY_AGAIN);
        assert!(polled(&mut spinner, 10_000, 1) > 10_000 - TRY_AGAIN, "it learns again");
    }

    #[test]
    fn it_ends_with_the_wait() {
        let (now, limit) = (Instant::now(), Duration::from_micros(50));
        let mut spinner = Spinner::new(limit);
        assert_eq!(spinner.poll_until(now, None), Some(now + limit));
        let soon = now + limit / 2;
        assert_eq!(spinner.poll_until(now, Some(soon)), Some(soon));
        assert_eq!(Spinner::new(Duration::ZERO).poll_until(now, None), None);
    }
}
