//! Connections that wait for a receive buffer: who has waited longest is first.

use std::collections::BTreeMap;

use crate::driver::slab::Key;

/// The queue. A place in it is a ticket, which a connection keeps until it finds a buffer: one that
/// had its turn in vain is not the last.
#[derive(Debug, Default)]
pub(super) struct Parked {
    waiting: BTreeMap<u64, Key>,
    next_ticket: u64,
}

impl Parked {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a connection in, at the place of its ticket if it has one.
    pub(super) fn insert(&mut self, key: Key, ticket: &mut Option<u64>) {
        let ticket = *ticket.get_or_insert_with(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        self.waiting.insert(ticket, key);
    }

    /// Takes out who has waited longest.
    pub(super) fn pop(&mut self) -> Option<Key> {
        self.waiting.pop_first().map(|(_, key)| key)
    }

    /// The connection with this ticket is gone.
    pub(super) fn remove(&mut self, ticket: Option<u64>) {
        if let Some(ticket) = ticket {
            self.waiting.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_in_vain_costs_no_place() {
        let keys = [1, 2, 3].map(|slot| Key { slot, generation: 0 });
        let mut parked = Parked::default();
        let mut tickets = [None; 3];
        for (key, ticket) in keys.iter().zip(&mut tickets) {
            parked.insert(*key, ticket);
        }
        assert_eq!(parked.pop(), Some(keys[0]));
        assert_eq!(parked.pop(), Some(keys[1]));
        parked.insert(keys[1], &mut tickets[1]);
        parked.insert(keys[0], &mut tickets[0]);
        parked.remove(tickets[2]);
        assert_eq!((parked.len(), parked.pop(), parked.pop()), (2, Some(keys[0]), Some(keys[1])));
        assert_eq!(parked.pop(), None);
    }
}
