//! Bytes verified before a bad frame arrive, with the ERROR, however much follows it, unless the
//! peer does not read.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use ringback::protocol::{ErrorCode, Kind};

use super::DRIVER;
use crate::support::framed::{final_error, frame};
use crate::support::peers::{Flood, connect_with_small_buffers, run_side_by_side};
use crate::support::{Program, connect, noise};

fn start(arguments: &[&str]) -> Program {
    let base = ["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--protocol", "framed"];
    Program::start(&[&base, arguments].concat(), 1)
}

fn good_frames(count: u64) -> Vec<u8> {
    (0..count).flat_map(|number| frame(Kind::Echo, number, &noise(1000, number))).collect()
}

#[test]
fn after_a_bad_frame_what_was_verified_arrives_and_nobody_stays() {
    run_side_by_side([read_slowly, never_read, read_and_stay], 3);
}

/// Every verified echo arrives, and the ERROR.
fn read_slowly() {
    let program = start(&[]);
    let good = good_frames(500);
    let request = [&good[..], &noise(1 << 20, 1)].concat();
    let peer = connect_with_small_buffers(program.addresses[0]);
    let mut reader = peer.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        // The rest is not taken once the server knows enough.
        scope.spawn(|| (&peer).write_all(&request));
        let (mut reply, mut piece) = (Vec::new(), [0; 2000]);
        // Longer than the server drops input after the ERROR.
        while let Ok(length @ 1..) = reader.read(&mut piece) {
            reply.extend_from_slice(&piece[..length]);
            thread::sleep(Duration::from_millis(10));
        }
        let (before, error) = final_error(&reply);
        assert!(reply[..before] == good, "{before} of {} bytes came back", good.len());
        assert_eq!(error.code(), Some(ErrorCode::BadMagic));
    });
}

/// The stall timeout ends it.
fn never_read() {
    let program = start(&["--stall-timeout", "2s"]);
    let before = program.descriptors();
    // What a peer may send without reading does not end before the bad frame.
    let request = [&good_frames(100)[..], &noise(1 << 20, 1)].concat();
    let mut flood = Flood::new(program.addresses[0], 10);
    let started = Instant::now();
    flood.press(&request, request.len(), request.len());
    program.wait_for_descriptors(before);
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "the last was ended after {took:?}");
    program.signal(rustix::process::Signal::TERM);
    let (_, lines) = program.wait();
    assert!(lines.contains("; 10 broke the protocol"), "{lines}");
}

/// It is closed, since it has everything.
fn read_and_stay() {
    let program = start(&["--stall-timeout", "1h"]);
    let before = program.descriptors();
    let good = good_frames(500);
    let mut peer = connect(program.addresses[0]);
    peer.write_all(&[&good[..], b"no frame at all, nor a header"].concat()).expect("sent");
    let mut reply = Vec::new();
    peer.read_to_end(&mut reply).expect("a FIN");
    let (length, error) = final_error(&reply);
    assert!(reply[..length] == good);
    assert_eq!(error.code(), Some(ErrorCode::BadMagic));
    program.wait_for_descriptors(before);
}
