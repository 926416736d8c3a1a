//! Every peer echoes as it should: what is measured beside ringback must do the same work.

mod support;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use support::{FRAME_BYTES, Peer, assert_explained, frame, noise};

/// Below the usual soft limit of descriptors, 1024.
const MANY: usize = 500;

macro_rules! peers {
    ($($module:ident $program:literal)*) => {
        $(mod $module {
            const PROGRAM: &str = env!(concat!("CARGO_BIN_EXE_", $program));

            #[test]
            fn a_half_closed_stream_comes_back_whole() {
                super::a_half_closed_stream_comes_back_whole(PROGRAM);
            }

            #[test]
            fn a_reset_ends_its_connection_alone() {
                super::a_reset_ends_its_connection_alone(PROGRAM);
            }

            #[test]
            fn a_peer_that_does_not_read_is_not_read_from() {
                super::a_peer_that_does_not_read_is_not_read_from(PROGRAM);
            }

            #[test]
            fn many_connections_are_served_at_once() {
                super::many_connections_are_served_at_once(PROGRAM);
            }

            #[test]
            fn wrong_command_lines_are_explained() {
                super::wrong_command_lines_are_explained(PROGRAM);
            }
        })*
    };
}

peers! {
    blocking "blocking-echo"
    nonblocking "nonblocking-echo"
    poll "poll-echo"
    epoll "epoll-echo"
    tokio "tokio-echo"
    monoio "monoio-echo"
    tokio_uring "tokio-uring-echo"
    ring "ring-echo"
    splice "splice-echo"
    framed "framed-echo"
}

fn a_half_closed_stream_comes_back_whole(program: &str) {
    let peer = Peer::start(program);
    let stream = peer.connect();
    let request = peer.encode(&noise(5 << 20, 1));
    let reply = thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&request).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        read_to_end(&stream)
    });
    assert!(reply == request, "{} of {} bytes came back", reply.len(), request.len());
}

fn a_reset_ends_its_connection_alone(program: &str) {
    let peer = Peer::start(program);
    let survivor = peer.connect();
    peer.exchange(&survivor, b"before");
    for _ in 0..20 {
        let doomed = peer.connect();
        (&doomed).write_all(&peer.encode(&noise(100_000, 2))).unwrap();
        // Closing with a linger of nothing sends a reset.
        SockRef::from(&doomed).set_linger(Some(Duration::ZERO)).unwrap();
    }
    peer.exchange(&survivor, b"after");
    peer.exchange(&peer.connect(), b"a newcomer");
}

fn a_peer_that_does_not_read_is_not_read_from(program: &str) {
    let peer = Peer::start(program);
    let stream = peer.connect();
    peer.exchange(&stream, b"so that what a connection needs is there");
    let before = peer.resident_bytes();
    // More than the kernel's buffers of both sides hold.
    let request = peer.encode(&noise(64 << 20, 3));
    let taken = write_until_stuck(&stream, &request);
    assert!(taken < request.len(), "all was taken though nothing was read");
    let grown = peer.resident_bytes().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes of memory for one slow reader");

    peer.exchange(&peer.connect(), b"others do not notice");
    stream.shutdown(Shutdown::Write).unwrap();
    let due = if peer.is_framed { taken - taken % FRAME_BYTES } else { taken };
    assert!(read_to_end(&stream) == request[..due], "what was taken did not come back");
}

fn many_connections_are_served_at_once(program: &str) {
    let peer = Peer::start(program);
    let connections: Vec<TcpStream> = (0..MANY).map(|_| peer.connect()).collect();
    let message = |index: usize| peer.encode(&noise(100, 1 + index as u64));
    for (index, mut connection) in connections.iter().enumerate() {
        connection.write_all(&message(index)).unwrap();
    }
    for (index, mut connection) in connections.iter().enumerate() {
        let mut reply = vec![0; message(index).len()];
        connection.read_exact(&mut reply).unwrap();
        assert_eq!(reply, message(index), "connection {index}");
    }
}

fn wrong_command_lines_are_explained(program: &str) {
    let cases: [(&[&str], i32, &str); 7] = [
        (&[], 64, "usage"),
        (&["127.0.0.1:0", "0", "surplus"], 64, "usage"),
        (&["localhost"], 1, "\"localhost\" is not IP:PORT"),
        (&["127.0.0.1:0", "first"], 1, "\"first\" is not the number of a CPU"),
        (&["127.0.0.1:0", "0,"], 1, "\"\" is not the number of a CPU"),
        (&["127.0.0.1:0", "1000000"], 1, "there is no CPU 1000000"),
        (&["192.0.2.1:0"], 1, "cannot listen on 192.0.2.1:0"),
    ];
    for (arguments, code, word) in cases {
        assert_explained(&Command::new(program).args(arguments).output().unwrap(), code, word);
    }
}

/// Two threads on one CPU: not every machine has a second.
#[test]
fn a_peer_with_two_threads_serves_on_both() {
    let peer = Peer::start_on(env!("CARGO_BIN_EXE_epoll-echo"), &["0,0"]);
    let tasks = fs::read_dir(format!("/proc/{}/task", peer.process.id())).unwrap();
    assert_eq!(tasks.count(), 2);
    // The kernel chooses a listener by a hash of the addresses: each has some of so many.
    let connections: Vec<TcpStream> = (0..MANY).map(|_| peer.connect()).collect();
    for connection in &connections {
        peer.exchange(connection, b"on either");
    }
    let served = epoll_sets(&peer);
    assert!(served.len() == 2 && served.iter().all(|count| *count > 1), "{served:?}");
}

/// How many descriptors each epoll set of a process watches (`proc_pid_fdinfo(5)`).
fn epoll_sets(peer: &Peer) -> Vec<usize> {
    let directory = fs::read_dir(format!("/proc/{}/fdinfo", peer.process.id())).unwrap();
    let watched = |path| fs::read_to_string(path).unwrap_or_default().matches("tfd:").count();
    directory.map(|entry| watched(entry.unwrap().path())).filter(|count| *count > 0).collect()
}

#[test]
fn frames_come_back_whatever_their_cuts_and_lengths() {
    let peer = Peer::start(env!("CARGO_BIN_EXE_framed-echo"));
    let stream = peer.connect();
    let lengths = [0, 1, 64, 65_516, 65_517, 1 << 20, 3];
    let frames: Vec<u8> = lengths.iter().flat_map(|length| frame(&noise(*length, 4))).collect();
    for cut in [1, 19, 20, 21, 104, 65_536, 65_600, frames.len() - 1] {
        let mut reply = vec![0; frames.len()];
        thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&frames[..cut]).unwrap();
                thread::sleep(Duration::from_millis(5));
                (&stream).write_all(&frames[cut..]).unwrap();
            });
            (&stream).read_exact(&mut reply).unwrap();
        });
        assert!(reply == frames, "cut at {cut}");
    }
}

#[test]
fn a_frame_that_is_not_as_it_was_sent_does_not_come_back() {
    let peer = Peer::start(env!("CARGO_BIN_EXE_framed-echo"));
    let good = frame(b"Hello, world");
    for place in [0, 2, 3, 4, 8, 16, 20, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        let mut stream = peer.connect();
        peer.exchange(&stream, b"good");
        stream.write_all(&bad).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        // The peer may not have read all there was, and then a reset says so.
        stream.read_to_end(&mut rest).ok();
        assert!(rest.is_empty(), "byte {place}");
    }
}

fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

/// Writes until nothing was taken for a while; returns how much was.
fn write_until_stuck(mut stream: &TcpStream, bytes: &[u8]) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut taken, mut refusals) = (0, 0);
    while taken < bytes.len() && refusals < 20 {
        match stream.write(&bytes[taken..]) {
            Ok(length) => (taken, refusals) = (taken + length, 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                refusals += 1;
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("after {taken} bytes: {error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
    taken
}
