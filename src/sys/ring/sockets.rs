//! Sockets and listeners of a ring, and how many operations in flight name each.
//!
//! The kernel looks a descriptor up when the submission reaches it. So the ring owns the
//! descriptors, and none is closed for which something is in flight.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::slots::trim;
use crate::sys::token::{Operation, Token};

#[derive(Default)]
pub(crate) struct Sockets {
    /// By slot.
    connected: Vec<Option<Descriptor>>,
    /// By number.
    listening: Vec<Option<Descriptor>>,
}

/// A descriptor and how many operations in flight name it.
struct Descriptor {
    fd: OwnedFd,
    in_flight: u32,
}

impl Sockets {
    /// Takes over the listener with the next number, from 0.
    pub(crate) fn attach_listener(&mut self, listener: OwnedFd) {
        self.listening.push(Some(Descriptor { fd: listener, in_flight: 0 }));
    }

    /// # Panics
    ///
    /// When it was closed.
    pub(crate) fn listener(&self, number: u32) -> BorrowedFd<'_> {
        let listener = self.listening[number as usize].as_ref();
        listener.expect("a listener is used until it is closed").fd.as_fd()
    }

    /// # Panics
    ///
    /// When something is in flight for it.
    pub(crate) fn close_listener(&mut self, number: u32) {
        close(&mut self.listening[number as usize]);
    }

    /// Takes over the socket of the connection in a slot.
    pub(crate) fn attach(&mut self, slot: u32, socket: OwnedFd) {
        let slot = slot as usize;
        if self.connected.len() <= slot {
            self.connected.resize_with(slot + 1, || None);
        }
        let earlier = self.connected[slot].replace(Descriptor { fd: socket, in_flight: 0 });
        assert!(earlier.is_none(), "a slot has one socket");
    }

    /// # Panics
    ///
    /// When there is none.
    pub(crate) fn connection(&self, slot: u32) -> BorrowedFd<'_> {
        let socket = self.connected[slot as usize].as_ref();
        socket.expect("a connection has a socket until it is closed").fd.as_fd()
    }

    /// # Panics
    ///
    /// When something is in flight for it.
    pub(super) fn close(&mut self, slot: u32) {
        close(&mut self.connected[slot as usize]);
        trim(&mut self.connected);
    }

    /// An operation is in flight.
    pub(super) fn begin(&mut self, token: Token) {
        if let Some(descriptor) = self.descriptor(token) {
            descriptor.in_flight += 1;
        }
    }

    /// An operation is in flight no more.
    pub(super) fn end(&mut self, token: Token) {
        if let Some(descriptor) = self.descriptor(token) {
            descriptor.in_flight -= 1;
        }
    }

    /// How many operations are in flight for what this one names.
    #[cfg(test)]
    pub(super) fn in_flight(&mut self, token: Token) -> u32 {
        self.descriptor(token).expect("it is not closed").in_flight
    }

    /// The descriptor that an operation names, of those that can be closed.
    fn descriptor(&mut self, token: Token) -> Option<&mut Descriptor> {
        let slot = token.slot as usize;
        match token.operation {
            Operation::Accept => self.listening[slot].as_mut(),
            Operation::Receive | Operation::Send | Operation::Writable | Operation::Ready => {
                self.connected[slot].as_mut()
            }
            Operation::Readable | Operation::Tick => None,
        }
    }
}

fn close(descriptor: &mut Option<Descriptor>) {
    let Descriptor { fd, in_flight } = descriptor.take().expect("it is closed once");
    assert_eq!(in_flight, 0, "a descriptor is closed after its last completion");
    drop(fd);
}
