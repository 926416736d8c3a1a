//! Memory of our own for bytes that wait while receive buffers are scarce.

use std::collections::VecDeque;

use super::slab::Key;
use crate::sys::Owned;

/// Who has waited longest with bytes in memory of our own.
///
/// A *spell* is the time from a connection's first such byte to its last: entries of spells that
/// are over are dropped as they come up.
#[derive(Debug)]
pub(super) struct Spill {
    budget: usize,
    spells: VecDeque<(Key, u32)>,
}

impl Spill {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, spells: VecDeque::new() }
    }

    /// Whether `more` bytes fit beside those that stay.
    pub(super) fn has_room(&self, owned: &OwnedTotal, more: usize) -> bool {
        owned.staying_bytes() + more <= self.budget
    }

    /// A connection begins a spell.
    pub(super) fn begin(&mut self, key: Key, spell: u32) {
        self.spells.push_back((key, spell));
    }

    /// The connection whose spell began first, of those that are not over. It leaves the queue.
    pub(super) fn take_oldest(&mut self, is_alive: impl Fn(Key, u32) -> bool) -> Option<Key> {
        while let Some((key, spell)) = self.spells.pop_front() {
            if is_alive(key, spell) {
                return Some(key);
            }
        }
        None
    }

    /// Forgets spells that are over, once they may be the greater part.
    pub(super) fn tidy(&mut self, connections: usize, is_alive: impl Fn(Key, u32) -> bool) {
        if self.spells.len() > 2 * connections + 64 {
            self.spells.retain(|(key, spell)| is_alive(*key, *spell));
        }
    }
}

/// Memory of our own that the parts of all connections take.
#[derive(Debug, Default)]
pub(super) struct OwnedTotal {
    bytes: usize,
    /// Those of evicted connections among them.
    going_bytes: usize,
}

impl OwnedTotal {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that nobody was told to give up yet.
    pub(super) fn staying_bytes(&self) -> usize {
        self.bytes - self.going_bytes
    }
}

/// Memory of our own that the parts of one connection take.
#[derive(Debug, Default)]
pub(super) struct OwnedMemory {
    bytes: usize,
    /// Counts the times that `bytes` left 0.
    spell: u32,
    /// Whether somebody asked for the spell.
    is_spell_known: bool,
    /// The connection was evicted: what its last operations hold, or its last word, goes soon.
    is_going: bool,
}

impl OwnedMemory {
    /// The number of the spell, while it lasts.
    pub(super) fn spell(&self) -> Option<u32> {
        (self.bytes > 0).then_some(self.spell)
    }

    /// The number of the spell if it is a new one: said once.
    pub(super) fn take_new_spell(&mut self) -> Option<u32> {
        let spell = self.spell()?;
        (!std::mem::replace(&mut self.is_spell_known, true)).then_some(spell)
    }

    /// Counts a new part.
    pub(super) fn add(&mut self, part: &Owned, total: &mut OwnedTotal) {
        if self.bytes == 0 {
            self.spell = self.spell.wrapping_add(1);
            self.is_spell_known = false;
        }
        self.bytes += part.charge();
        total.bytes += part.charge();
        if self.is_going {
            total.going_bytes += part.charge();
        }
    }

    /// The connection is evicted: whatever it holds does not count against others any more.
    pub(super) fn go(&mut self, total: &mut OwnedTotal) {
        if !std::mem::replace(&mut self.is_going, true) {
            total.going_bytes += self.bytes;
        }
    }

    /// Some of what was counted is not needed, or not any more.
    pub(super) fn refund(&mut self, charge: usize, total: &mut OwnedTotal) {
        self.bytes -= charge;
        total.bytes -= charge;
        if self.is_going {
            total.going_bytes -= charge;
        }
    }

    /// A part is given up.
    pub(super) fn remove(&mut self, part: &Owned, total: &mut OwnedTotal) {
        self.refund(part.charge(), total);
    }
}
