//! The record that the load generator makes of every message.

use super::{Entry, HotPath};
use crate::load::{Recorder, Sent, Window};

pub(super) const ALL: [Entry; 2] =
    [("recorder/closed", || messages(false)), ("recorder/open", || messages(true))];

const MESSAGES: usize = 64;
const SECOND_NS: u64 = 1_000_000_000;

/// Messages with latencies from 20 µs to a millisecond.
fn messages(is_open_loop: bool) -> HotPath {
    let window = Window { start_ns: SECOND_NS, end_ns: u64::MAX };
    let mut recorder = Recorder::new(window, is_open_loop);
    let (mut now_ns, mut latency_ns) = (2 * SECOND_NS, 0);
    HotPath::new(MESSAGES, 64, move || {
        for _ in 0..MESSAGES {
            now_ns += 10_000;
            latency_ns = (latency_ns + 7_919) % 980_000;
            let sent = Sent {
                intended_ns: now_ns - latency_ns - 20_000,
                sent_ns: now_ns - latency_ns - 20_000 + u64::from(is_open_loop),
                bytes: 64,
                waited_for_room: false,
            };
            recorder.intend(sent.intended_ns, 1);
            recorder.receive(sent, now_ns);
        }
        assert!(recorder.window_received == recorder.totals.received, "all are in the window");
    })
}
