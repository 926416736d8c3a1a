//! Peers that make the server keep as much as they can: it stays within the bound that it prints,
//! and what they made it take goes back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use ringback::protocol::Kind;
use ringback::server::DriverKind;
use rustix::net::SendFlags;

use super::DRIVER;
use crate::support::framed::frame;
use crate::support::peers::{
    Flood, Witness, close_by_reset, connect_with_small_buffers, run_side_by_side,
};
use crate::support::process::{connection_bound, memory_bound};
use crate::support::{Program, connect, exchange, noise, scale};

/// Peers that stay until memory was looked at.
type Peers = Vec<TcpStream>;

/// Attack of peers on a server that was started with these options.
struct Pattern {
    name: &'static str,
    options: &'static [&'static str],
    attack: fn(SocketAddr) -> Peers,
}

/// At most this many of an attack's peers are there at a time.
const MAX_PEERS: usize = 300;

/// With the memory of two turns of bulk, which most of these want more of.
const RAW: &[&str] = &["--memory", "6MiB", "--max-connections", "310"];
const FRAMED: &[&str] = &["--memory", "6MiB", "--max-connections", "310", "--protocol", "framed"];

const PATTERNS: &[Pattern] = &[
    Pattern { name: "bulk, never read", options: RAW, attack: never_read },
    Pattern {
        name: "bulk, never read, much memory",
        options: &["--memory", "256MiB", "--max-connections", "310"],
        attack: never_read,
    },
    Pattern { name: "single bytes, never read", options: RAW, attack: single_bytes },
    Pattern { name: "half-closed, never read", options: RAW, attack: half_closed },
    Pattern { name: "urgent bytes between others, never read", options: RAW, attack: urgent_bytes },
    Pattern {
        name: "just enough read not to be stalled",
        options: &["--memory", "6MiB", "--max-connections", "310", "--stall-timeout", "1s"],
        attack: read_a_little,
    },
    Pattern { name: "pings, never read", options: FRAMED, attack: pings },
    Pattern {
        name: "smallest echoes and pings in turn, never read",
        options: FRAMED,
        attack: smallest_echoes_and_pings,
    },
    Pattern { name: "frames in odd pieces, never read", options: FRAMED, attack: odd_pieces },
    Pattern { name: "frames that never end", options: FRAMED, attack: unfinished },
    Pattern {
        name: "frames begun again and again, given up by reset",
        options: FRAMED,
        attack: begun_again,
    },
    Pattern {
        name: "pieces that leave gaps",
        options: &["--memory", "32MiB", "--max-connections", "3000", "--protocol", "framed"],
        attack: pieces_that_leave_gaps,
    },
    Pattern { name: "a megabyte after a refused frame", options: FRAMED, attack: refused },
    Pattern {
        name: "no room, and stay",
        options: &["--memory", "6MiB", "--max-connections", "20", "--protocol", "framed"],
        attack: surplus,
    },
];

#[test]
fn hostile_patterns_stay_within_the_bound_and_leave_nothing_behind() {
    let cases = PATTERNS.iter().map(|pattern| || pattern.run());
    run_side_by_side(cases, 3);
}

#[test]
fn idle_peers_keep_no_more_than_their_share_whatever_they_sent_before() {
    let small = Idle {
        count: scale(600, 5500),
        frame: frame(Kind::Echo, 7, &noise(76, 1)),
        buffer: 0,
        options: &["--memory", "6MiB", "--frame-timeout", "1h"],
    };
    small.assert_share(|address, count| {
        let mut peers = connect_many(address, count);
        // Many small receives each, for each connection.
        send_in_pieces(&mut peers, &small.frame, 1);
        peers.iter_mut().for_each(|peer| assert_echoed(peer, &small.frame));
        peers
    });
    let large = Idle {
        count: scale(80, 250),
        frame: frame(Kind::Echo, 7, &noise(4 << 20, 2)),
        // The receives of tokio-uring own their buffers, large ones in bulk.
        buffer: if DRIVER == DriverKind::TokioUring { 64 << 10 } else { 0 },
        options: &["--memory", "16MiB", "--max-frame", "4MiB"],
    };
    large.assert_share(|address, count| {
        let echo_one = |_| {
            let mut peer = connect(address);
            send_in_pieces(std::slice::from_mut(&mut peer), &large.frame, 10_000);
            assert_echoed(&mut peer, &large.frame);
            peer
        };
        (0..count).map(echo_one).collect()
    });
}

/// A server whose own memory is resident, with a peer that is served.
struct Target {
    program: Program,
    bound: usize,
    bytes_of_connection: usize,
    witness: Witness,
}

impl Target {
    fn start(options: &[&str]) -> Self {
        let base = ["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "1"];
        let arguments = [&base, options].concat();
        let (bound, bytes_of_connection) = (memory_bound(&arguments), connection_bound(&arguments));
        let program = Program::start(&arguments, 1);
        // Several times what the buffers hold.
        drop(exchange(connect(program.addresses[0]), &echo_frames(60_000, 1000)));
        let mut witness = Witness::new(program.addresses[0], &frame(Kind::Echo, 1, b"any bytes"));
        witness.echo();
        Self { program, bound, bytes_of_connection, witness }
    }

    fn assert_within_bound(&mut self, after: &str) {
        self.witness.echo();
        let (peak, bound) = (self.program.resident_peak(), self.bound);
        assert!(peak <= bound, "{after}: {peak} bytes of memory, the bound is {bound}");
    }
}

impl Pattern {
    /// Attacks until that takes no more memory than before. What is never given back adds up with
    /// every round; what the allocator keeps for the next does not.
    fn run(&self) {
        const MAX_ROUNDS: usize = 6;
        let mut target = Target::start(self.options);
        let (descriptors, mut peak) = (target.program.descriptors(), 0);
        for _ in 0..MAX_ROUNDS {
            let peers = (self.attack)(target.program.addresses[0]);
            target.assert_within_bound(self.name);
            drop(peers);
            target.program.wait_for_descriptors(descriptors);
            let peak_before = std::mem::replace(&mut peak, target.program.resident_peak());
            if peak <= peak_before + target.bound / 50 {
                return;
            }
        }
        panic!("{}: each of {MAX_ROUNDS} rounds took more memory, at last {peak}", self.name);
    }
}

/// Peers that send one frame each and then are idle.
struct Idle {
    count: usize,
    frame: Vec<u8>,
    /// Bytes that each keeps of what the bound counts for buffers.
    buffer: usize,
    options: &'static [&'static str],
}

impl Idle {
    /// Each keeps what the bound counts for a connection.
    fn assert_share(&self, act: impl Fn(SocketAddr, usize) -> Peers) {
        /// Connections on which the allocator shows what it keeps of what passes through.
        const FIRST: usize = 10;
        let limit = (self.count + 2 * FIRST).to_string();
        let options = [self.options, &["--protocol", "framed", "--max-connections", &limit]];
        let mut target = Target::start(&options.concat());
        drop(act(target.program.addresses[0], FIRST));
        let before = target.program.resident();
        let peers = act(target.program.addresses[0], self.count);
        target.assert_within_bound("idle");
        let kept = target.program.resident().saturating_sub(before);
        let share = self.count * (self.buffer + target.bytes_of_connection);
        let of_allocator = 2 * self.frame.len() + (2 << 20);
        assert!(kept <= share + of_allocator, "{} peers keep {kept} bytes", self.count);
        drop(peers);
    }
}

fn never_read(address: SocketAddr) -> Peers {
    let mut flood = Flood::new(address, 250);
    flood.press(&noise(1 << 20, 1), 1 << 20, 4 << 20);
    let taken: usize = flood.sent.iter().sum();
    assert!(taken > 250 * (100 << 10), "only {taken} bytes were taken");
    flood.peers
}

fn single_bytes(address: SocketAddr) -> Peers {
    // First what the kernel's own buffers take.
    let mut peers = flood(address, 100, &noise(1 << 20, 2), 1 << 20, 96 << 10);
    send_in_pieces(&mut peers, &noise(scale(1000, 10_000), 3), 1);
    peers
}

fn half_closed(address: SocketAddr) -> Peers {
    let peers = flood(address, 250, &noise(1 << 20, 4), 1 << 20, 250_000);
    for peer in &peers {
        // Some are told to go in the meantime, here and below.
        let _ = peer.shutdown(Shutdown::Write);
    }
    peers
}

fn urgent_bytes(address: SocketAddr) -> Peers {
    let mut peers = flood(address, 150, &noise(1 << 20, 5), 1 << 20, 96 << 10);
    for _ in 0..scale(100, 1000) {
        send_in_pieces(&mut peers, &[7; 100], 100);
        for peer in &peers {
            let _ = rustix::net::send(peer, b"!", SendFlags::OOB);
        }
    }
    peers
}

fn read_a_little(address: SocketAddr) -> Peers {
    let mut flood = Flood::new(address, 150);
    let (block, started) = (noise(1 << 20, 6), Instant::now());
    while started.elapsed() < Duration::from_secs(2) {
        flood.press(&block, block.len(), 8 << 20);
        for mut peer in &flood.peers {
            let _ = peer.read(&mut [0; 2000]);
        }
    }
    flood.peers
}

fn pings(address: SocketAddr) -> Peers {
    let pings = frame(Kind::Ping, 9, &noise(64, 7)).repeat(4096);
    flood(address, 150, &pings, pings.len(), 2 << 20)
}

fn smallest_echoes_and_pings(address: SocketAddr) -> Peers {
    let pair = [frame(Kind::Echo, 1, b""), frame(Kind::Ping, 2, b"")].concat();
    let pairs = pair.repeat(4096);
    flood(address, MAX_PEERS, &pairs, pairs.len(), 2 << 20)
}

fn odd_pieces(address: SocketAddr) -> Peers {
    flood(address, 200, &echo_frames(1500, 100), 777, 1 << 20)
}

fn unfinished(address: SocketAddr) -> Peers {
    let whole = frame(Kind::Echo, 5, &noise(60_000, 8));
    let mut peers = connect_many(address, scale(150, MAX_PEERS));
    send_in_pieces(&mut peers, &whole[..20_000], 100);
    send_in_pieces(&mut peers, &whole[20_000..59_000], 3000);
    peers
}

fn begun_again(address: SocketAddr) -> Peers {
    let whole = frame(Kind::Echo, 5, &noise(60_000, 9));
    for _ in 0..scale(6, 100) {
        let mut peers = connect_many(address, 200);
        send_in_pieces(&mut peers, &whole[..50_000], 10_000);
        peers.iter().for_each(close_by_reset);
    }
    Peers::new()
}

/// Of the pieces of each size a quarter stays, so that larger ones do not fit between them.
fn pieces_that_leave_gaps(address: SocketAddr) -> Peers {
    const FRAME: usize = 60_000;
    /// Less than the budget, what it costs to remember a piece included.
    const MEMORY: usize = 28 << 20;
    const TIME_TO_RECEIVE: Duration = Duration::from_millis(20);
    let whole = frame(Kind::Echo, 5, &noise(FRAME, 14));
    let (mut kept, mut bytes_kept) = (Peers::new(), 0);
    for piece in [1040, 3900, 8100, 16_100, 32_500] {
        let bytes_of_peer = FRAME / piece * piece;
        let count = (MEMORY - bytes_kept) / (bytes_of_peer + FRAME / piece * 128);
        let mut peers = connect_many(address, count);
        for piece in whole[..bytes_of_peer].chunks(piece) {
            send_in_pieces(&mut peers, piece, piece.len());
            thread::sleep(TIME_TO_RECEIVE);
        }
        let (stay, go): (Vec<_>, Vec<_>) =
            peers.into_iter().enumerate().partition(|(index, _)| index % 4 == 0);
        go.iter().for_each(|(_, peer)| close_by_reset(peer));
        bytes_kept += stay.len() * bytes_of_peer;
        kept.extend(stay.into_iter().map(|(_, peer)| peer));
    }
    kept
}

fn refused(address: SocketAddr) -> Peers {
    let request = [frame(Kind::Echo, 1, &noise(1000, 10)), noise(1 << 20, 11)].concat();
    flood(address, 250, &request, request.len(), request.len())
}

fn surplus(address: SocketAddr) -> Peers {
    let whole = frame(Kind::Echo, 5, &noise(60_000, 12));
    let mut peers: Peers = (0..500).map(|_| connect_with_small_buffers(address)).collect();
    for peer in &peers {
        peer.set_nonblocking(true).expect("an option can be set");
    }
    send_in_pieces(&mut peers, &whole[..50_000], 1000);
    peers
}

/// See [`Flood::press`].
fn flood(address: SocketAddr, peers: usize, block: &[u8], piece: usize, limit: usize) -> Peers {
    let mut flood = Flood::new(address, peers);
    flood.press(block, piece, limit);
    flood.peers
}

fn connect_many(address: SocketAddr, count: usize) -> Peers {
    (0..count).map(|_| connect(address)).collect()
}

fn echo_frames(length: usize, count: usize) -> Vec<u8> {
    frame(Kind::Echo, 2, &noise(length, 13)).repeat(count)
}

/// Sends to all peers in turn, so that the server receives each piece by itself.
fn send_in_pieces(peers: &mut [TcpStream], bytes: &[u8], piece: usize) {
    for piece in bytes.chunks(piece) {
        for peer in &mut *peers {
            let _ = peer.write_all(piece);
        }
    }
}

fn assert_echoed(peer: &mut TcpStream, frame: &[u8]) {
    let mut reply = vec![0; frame.len()];
    peer.read_exact(&mut reply).expect("answered");
    assert!(reply == frame);
}
