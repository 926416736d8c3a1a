//! Peers that mean harm: the server stays within its memory, and others are served on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use ringback::protocol::{ErrorCode, Kind};
use rustix::net::SendFlags;
use rustix::process::Signal;

use super::DRIVER;
use crate::support::framed::{final_error, frame};
use crate::support::peers::{Flood, Witness, close_by_reset, connect_with_small_buffers};
use crate::support::process::memory_bound;
use crate::support::{Program, connect, exchange, noise, scale};

/// A server, what its memory is bound by, and a peer that is served well.
struct Target {
    program: Program,
    address: SocketAddr,
    bound: usize,
    witness: Witness,
    rate_in_peace: usize,
}

impl Target {
    fn start(arguments: &[&str], message: &[u8]) -> Self {
        let arguments =
            [&["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "2"], arguments]
                .concat();
        let bound = memory_bound(&arguments);
        let program = Program::start(&arguments, 1);
        let address = program.addresses[0];
        let mut witness = Witness::new(address, message);
        let rate_in_peace = witness.rate();
        Self { program, address, bound, witness, rate_in_peace }
    }

    /// Memory was within the bound all the time, and the witness is served about as fast as
    /// before, once the machine lets it.
    fn assert_unharmed(&mut self) {
        let (peak, bound) = (self.program.resident_peak(), self.bound);
        assert!(peak <= bound, "{peak} bytes of memory, the bound is {bound}");
        let in_peace = self.rate_in_peace;
        let mut best = 0;
        for _ in 0..20 {
            best = best.max(self.witness.rate());
            if best * 10 >= in_peace {
                break;
            }
        }
        assert!(best * 10 >= in_peace, "{best} echoes where {in_peace} were before");
    }
}

#[test]
fn a_peer_that_never_reads_holds_little_however_much_memory_there_is() {
    let mut target = Target::start(&["--memory", "1GiB"], b"sixteen bytes...");
    let mut flood = Flood::new(target.address, 20);
    flood.press(&noise(1 << 20, 8), 1 << 20, 16 << 20);
    // Twenty high-water marks of 256 KiB are less than 32 MiB, whose bound therefore holds as well.
    target.bound = target.bound.min(memory_bound(&[
        "serve",
        "--driver",
        DRIVER.name(),
        "--workers",
        "2",
        "--memory",
        "32MiB",
    ]));
    target.assert_unharmed();
}

#[test]
fn frames_that_never_end_are_refused_when_memory_is_short() {
    let whole = frame(Kind::Echo, 5, &noise(60_000, 4));
    let arguments = ["--protocol", "framed", "--memory", "10MiB", "--max-connections", "1100"];
    let mut target = Target::start(&arguments, &frame(Kind::Echo, 1, b"witness"));
    let mut peers: Vec<_> = (0..1000).map(|_| connect(target.address)).collect();
    // A thousand frames of 60 kB, none ever whole, in pieces of a few kilobytes.
    for piece in whole[..40_000].chunks(5_000) {
        for peer in &mut peers {
            // Some are told to go in the meantime.
            let _ = peer.write_all(piece);
        }
        target.witness.echo();
    }
    target.assert_unharmed();
    let mut told = 0;
    for peer in &peers {
        peer.set_nonblocking(true).expect("an option can be set");
        let mut reply = [0; 300];
        if let Ok(length @ 1..) = (&*peer).read(&mut reply) {
            assert_eq!(final_error(&reply[..length]).1.code(), Some(ErrorCode::Busy));
            told += 1;
        }
    }
    // 10 MiB hold about 250 of these frames.
    assert!(told > 500, "{told} peers were told to go");
    // Where there is room again, there is nothing left of all this.
    drop(peers);
    let mut fresh = connect(target.address);
    fresh.write_all(&whole).expect("sent");
    let mut reply = vec![0; whole.len()];
    fresh.read_exact(&mut reply).expect("answered");
    assert!(reply == whole);
}

#[test]
fn many_frames_that_arrive_byte_by_byte_are_all_echoed() {
    let arguments = ["--protocol", "framed", "--memory", "10MiB"];
    let mut target = Target::start(&arguments, &frame(Kind::Echo, 1, b"witness"));
    let mut peers: Vec<_> = (0..500).map(|_| connect(target.address)).collect();
    let frames: Vec<_> =
        (0..500).map(|number| frame(Kind::Echo, number, &noise(12, number))).collect();
    for index in 0..frames[0].len() {
        for (peer, frame) in peers.iter_mut().zip(&frames) {
            peer.write_all(&frame[index..=index]).expect("sent");
        }
        if index % 8 == 0 {
            target.witness.echo();
        }
    }
    for (peer, frame) in peers.iter_mut().zip(&frames) {
        let mut reply = vec![0; frame.len()];
        peer.read_exact(&mut reply).expect("answered");
        assert!(reply == *frame);
    }
    target.assert_unharmed();
}

#[test]
fn peers_that_send_without_a_pause_leave_others_their_turn() {
    let mut target = Target::start(&[], b"sixteen bytes...");
    let (address, request) = (target.address, noise(64 << 20, 6));
    thread::scope(|scope| {
        let floods: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| assert!(exchange(connect(address), &request) == request)))
            .collect();
        while !floods.iter().all(|flood| flood.is_finished()) {
            target.witness.echo();
        }
    });
    target.assert_unharmed();
}

#[test]
fn one_byte_segments_are_echoed_whole() {
    let mut target = Target::start(&[], b"witness");
    let request = noise(20_000, 5);
    let peer = connect(target.address);
    let mut reader = peer.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        scope.spawn(|| {
            for byte in request.chunks(1) {
                (&peer).write_all(byte).expect("sent");
            }
            peer.shutdown(Shutdown::Write).expect("half-closed");
        });
        let mut reply = Vec::new();
        reader.read_to_end(&mut reply).expect("the reply ends with a FIN");
        assert!(reply == request, "{} of {} bytes came back", reply.len(), request.len());
    });
    target.assert_unharmed();
}

#[test]
fn every_error_has_its_code_and_comes_before_the_fin() {
    let program = Program::start(
        &[
            "serve",
            "127.0.0.1:0",
            "--driver",
            DRIVER.name(),
            "--protocol",
            "framed",
            "--frame-timeout",
            "100ms",
        ],
        1,
    );
    let good = frame(Kind::Echo, 7, b"good");
    let with = |position: usize, byte: u8| {
        let mut frame = good.clone();
        frame[position] = byte;
        frame
    };
    let cases = [
        (with(0, b'X'), ErrorCode::BadMagic, 0),
        (with(2, 2), ErrorCode::UnsupportedVersion, 7),
        (with(3, 0), ErrorCode::UnknownKind, 7),
        (with(3, 77), ErrorCode::UnknownKind, 7),
        (with(4, 1), ErrorCode::FrameTooLarge, 7),
        (with(22, b'X'), ErrorCode::ChecksumMismatch, 7),
        (with(16, !good[16]), ErrorCode::ChecksumMismatch, 7),
        (good[..22].to_vec(), ErrorCode::Truncated, 7),
        (good[..19].to_vec(), ErrorCode::Truncated, 0),
        (frame(Kind::Pong, 7, b""), ErrorCode::UnexpectedKind, 7),
        (frame(Kind::GoAway, 7, b""), ErrorCode::UnexpectedKind, 7),
        (frame(Kind::Error, 7, b"\x00\x01"), ErrorCode::UnexpectedKind, 7),
        (frame(Kind::Ping, 7, &[0; 65]), ErrorCode::FrameTooLarge, 7),
    ];
    for (bad, code, sequence) in cases {
        let reply = exchange(connect(program.addresses[0]), &[&good[..], &bad].concat());
        let (before, error) = final_error(&reply);
        assert_eq!((error.code(), error.sequence), (Some(code), sequence), "{bad:02x?}");
        assert_eq!(reply[..before], good, "{bad:02x?}");
    }
    let mut slow = connect(program.addresses[0]);
    slow.write_all(&good[..21]).expect("sent");
    let mut reply = Vec::new();
    slow.read_to_end(&mut reply).expect("the server closes");
    assert_eq!(final_error(&reply).1.code(), Some(ErrorCode::FrameTimeout));
    // The ninth, busy, is in limits.rs.
}

#[test]
fn nothing_that_was_not_verified_is_sent_back() {
    let program = Program::start(
        &["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--protocol", "framed"],
        1,
    );
    let good = frame(Kind::Echo, 1, b"12345678");
    for position in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[position] ^= bit;
            let reply = exchange(connect(program.addresses[0]), &bad);
            let (before, error) = final_error(&reply);
            assert_eq!(before, 0, "byte {position}: {:?}", error.code());
        }
    }
}

#[test]
fn garbage_is_refused_and_costs_nobody_else() {
    let arguments = ["--protocol", "framed", "--memory", "10MiB"];
    let mut target = Target::start(&arguments, &frame(Kind::Echo, 1, b"witness"));
    thread::scope(|scope| {
        for number in 0..4 {
            let address = target.address;
            scope.spawn(move || {
                for round in 0..25 {
                    let reply = exchange(connect(address), &noise(200_000, 100 * number + round));
                    assert_eq!(final_error(&reply).1.code(), Some(ErrorCode::BadMagic));
                }
            });
        }
    });
    target.assert_unharmed();
}

#[test]
fn a_storm_of_resets_leaves_nothing_behind() {
    let mut target = Target::start(&[], b"witness");
    let descriptors = target.program.descriptors();
    let block = noise(300_000, 6);
    for round in 0..scale(2_000, 100_000) {
        let mut peer = connect_with_small_buffers(target.address);
        peer.set_nonblocking(true).expect("an option can be set");
        if round % 4 > 0 {
            let _ = peer.write(&block);
        }
        if round % 4 > 1 {
            let _ = peer.read(&mut [0; 1000]);
        }
        if round % 4 > 2 {
            let _ = peer.shutdown(Shutdown::Write);
        }
        close_by_reset(&peer);
    }
    target.program.wait_for_descriptors(descriptors);
    target.assert_unharmed();
    drop(target.witness);
    target.program.signal(Signal::TERM);
    let (status, lines) = target.program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    assert!(lines.contains("connections reset"), "{lines}");
}

#[test]
fn slow_readers_get_all_of_what_they_half_closed() {
    let mut target = Target::start(&["--memory", "10MiB"], b"witness");
    let request = noise(scale(8_000_000, 100_000_000), 7);
    thread::scope(|scope| {
        for (pause_us, piece) in [(300, 16 << 10), (1_000, 64 << 10), (3_000, 256 << 10), (1, 4096)]
        {
            let (request, address) = (&request, target.address);
            scope.spawn(move || read_slowly(address, request, pause_us, piece));
        }
    });
    target.assert_unharmed();
}

fn read_slowly(address: SocketAddr, request: &[u8], pause_us: u64, piece: usize) {
    let peer = connect_with_small_buffers(address);
    let mut reader: TcpStream = peer.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        scope.spawn(|| {
            (&peer).write_all(request).expect("sent");
            peer.shutdown(Shutdown::Write).expect("half-closed");
        });
        let (mut got, mut buffer) = (0, vec![0; piece]);
        loop {
            thread::sleep(Duration::from_micros(pause_us));
            match reader.read(&mut buffer).expect("readable") {
                0 => break,
                length => {
                    assert!(request[got..].starts_with(&buffer[..length]), "at {got}");
                    got += length;
                }
            }
        }
        assert_eq!(got, request.len(), "bytes that came back");
    });
}

#[test]
fn urgent_data_comes_back_in_its_place() {
    let program = Program::start(&["serve", "127.0.0.1:0", "--driver", DRIVER.name()], 1);
    let mut peer = connect(program.addresses[0]);
    peer.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    let mut reply = [0; 9];
    for _ in 0..10 {
        peer.write_all(b"four").expect("sent");
        rustix::net::send(&peer, b"!", SendFlags::OOB).expect("sent");
        peer.write_all(b"more").expect("sent");
        peer.read_exact(&mut reply).expect("nothing is left out");
        assert_eq!(&reply, b"four!more");
    }
}

#[test]
fn with_the_least_memory_a_bulk_peer_is_served_beside_peers_that_never_read() {
    let arguments = ["--memory", "10MiB", "--max-connections", "200"];
    let target = Target::start(&arguments, b"sixteen bytes...");
    let block = noise(1 << 20, 8);
    let mut flood = Flood::new(target.address, 150);
    flood.press(&block, block.len(), 8 << 20);
    for round in 0..3 {
        let mut peer = connect(target.address);
        // Small messages first: the server then takes more from the peer in one turn.
        for _ in 0..300 {
            peer.write_all(&[7; 64]).expect("sent");
            peer.read_exact(&mut [0; 64]).expect("answered");
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        let request = noise(8_000_000, round);
        assert!(exchange(peer, &request) == request, "round {round}");
    }
}
