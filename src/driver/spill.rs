//! Memory of our own for bytes that wait, and who has to go when there is too much of it.
//!
//! # The rule
//!
//! The connection goes for which bytes × time is largest: the bytes that it keeps in memory of ours,
//! and how long it has kept some. So neither a peer that begins again and again drives out one that
//! waits long with little, nor does one that came with much have to wait long for its turn. Time counts
//! from [`HEAD_START`] on: a burst of attackers is no older than its turn, and so is a peer in bulk,
//! whose much is soon gone.
//!
//! Connections stand in classes by the powers of two of their bytes, in each by age. The first of a
//! class is its worst, so an eviction compares a few dozen, and finds the worst of all within a
//! factor of two.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::slab::Key;

/// Account of what a worker's connections keep in memory of our own.
#[derive(Debug)]
pub(super) struct Spill {
    budget: usize,
    total: usize,
    classes: [BTreeSet<(Instant, Key)>; CLASSES],
}

/// Share of one connection in the [`Spill`].
#[derive(Debug, Default)]
pub(super) struct Holding {
    bytes: usize,
    /// Since when it has kept some.
    since: Option<Instant>,
    class: Option<u8>,
}

/// Age of a connection that has just come. With it, one that waits for the ten seconds that a frame may
/// take keeps its place beside new ones with 200 times as much; a peer in bulk keeps its own beside one
/// that has not read as much for longer than this.
const HEAD_START: Duration = Duration::from_millis(50);

/// More than memory can have bytes.
const CLASSES: usize = usize::BITS as usize;

impl Spill {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, total: 0, classes: [const { BTreeSet::new() }; CLASSES] }
    }

    /// Bytes that all connections keep, those of evicted ones until they are freed.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn is_over_budget(&self) -> bool {
        self.total > self.budget
    }

    pub(super) fn is_half_full(&self) -> bool {
        self.total > self.budget / 2
    }

    /// A connection keeps this many bytes now. One that has ended cannot be evicted any more.
    pub(super) fn update(
        &mut self,
        now: Instant,
        key: Key,
        holding: &mut Holding,
        bytes: usize,
        has_ended: bool,
    ) {
        self.total = self.total - holding.bytes + bytes;
        holding.bytes = bytes;
        let class = (bytes > 0 && !has_ended).then(|| bytes.ilog2() as u8);
        if class == holding.class {
            return;
        }
        if let (Some(class), Some(since)) = (holding.class, holding.since) {
            let was_there = self.classes[usize::from(class)].remove(&(since, key));
            assert!(was_there, "a connection stands in the class that it knows");
        }
        holding.class = class;
        if let Some(class) = class {
            let since = *holding.since.get_or_insert(now);
            self.classes[usize::from(class)].insert((since, key));
        } else {
            holding.since = None;
        }
    }

    /// The connection that has to go first.
    pub(super) fn worst(&self, now: Instant) -> Option<Key> {
        let first_of_each = self.classes.iter().enumerate().filter_map(|(class, connections)| {
            let (since, key) = *connections.first()?;
            let age = HEAD_START + now.saturating_duration_since(since);
            Some((age.as_micros() << class, key))
        });
        first_of_each.max().map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> Key {
        Key { slot, generation: 0 }
    }

    /// A spill in which the connection in slot N keeps `held[N].0` bytes since `held[N].1` seconds.
    fn holding(now: Instant, held: &[(usize, u64)]) -> (Spill, Vec<Holding>) {
        let mut spill = Spill::new(1000);
        let holdings = (0..).zip(held).map(|(slot, (bytes, seconds))| {
            let (mut holding, since) = (Holding::default(), now - Duration::from_secs(*seconds));
            spill.update(since, key(slot), &mut holding, *bytes, false);
            holding
        });
        let holdings = holdings.collect();
        (spill, holdings)
    }

    #[test]
    fn bytes_and_time_decide_together() {
        let now = Instant::now() + Duration::from_secs(1000);
        let worst = |held: &[(usize, u64)]| holding(now, held).0.worst(now).map(|key| key.slot);
        assert_eq!(worst(&[]), None);
        assert_eq!(worst(&[(100, 1), (100, 3), (100, 2)]), Some(1), "the oldest of equals");
        assert_eq!(worst(&[(100, 60), (65_536, 1)]), Some(1), "much for a second");
        assert_eq!(worst(&[(100, 60), (1000, 1)]), Some(0), "little for a minute");
        assert_eq!(worst(&[(100, 0), (2000, 0), (1, 0)]), Some(1), "the largest of new ones");
        assert_eq!(worst(&[(100, 10), (40_000, 0)]), Some(1), "a new one with much");
    }

    #[test]
    fn the_total_is_what_connections_keep_until_they_are_gone() {
        let now = Instant::now() + Duration::from_secs(1000);
        let (mut spill, mut held) = holding(now, &[(600, 9), (500, 1)]);
        assert!(spill.is_over_budget() && spill.total() == 1100);
        // It was told to go: nobody else counts for it, but its bytes are still there.
        spill.update(now, key(0), &mut held[0], 600, true);
        assert_eq!((spill.worst(now), spill.total()), (Some(key(1)), 1100));
        spill.update(now, key(0), &mut held[0], 0, true);
        assert!(!spill.is_over_budget() && spill.total() == 500);
        assert!(!spill.is_half_full());
        spill.update(now, key(1), &mut held[1], 501, false);
        assert!(spill.is_half_full());
        spill.update(now, key(1), &mut held[1], 1000, false);
        assert!(!spill.is_over_budget(), "all of the budget may be used");
    }

    #[test]
    fn a_connection_is_as_old_as_its_oldest_byte() {
        let now = Instant::now() + Duration::from_secs(1000);
        let (mut spill, mut held) = holding(now, &[(100, 9), (100, 5)]);
        // It grows and keeps its age.
        spill.update(now, key(1), &mut held[1], 120, false);
        spill.update(now, key(0), &mut held[0], 127, false);
        assert_eq!(spill.worst(now), Some(key(0)));
        // A class further up and down again, too.
        for bytes in [1_000, 127] {
            spill.update(now, key(0), &mut held[0], bytes, false);
            assert_eq!(spill.worst(now), Some(key(0)));
        }
        // It was empty in between: its age begins anew.
        spill.update(now, key(0), &mut held[0], 0, false);
        spill.update(now, key(0), &mut held[0], 127, false);
        assert_eq!(spill.worst(now), Some(key(1)));
        for (slot, held) in (0..).zip(&mut held) {
            spill.update(now, key(slot), held, 0, false);
        }
        assert_eq!((spill.worst(now), spill.total()), (None, 0));
    }
}
