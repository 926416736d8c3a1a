//! Programs that load, and the one that is measured alone: `epoll-client`, `idle-client`, `floor`.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::thread;

use socket2::{Domain, Socket, Type};

use support::{Peer, assert_explained};

#[test]
fn the_client_counts_its_messages() {
    let peer = Peer::start(env!("CARGO_BIN_EXE_epoll-echo"));
    let address = peer.address.to_string();
    for (connections, size) in [("1", "1"), ("10", "64"), ("2", "1048576")] {
        assert_counts(&client(&[&address, connections, size, "0.2"]));
    }
}

#[test]
fn the_floor_counts_its_messages() {
    for (connections, size) in [("1", "1"), ("10", "64"), ("2", "1048576")] {
        assert_counts(&floor(&[connections, size, "0.2"]));
    }
}

/// A measurement prints messages, their rate, their cost.
fn assert_counts(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|number| *number >= 1.0), "{said}");
}

#[test]
fn the_floor_explains_what_is_wrong() {
    let cases: [(&[&str], i32, &str); 3] = [
        (&["1", "64"], 64, "usage"),
        (&["1", "64", "soon"], 1, "seconds"),
        (&["1", "64", "1", "1000000"], 1, "there is no CPU"),
    ];
    for (arguments, code, word) in cases {
        assert_explained(&floor(arguments), code, word);
    }
}

#[test]
fn the_client_explains_what_is_wrong() {
    // Bound, so that no other test can have its port, and not listening.
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let nobody = deaf.local_addr().unwrap().as_socket().unwrap().to_string();
    let cases: [(&[&str], i32, &str); 7] = [
        (&[], 64, "usage"),
        (&[&nobody, "1", "64", "1"], 1, "cannot connect"),
        (&[&nobody, "0", "64", "1"], 1, "connections"),
        (&[&nobody, "1", "0", "1"], 1, "size"),
        (&[&nobody, "1", "64", "soon"], 1, "seconds"),
        (&[&nobody, "1", "64", "0"], 1, "seconds"),
        (&[&nobody, "1", "64", "nan"], 1, "seconds"),
    ];
    for (arguments, code, word) in cases {
        assert_explained(&client(arguments), code, word);
    }
}

#[test]
fn the_client_does_not_measure_a_server_that_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let leaver = thread::spawn(move || drop(listener.accept().unwrap()));
    let output = client(&[&address, "1", "64", "1"]);
    leaver.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

fn client(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_epoll-client")).args(arguments).output().unwrap()
}

fn floor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_floor")).args(arguments).output().unwrap()
}

#[test]
fn idle_connections_have_had_an_echo_and_stay() {
    const CONNECTIONS: usize = 300;
    let peer = Peer::start(env!("CARGO_BIN_EXE_epoll-echo"));
    let before = descriptors(&peer);
    let mut client = Command::new(env!("CARGO_BIN_EXE_idle-client"))
        .args([&peer.address.to_string(), &CONNECTIONS.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(client.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, format!("idle connections: {CONNECTIONS}\n"));
    // It may have opened some of its own since it said that it listens.
    assert!(descriptors(&peer) >= before + CONNECTIONS);
    assert!(client.try_wait().unwrap().is_none(), "it keeps them");
    client.kill().unwrap();
    client.wait().unwrap();
}

fn descriptors(peer: &Peer) -> usize {
    fs::read_dir(format!("/proc/{}/fd", peer.process.id())).unwrap().count()
}
