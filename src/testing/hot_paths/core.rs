//! The protocol core over a buffer of received bytes.

use std::hint::black_box;
use std::time::Instant;

use super::{Entry, HotPath};
use crate::protocol::{Connection, Framed, Header, Input, Kind, Output, Protocol, Raw};

/// One receive buffer of the native driver's order of size.
const BUFFER_BYTES: usize = 64 << 10;

pub(super) const ALL: [Entry; 5] = [
    // It looks at no byte: bytes a second say only that it costs nothing.
    ("core/raw-64KiB", || path(&Raw, vec![0xA5; BUFFER_BYTES], 1)),
    ("core/framed-64B", || framed(Kind::Echo, 64, 1)),
    ("core/framed-64B-batch", || framed(Kind::Echo, 64, BUFFER_BYTES / 84)),
    ("core/framed-64KiB", || framed(Kind::Echo, BUFFER_BYTES, 1)),
    ("core/ping-64B", || framed(Kind::Ping, 64, 1)),
];

/// A receive of so many frames.
fn framed(kind: Kind, payload: usize, count: usize) -> HotPath {
    path(&Framed::default(), frame(kind, payload).repeat(count), count)
}

/// One connection is handed `received`, which holds whole messages, again and again.
fn path(protocol: &impl Protocol, received: Vec<u8>, messages: usize) -> HotPath {
    let (now, bytes) = (Instant::now(), received.len() / messages);
    let mut connection = protocol.connection();
    HotPath::new(messages, bytes, move || {
        let mut rest = black_box(&received[..]);
        while !rest.is_empty() {
            let consumed =
                connection.handle_input(now, Input::Data(rest)).expect("the frames are valid");
            rest = &rest[consumed..];
            while let output @ Some(_) = connection.poll_output() {
                assert!(!matches!(black_box(&output), Some(Output::Close(_))));
            }
        }
    })
}

/// A whole frame.
pub(super) fn frame(kind: Kind, length: usize) -> Vec<u8> {
    let payload = vec![0xA5; length];
    [&Header::new(kind, 1, &payload).encode()[..], &payload].concat()
}
