//! Time that a peer used is not taken for time that it let pass: neither when the server's process
//! stood still (SIGSTOP, a paused container), nor while the kernel still delivers to it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use ringback::protocol::Kind;
use ringback::server::{Config, Server};
use rustix::process::Signal;

use super::DRIVER;
use crate::support::framed::{before_goaway, frame};
use crate::support::peers::{connect_with_small_buffers, run_side_by_side};
use crate::support::{Program, connect, noise};

/// Longer than every timeout here.
const PAUSE: Duration = Duration::from_millis(1500);

fn start(arguments: &[&str]) -> (Program, Vec<TcpStream>) {
    let base = ["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "2"];
    let program = Program::start(&[&base, arguments].concat(), 1);
    let peers = (0..20).map(|_| connect(program.addresses[0])).collect();
    (program, peers)
}

/// Sends to each, while the process stands still for longer than the timeouts.
fn send_during_pause(program: &Program, peers: &mut [TcpStream], message: &[u8]) {
    program.signal(Signal::STOP);
    for peer in peers {
        peer.write_all(message).expect("the kernel takes it");
    }
    thread::sleep(PAUSE);
    program.signal(Signal::CONT);
}

fn read_from_each(peers: &mut [TcpStream], expected: &[u8]) {
    for (number, peer) in peers.iter_mut().enumerate() {
        let mut reply = vec![0; expected.len()];
        peer.read_exact(&mut reply).unwrap_or_else(|error| panic!("peer {number}: {error}"));
        assert!(reply == expected, "peer {number}");
    }
}

#[test]
fn what_peers_did_in_time_is_not_taken_for_silence() {
    let cases = [
        send_before_the_idle_timeout,
        finish_frames_before_the_frame_timeout,
        send_before_a_drain_is_quiet,
        read_before_the_stall_timeout,
        read_instead_of_being_idle,
        read_instead_of_being_quiet_during_a_drain,
    ];
    run_side_by_side(cases, cases.len());
}

fn send_before_the_idle_timeout() {
    let (program, mut peers) = start(&["--idle-timeout", "1s"]);
    peers.iter_mut().for_each(|peer| peer.write_all(b"a").expect("sent"));
    read_from_each(&mut peers, b"a");
    send_during_pause(&program, &mut peers, b"in time");
    read_from_each(&mut peers, b"in time");
}

fn finish_frames_before_the_frame_timeout() {
    let (program, mut peers) = start(&["--protocol", "framed", "--frame-timeout", "1s"]);
    let (first, second) = (frame(Kind::Echo, 1, b""), frame(Kind::Echo, 2, &noise(50, 1)));
    for peer in &mut peers {
        peer.write_all(&[&first[..], &second[..30]].concat()).expect("sent");
    }
    // Now the server has the first part of each frame.
    read_from_each(&mut peers, &first);
    send_during_pause(&program, &mut peers, &second[30..]);
    read_from_each(&mut peers, &second);
}

fn send_before_a_drain_is_quiet() {
    let (program, mut peers) = start(&["--protocol", "framed", "--drain-quiet", "1s"]);
    let (first, second) = (frame(Kind::Echo, 1, b""), frame(Kind::Echo, 2, b"in time"));
    peers.iter_mut().for_each(|peer| peer.write_all(&first).expect("sent"));
    read_from_each(&mut peers, &first);
    program.signal(Signal::TERM);
    for peer in &mut peers {
        let mut goaway = [0; 20];
        peer.read_exact(&mut goaway).expect("told");
        assert_eq!(before_goaway(&goaway), Some((&[][..], 1)));
    }
    send_during_pause(&program, &mut peers, &second);
    read_from_each(&mut peers, &second);
    drop(peers);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
}

fn read_before_the_stall_timeout() {
    let (program, _) = start(&["--stall-timeout", "1s"]);
    let request = noise(6 << 20, 2);
    let peer = connect_with_small_buffers(program.addresses[0]);
    let mut reader = peer.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        scope.spawn(|| {
            (&peer).write_all(&request).expect("sent");
            peer.shutdown(Shutdown::Write).expect("half-closed");
        });
        let mut reply = vec![0; 100_000];
        reader.read_exact(&mut reply).expect("it is being served");
        program.signal(Signal::STOP);
        scope.spawn(|| {
            thread::sleep(PAUSE);
            program.signal(Signal::CONT);
        });
        reader.read_to_end(&mut reply).expect("no reset");
        assert!(reply == request, "{} of {} bytes came back", reply.len(), request.len());
    });
}

const QUIET: Duration = Duration::from_secs(1);

/// A server whose kernel takes this request's echo at once, and a peer that then takes it from
/// there bit by bit, for several times as long as it may be quiet.
fn start_with_slow_reader(request: &[u8]) -> (Server, TcpStream) {
    let mut config = Config::new(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
    config.driver = DRIVER;
    config.cpus.truncate(1);
    config.send_buffer = Some(400_000);
    config.idle_timeout = Some(QUIET);
    config.drain_quiet = QUIET;
    config.drain_timeout = Duration::from_secs(60);
    let server = Server::start(&config).expect("the server starts");
    let mut peer = connect_with_small_buffers(server.local_addresses()[0]);
    peer.write_all(request).expect("sent");
    (server, peer)
}

fn read_slowly(peer: &mut TcpStream, expected: &[u8]) {
    let (started, mut reply) = (Instant::now(), Vec::new());
    let mut piece = [0; 2000];
    while reply.len() < expected.len() {
        let length = peer.read(&mut piece).expect("no reset");
        assert!(length > 0, "a FIN after {} bytes", reply.len());
        reply.extend_from_slice(&piece[..length]);
        thread::sleep(QUIET / 25);
    }
    assert!(reply == expected);
    assert!(started.elapsed() > 3 * QUIET, "it took only {:?}", started.elapsed());
}

fn assert_is_served(peer: &mut TcpStream) {
    peer.write_all(b"still here").expect("it is connected");
    let mut reply = [0; 10];
    peer.read_exact(&mut reply).expect("answered");
    assert_eq!(&reply, b"still here");
}

fn read_instead_of_being_idle() {
    let request = noise(200_000, 3);
    let (server, mut peer) = start_with_slow_reader(&request);
    read_slowly(&mut peer, &request);
    assert_is_served(&mut peer);
    drop(peer);
    let counters = server.stop().expect("it ends well");
    assert_eq!(counters.idle_timeouts, 0);
}

fn read_instead_of_being_quiet_during_a_drain() {
    let request = noise(200_000, 4);
    let (server, mut peer) = start_with_slow_reader(&request);
    peer.read_exact(&mut [0; 1]).expect("it is being served");
    server.shutdown().drain();
    read_slowly(&mut peer, &request[1..]);
    assert_is_served(&mut peer);
    drop(peer);
    let counters = server.wait().expect("it ends well");
    assert_eq!((counters.lost_bytes, counters.late_bytes), (0, 0));
}
