//! The sockets that are open, by their slots, which the driver numbers from 0 and uses again.

use super::Socket;

#[derive(Debug, Default)]
pub(super) struct Sockets {
    slots: Vec<Option<Socket>>,
    open: usize,
}

impl Sockets {
    pub(super) fn len(&self) -> usize {
        self.open
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open == 0
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Socket> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Socket> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn insert(&mut self, slot: u32, socket: Socket) {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        assert!(self.slots[index].replace(socket).is_none(), "slot {slot} is used twice");
        self.open += 1;
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Socket> {
        let socket = self.slots.get_mut(slot as usize)?.take()?;
        self.open -= 1;
        Some(socket)
    }

    /// Slots, one of which may have an open socket each.
    pub(super) fn slots(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.slots.iter().flatten()
    }
}
