//! However a server ends, every message is accounted for: intended = sent + unsent, sent = received
//! + lost, and both sides agree on what was received. [`measure`] checks the sums.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringback::load::{Arrival, Config, Load, Progress, Protocol, run};
use ringback::protocol::{self, Connection, Framed, Protocol as _};

use crate::support::{assert_adds_up, assert_invalid, measure, serve, short};

/// Both loops, both protocols, with one and with several messages in flight.
fn kinds(address: SocketAddr) -> impl Iterator<Item = Config> {
    let loads =
        [Load::Closed, Load::at_rate(2000), Load::Open { rate: 2000, arrival: Arrival::Poisson }];
    [Protocol::Raw, Protocol::Framed].into_iter().flat_map(move |protocol| {
        loads.into_iter().flat_map(move |load| {
            [1, 16].map(|depth| {
                short(address).with(|config| {
                    config.protocol = protocol;
                    config.load = load;
                    config.depth = depth;
                    config.threads = 2;
                })
            })
        })
    })
}

/// Echoes about so many bytes, then lets the last of them go unanswered.
fn echo_bytes(socket: &mut TcpStream, bytes: usize) {
    let mut buffer = [0; 4096];
    let mut echoed = 0;
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        echoed += length;
        if echoed > bytes || socket.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

#[test]
fn resets_are_accounted_for() {
    let address = serve(|number, mut socket| {
        echo_bytes(&mut socket, 1000 + 5000 * (number % 2));
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
    });
    for config in kinds(address) {
        let report = measure(&config);
        assert!(report.totals.lost >= 4, "each connection had one in flight");
        assert_invalid(&report, "were lost");
        assert_invalid(&report, "reset by the server");
    }
}

#[test]
fn early_closes_are_accounted_for() {
    let address = serve(|_, mut socket| {
        echo_bytes(&mut socket, 3000);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        // What still comes is read, or the kernel would reset the connection.
        let _ = std::io::copy(&mut socket, &mut std::io::sink());
    });
    for config in kinds(address) {
        let report = measure(&config);
        assert!(report.totals.lost >= 4, "each connection had one in flight");
        assert_invalid(&report, "closed by the server");
    }
}

#[test]
fn half_a_reply_is_accounted_for() {
    let address = serve(|_, mut socket| {
        echo_bytes(&mut socket, 2000);
        let _ = socket.write_all(&[0; 7]);
    });
    for config in kinds(address) {
        let totals = measure(&config).totals;
        // In raw it is half a reply, in framed already a wrong one.
        assert!(totals.lost + totals.corrupted >= 4, "each connection had one in flight");
    }
}

#[test]
fn errors_and_goodbyes_are_accounted_for() {
    let end = |socket: &mut TcpStream, input: protocol::Input<'_>| {
        let config = Framed::default();
        let mut connection = config.connection();
        // A wrong input is an error here, which the outputs tell.
        let _ = connection.handle_input(Instant::now(), input);
        while let Some(output) = connection.poll_output() {
            if let protocol::Output::Emit(bytes) = output {
                let _ = socket.write_all(&bytes);
            }
        }
    };
    let address = serve(move |number, mut socket| {
        echo_bytes(&mut socket, 2000);
        match number % 2 {
            0 => end(&mut socket, protocol::Input::Drain),
            _ => end(&mut socket, protocol::Input::Data(b"nothing like a frame")),
        }
        let _ = std::io::copy(&mut socket, &mut std::io::sink());
    });
    for config in kinds(address).filter(|config| config.protocol == Protocol::Framed) {
        let report = measure(&config);
        assert_invalid(&report, "told that the server is draining (GOAWAY)");
        assert_invalid(&report, "refused with ERROR 1");
    }
}

/// A server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(protocol: Protocol) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringback"))
            .args(["serve", "127.0.0.1:0", "--workers", "1", "--protocol", protocol.name()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ")?.1.split(' ').next()?.parse().ok())
            .expect("the server says where it listens");
        // Its last words must not fail for want of a reader.
        thread::spawn(move || lines.count());
        Self { child, address }
    }
}

#[test]
fn the_death_of_the_server_is_accounted_for() {
    for protocol in [Protocol::Raw, Protocol::Framed] {
        for load in [Load::Closed, Load::at_rate(5000)] {
            let mut server = Server::start(protocol);
            let hour = Duration::from_secs(3600);
            let config = short(server.address).with(|config| {
                config.protocol = protocol;
                config.load = load;
                config.depth = 4;
                config.duration = hour;
            });
            let mut kill_when_served = |progress: Progress| {
                if progress.messages_per_s > 0.0 {
                    server.child.kill().unwrap();
                }
            };
            let report = run(&config, &mut kill_when_served).unwrap();
            server.child.wait().unwrap();
            assert_adds_up(&report);
            assert!(report.totals.received > 0);
            if load == Load::Closed {
                assert!(report.totals.lost > 0, "there was always something in flight");
            }
            assert_invalid(&report, "no connection was left");
            assert_eq!(
                report.verdict.endings.values().sum::<u64>(),
                4,
                "{:?}",
                report.verdict.endings
            );
        }
    }
}
