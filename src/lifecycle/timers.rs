//! Deadlines of many connections at a cost that does not grow with the idle ones.
//!
//! A deadline that moves later, as an idle or stall deadline does with every message, costs
//! nothing: its entry stays where it is, and when it comes up the connection is asked for its
//! deadline again. Only a deadline that moves earlier moves the entry. There is at most one entry
//! for each connection, and none for one that is gone.

use std::collections::BTreeSet;
use std::time::Instant;

/// The deadlines of a worker. `K` names a connection.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    entries: BTreeSet<(Instant, K)>,
}

/// When a connection's entry comes up, if it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Alarm(Option<Instant>);

impl Alarm {
    /// The entry came up and is gone.
    pub(crate) fn went_off(&mut self) {
        self.0 = None;
    }
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { entries: BTreeSet::new() }
    }

    /// Makes sure that the entry comes up no later than `deadline`.
    pub(crate) fn schedule(&mut self, alarm: &mut Alarm, key: K, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if alarm.0.is_none_or(|scheduled| deadline < scheduled) {
            self.cancel(alarm, key);
            self.entries.insert((deadline, key));
            alarm.0 = Some(deadline);
        }
    }

    /// Removes the entry, if there is one.
    pub(crate) fn cancel(&mut self, alarm: &mut Alarm, key: K) {
        if let Some(scheduled) = alarm.0.take() {
            self.entries.remove(&(scheduled, key));
        }
    }

    /// When the next entry comes up.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.first().map(|(time, _)| *time)
    }

    /// A connection whose entry has come up; tell its [`Alarm`].
    pub(crate) fn pop(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop_first().map(|(_, key)| key)
    }
}

/// The earlier of two deadlines, where there are any.
pub(crate) fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_later_deadline_changes_nothing_and_an_earlier_one_wins() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut timers, mut alarm) = (Timers::new(), Alarm::default());
        timers.schedule(&mut alarm, 7, Some(at(5)));
        timers.schedule(&mut alarm, 7, Some(at(9)));
        timers.schedule(&mut alarm, 7, None);
        assert_eq!(timers.next(), Some(at(5)));
        timers.schedule(&mut alarm, 7, Some(at(2)));
        assert_eq!((timers.next(), timers.entries.len()), (Some(at(2)), 1));
        assert_eq!(timers.pop(at(1)), None);
        assert_eq!(timers.pop(at(6)), Some(7));
        alarm.went_off();
        assert_eq!(timers.pop(at(6)), None);
    }

    #[test]
    fn a_connection_that_is_gone_leaves_no_entry() {
        let (mut timers, mut alarm) = (Timers::new(), Alarm::default());
        timers.schedule(&mut alarm, 1, Some(Instant::now()));
        timers.cancel(&mut alarm, 1);
        assert_eq!(timers.next(), None);
        timers.cancel(&mut alarm, 1);
    }
}
