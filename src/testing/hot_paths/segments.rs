//! Stretches of a stream on their way from the receive to the send.

use std::hint::black_box;

use super::{Entry, HotPath};
use crate::sys::{Lease, LeaseTable, Owned, Part, Parts};

pub(super) const ALL: [Entry; 3] = [
    ("segments/one", || leased(1, 64)),
    // What a peer that does not read may leave waiting, cut where no part ends.
    ("segments/queue-of-64", || leased(64, 1000)),
    ("segments/copied-64B", || owned(64, 64)),
];

/// So many parts join a queue, are taken in pieces of three quarters, and given back.
fn leased(parts: u16, length: u32) -> HotPath {
    let mut table = LeaseTable::new(parts);
    let cut = (length as usize * 3).div_ceil(4);
    HotPath::new(parts.into(), length as usize, move || {
        let mut queue: Parts = Parts::default();
        for buffer in 0..parts {
            queue.push(Part::Leased(table.grant(buffer, length)));
        }
        while let Some(part) = black_box(&mut queue).pop(cut) {
            let Part::Leased(lease) = part else { unreachable!("nothing was copied") };
            table.take_back(lease);
        }
        assert!(table.leased_buffers() == 0, "all came back");
    })
}

/// So many copies join a queue, and are given up as they are sent.
fn owned(parts: usize, length: usize) -> HotPath {
    let bytes = vec![0xA5; length];
    HotPath::new(parts, length, move || {
        let mut queue: Parts<Lease> = Parts::default();
        for _ in 0..parts {
            queue.push(Part::Owned(Owned::copy_of(black_box(&bytes))));
        }
        while !queue.is_empty() {
            let sent = queue.len().min(1000);
            queue.discard_front(sent, |_| unreachable!("everything was copied"));
        }
    })
}
