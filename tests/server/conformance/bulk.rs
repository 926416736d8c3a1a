//! Bulk goes past memory where the driver can: the same bytes come back in the same order, whichever
//! way they go and whenever they change it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;

use ringback::metrics::Counters;
use ringback::protocol::{Framed, Kind, Raw};
use ringback::server::{Config, DriverKind, Server};
use rustix::net::SendFlags;

use super::DRIVER;
use crate::support::framed::frame;
use crate::support::http::Scrape;
use crate::support::peers::close_by_reset;
use crate::support::tools::has_tool;
use crate::support::{Program, connect, exchange, noise, start_server};

const CAN_SPLICE: bool = !matches!(DRIVER, DriverKind::TokioUring);

/// Ends the server and returns what it counted.
fn end(server: Server) -> Counters {
    server.shutdown().drain();
    server.wait().expect("it served to the end")
}

/// Sends in one thread and receives in another; what comes back must be what was sent.
fn echo(peer: &TcpStream, request: &[u8]) {
    let mut reply = vec![0; request.len()];
    thread::scope(|scope| {
        scope.spawn(|| { peer }.write_all(request).expect("sent"));
        { peer }.read_exact(&mut reply).expect("nothing is left out");
    });
    assert!(reply == request);
}

#[test]
fn bulk_is_not_copied_where_the_driver_can_help_it() {
    let (server, address) = start_server(DRIVER, Raw);
    let request = noise(8 << 20, 5);
    assert!(exchange(connect(address), &request) == request);
    let counters = end(server);
    assert_eq!((counters.pipes > 0, counters.splices > 1), (CAN_SPLICE, CAN_SPLICE));
    let length = request.len() as u64;
    assert_eq!((counters.bytes_received, counters.bytes_sent), (length, length));
    assert_eq!((counters.finished, counters.lost_bytes), (1, 0));
}

#[test]
fn small_messages_and_urgent_bytes_change_the_way_and_nothing_else() {
    const ROUNDS: u64 = 5;
    let (server, address) = start_server(DRIVER, Raw);
    let peer = connect(address);
    let mut sent = 0;
    for round in 0..ROUNDS {
        for (length, times) in [(2 << 20, 1), (10, 30), (1 << 20, 1)] {
            for time in 0..times {
                echo(&peer, &noise(length, round * 31 + time));
                sent += length as u64;
            }
        }
        rustix::net::send(&peer, b"!", SendFlags::OOB).expect("sent");
        sent += 1;
        let mut urgent = [0];
        (&peer).read_exact(&mut urgent).expect("it comes back in its place");
        assert_eq!(&urgent, b"!");
    }
    drop(peer);
    let counters = end(server);
    assert_eq!((counters.bytes_received, counters.bytes_sent), (sent, sent));
    assert_eq!(counters.pipes >= ROUNDS, CAN_SPLICE, "{} pipes", counters.pipes);
}

/// Two pipes for each worker are what 256 descriptors allow.
#[test]
fn pipes_are_used_again_and_who_gets_none_is_served_all_the_same() {
    const PIPES: usize = 4;
    if !has_tool("prlimit") {
        return;
    }
    let mut command = Command::new("prlimit");
    command.arg("--nofile=256:256").arg(env!("CARGO_BIN_EXE_ringback"));
    command.args(["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "2"]);
    let program = Program::spawn(command.args(["--admin", "127.0.0.1:0"]), 1);
    let (admin, address) = (program.admin(), program.addresses[0]);
    let before = program.descriptors();
    for round in 0..3 {
        let peers: Vec<_> = (0..20).map(|_| connect(address)).collect();
        thread::scope(|scope| {
            for (peer, number) in peers.iter().zip(0..) {
                scope.spawn(move || echo(peer, &noise(1 << 20, 20 * round + number)));
            }
        });
        let most = before + peers.len() + 2 * PIPES;
        assert!(program.descriptors() <= most, "{} of {most}", program.descriptors());
        // Half of them with bytes on every part of their way.
        for (number, mut peer) in peers.into_iter().enumerate() {
            if number % 2 == 0 {
                peer.write_all(&noise(100_000, 3)).expect("sent");
                close_by_reset(&peer);
            }
        }
    }
    let uses = Scrape::of(admin).sum("ringback_pipes_total", &[]);
    assert_eq!(uses > PIPES as f64, CAN_SPLICE, "{uses} uses of {PIPES} pipes");
    program.wait_for_descriptors(before + if CAN_SPLICE { 2 * PIPES } else { 0 });
}

#[test]
fn what_has_to_be_seen_is_copied() {
    let (server, address) = start_server(DRIVER, Framed::default());
    let frames = frame(Kind::Echo, 7, &noise(60_000, 9)).repeat(50);
    assert!(exchange(connect(address), &frames) == frames);
    assert_eq!(end(server).pipes, 0);
}

#[test]
fn splicing_can_be_turned_off() {
    let mut config = Config::new(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
    (config.driver, config.splice) = (DRIVER, false);
    let server = Server::start(&config).expect("the server starts");
    let request = noise(8 << 20, 5);
    assert!(exchange(connect(server.local_addresses()[0]), &request) == request);
    assert_eq!(end(server).pipes, 0);
}
