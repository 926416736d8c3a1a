//! Slots with generations: a token of an earlier user never reaches a later one.

/// Values in numbered slots; a slot's generation changes when its value is removed.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Names one value for as long as it is in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl<T> Slab<T> {
    /// Generations wrap at `1 << GENERATION_BITS`, the width they have in a token.
    const GENERATION_MASK: u32 = (1 << crate::sys::GENERATION_BITS) - 1;

    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Stores the value that `make` returns for its key.
    pub(super) fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, value: None });
            (self.slots.len() - 1) as u32
        });
        let entry = &mut self.slots[slot as usize];
        let key = Key { slot, generation: entry.generation };
        entry.value = Some(make(key));
        key
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.slot as usize)?;
        if slot.generation == key.generation { slot.value.as_ref() } else { None }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        if slot.generation == key.generation { slot.value.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        self.get_mut(key)?;
        let slot = &mut self.slots[key.slot as usize];
        slot.generation = (slot.generation + 1) & Self::GENERATION_MASK;
        self.free.push(key.slot);
        slot.value.take()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + use<T> {
        let taken: Vec<Key> = (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.value.is_some())
            .map(|(index, slot)| Key { slot: index, generation: slot.generation })
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
        let first = slab.insert_with(|_| 'a');
        let other = slab.insert_with(|_| 'b');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert_with(|_| 'c');
        assert_eq!(second.slot, first.slot);
        assert_ne!(second.generation, first.generation);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut 'c'));
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.keys().collect::<Vec<_>>(), [second, other]);
    }
}
