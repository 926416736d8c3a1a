//! Slots with generations: a token of an earlier user never reaches a later one.

use crate::sys::trim;

/// Values in numbered slots. Its memory shrinks when the last slots are empty.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Option<Slot<T>>>,
    /// Slots that were emptied; some may have been given up since, and filled again.
    free: Vec<u32>,
    length: usize,
    /// That of the next value: no two in a row have the same, whichever their slots.
    generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: T,
}

/// Names one value for as long as it is in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl<T> Slab<T> {
    /// Generations wrap at `1 << GENERATION_BITS`, the width they have in a token.
    const GENERATION_MASK: u32 = (1 << crate::sys::GENERATION_BITS) - 1;

    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), length: 0, generation: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn insert(&mut self, value: T) -> Key {
        let slot = self.empty_slot();
        let key = Key { slot, generation: self.generation };
        self.generation = (self.generation + 1) & Self::GENERATION_MASK;
        self.slots[slot as usize] = Some(Slot { generation: key.generation, value });
        self.length += 1;
        key
    }

    fn empty_slot(&mut self) -> u32 {
        while let Some(slot) = self.free.pop() {
            if matches!(self.slots.get(slot as usize), Some(None)) {
                return slot;
            }
        }
        self.slots.push(None);
        (self.slots.len() - 1) as u32
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.slot as usize)?.as_ref()?;
        (slot.generation == key.generation).then_some(&slot.value)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.slot as usize)?.as_mut()?;
        (slot.generation == key.generation).then_some(&mut slot.value)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let slot = self.slots[key.slot as usize].take()?;
        self.length -= 1;
        self.free.push(key.slot);
        trim(&mut self.slots);
        if self.slots.is_empty() {
            self.free = Vec::new();
        }
        Some(slot.value)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + use<T> {
        let taken: Vec<Key> = (0..)
            .zip(&self.slots)
            .filter_map(|(slot, value)| Some((slot, value.as_ref()?.generation)))
            .map(|(slot, generation)| Key { slot, generation })
            .collect();
        taken.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_under_another_generation() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        let other = slab.insert('b');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('c');
        assert_eq!(second.slot, first.slot);
        assert_ne!(second.generation, first.generation);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut 'c'));
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.keys().collect::<Vec<_>>(), [second, other]);
    }

    #[test]
    fn slots_that_were_given_up_and_filled_again_are_not_given_twice() {
        let mut slab = Slab::new();
        let keys: Vec<Key> = (0..10_usize).map(|number| slab.insert(number)).collect();
        // Behind the fifth, and then all up to there.
        for slot in [9, 7, 8, 6, 5] {
            assert_eq!(slab.remove(keys[slot]), Some(slot));
        }
        let again: Vec<Key> = (10..15).map(|number| slab.insert(number)).collect();
        assert_eq!(slab.len(), 10);
        let all = keys[..5].iter().zip(0..5).chain(again.iter().zip(10..15));
        all.for_each(|(key, number)| assert_eq!(slab.get(*key), Some(&number)));
        assert!(keys[5..].iter().all(|key| slab.get(*key).is_none()));
        assert!(slab.keys().all(|key| slab.remove(key).is_some()));
        assert_eq!((slab.len(), slab.slots.len(), slab.free.len()), (0, 0, 0));
    }
}
