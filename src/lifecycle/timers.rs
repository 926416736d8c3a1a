//! Deadlines of many connections at a cost that does not grow with the idle ones.
//!
//! A deadline that moves later, as an idle or stall deadline does with every message, costs
//! nothing: the entry in the heap stays where it is, and when it comes up the connection is asked
//! for its deadline again. Only a deadline that moves earlier makes a new entry.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The heap of a worker. `K` names a connection and must not be used again for another one.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

/// A connection's place in the heap: the earliest of its entries that still counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Alarm(Option<Instant>);

impl Alarm {
    /// Whether an entry that came up at `time` is this one; it no longer is in the heap then.
    pub(crate) fn take_if(&mut self, time: Instant) -> bool {
        let is_this = self.0 == Some(time);
        if is_this {
            self.0 = None;
        }
        is_this
    }
}

impl<K: Ord> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    /// Makes sure that an entry comes up no later than `deadline`.
    pub(crate) fn schedule(&mut self, alarm: &mut Alarm, key: K, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if alarm.0.is_none_or(|scheduled| deadline < scheduled) {
            self.heap.push(Reverse((deadline, key)));
            alarm.0 = Some(deadline);
        }
    }

    /// When the next entry comes up, whether it still counts or not.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((time, _))| *time)
    }

    /// An entry that has come up, with its time to be compared with the [`Alarm`].
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_later_deadline_makes_no_entry_and_an_earlier_one_wins() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut timers, mut alarm) = (Timers::new(), Alarm::default());
        timers.schedule(&mut alarm, 7, Some(at(5)));
        timers.schedule(&mut alarm, 7, Some(at(9)));
        timers.schedule(&mut alarm, 7, None);
        assert_eq!(timers.heap.len(), 1);
        timers.schedule(&mut alarm, 7, Some(at(2)));
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.pop(at(1)), None);

        let (time, key) = timers.pop(at(6)).expect("due");
        assert!((time, key) == (at(2), 7) && alarm.take_if(time));
        let (time, _) = timers.pop(at(6)).expect("the entry that no longer counts");
        assert!(!alarm.take_if(time));
        assert_eq!(timers.pop(at(6)), None);
    }
}
