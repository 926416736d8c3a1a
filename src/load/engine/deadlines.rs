//! When something of a slot is to be looked at if nothing happens before: at most one time a slot.

use std::collections::BTreeSet;

/// Times in nanoseconds since the run started, by slot.
#[derive(Default)]
pub(crate) struct Deadlines {
    queue: BTreeSet<(u64, usize)>,
    of_slot: Vec<Option<u64>>,
}

impl Deadlines {
    /// One more slot, without a time.
    pub(crate) fn add_slot(&mut self) {
        self.of_slot.push(None);
    }

    /// Takes the place of the one that the slot has.
    pub(crate) fn set(&mut self, slot: usize, at_ns: u64) {
        self.clear(slot);
        self.of_slot[slot] = Some(at_ns);
        self.queue.insert((at_ns, slot));
    }

    pub(crate) fn clear(&mut self, slot: usize) {
        if let Some(at_ns) = self.of_slot[slot].take() {
            self.queue.remove(&(at_ns, slot));
        }
    }

    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.queue.first().map(|(at_ns, _)| *at_ns)
    }

    /// Takes the earliest away if its time has come; returns whose it is.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<usize> {
        let (at_ns, slot) = *self.queue.first()?;
        if at_ns > now_ns {
            return None;
        }
        self.clear(slot);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_has_one_and_the_earliest_comes_first() {
        let mut deadlines = Deadlines::default();
        (0..3).for_each(|_| deadlines.add_slot());
        deadlines.set(0, 50);
        deadlines.set(1, 20);
        deadlines.set(2, 20);
        deadlines.set(0, 10);
        deadlines.set(1, 30);
        assert_eq!(deadlines.next_ns(), Some(10));
        assert_eq!(deadlines.take_due(9), None);
        let due = std::iter::from_fn(|| deadlines.take_due(25)).collect::<Vec<_>>();
        assert_eq!(due, [0, 2]);
        deadlines.clear(1);
        assert_eq!((deadlines.next_ns(), deadlines.take_due(u64::MAX)), (None, None));
    }
}
