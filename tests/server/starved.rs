//! A server with next to nothing: everything still arrives, only later.

use std::thread;

use ringback::server::{Config, RingSize, Server};

use crate::support::{connect, exchange, noise};

fn config() -> Config {
    let mut config = Config::new(vec!["127.0.0.1:0".parse().expect("an address")]);
    config.cpus.truncate(1);
    config
}

fn start_with(ring: RingSize) -> Server {
    let mut config = config();
    config.ring = ring;
    Server::start(&config).expect("the server starts")
}

/// Many peers at once, each with its own bytes; returns when all have theirs back.
fn exchange_with_many(server: &Server, peers: u64, length: usize) {
    let address = server.local_addresses()[0];
    thread::scope(|scope| {
        for peer in 0..peers {
            scope.spawn(move || {
                let request = noise(length, peer + 1);
                assert!(exchange(connect(address), &request) == request, "peer {peer}");
            });
        }
    });
}

#[test]
fn one_buffer_serves_many_peers() {
    let server = start_with(RingSize { buffers: 1, buffer_size: 512, ..RingSize::default() });
    exchange_with_many(&server, 40, 20_000);
    let counters = server.stop().expect("no worker fails");
    assert!(counters.buffer_waits > 0, "nobody ever waited for the buffer");
    assert_eq!(counters.bytes_sent, 40 * 20_000);
}

#[test]
fn idle_peers_do_not_keep_the_only_buffer_from_others() {
    let server = start_with(RingSize { buffers: 1, buffer_size: 64, ..RingSize::default() });
    let address = server.local_addresses()[0];
    let idle: Vec<_> = (0..50).map(|_| connect(address)).collect();
    exchange_with_many(&server, 10, 5_000);
    drop(idle);
}

#[test]
fn a_tiny_completion_queue_overflows_and_nothing_is_missed() {
    let server = start_with(RingSize { submissions: 2, completions: 4, ..RingSize::default() });
    exchange_with_many(&server, 60, 100_000);
    let counters = server.stop().expect("no worker fails");
    assert_eq!(counters.bytes_sent, 60 * 100_000);
}

#[test]
fn a_tiny_send_buffer_makes_sends_wait_and_loses_nothing() {
    let mut config = config();
    config.send_buffer = Some(1);
    let server = Server::start(&config).expect("the server starts");
    exchange_with_many(&server, 20, 300_000);
    let counters = server.stop().expect("no worker fails");
    assert_eq!(counters.bytes_sent, 20 * 300_000);
}
