//! Short connections without end: nothing stays behind.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ringback::protocol::Kind;
use rustix::process::Signal;

use super::DRIVER;
use crate::support::framed::frame;
use crate::support::peers::close_by_reset;
use crate::support::{Program, TEST_TIMEOUT, noise, scale};

/// Several addresses, so that the ports of one do not run out.
const ADDRESSES: [&str; 4] = ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0"];

/// Memory that may stay: caches of the allocator, not something for each connection. A leak of 16
/// bytes for each of 50,000 connections would be 800 kB.
const SLACK_BYTES: usize = 256 << 10;
/// Enough to go once round both workers' completion queues and buffers, whose pages are memory
/// from when they are first touched.
const WARM_UP: usize = 50_000;

/// One connection; `number` decides how it ends.
fn come_and_go(address: SocketAddr, number: usize, message: &[u8]) {
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            // Every port towards this address is in use or was until lately.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("connection {number}: {error}"),
        }
    };
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a timeout can be set");
    let mut reply = vec![0; message.len()];
    match number % 8 {
        // Not a word.
        0 => {}
        // Half a message, then away, before any answer.
        1 => stream.write_all(&message[..message.len() / 2]).expect("sent"),
        2 => {
            stream.write_all(message).expect("sent");
            close_by_reset(&stream);
        }
        // The server sees the end first or last.
        3 | 4 => {
            stream.write_all(message).expect("sent");
            stream.shutdown(Shutdown::Write).expect("half-closed");
            stream.read_exact(&mut reply).expect("answered");
            assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);
            assert!(reply == message, "connection {number}");
        }
        _ => {
            stream.write_all(message).expect("sent");
            stream.read_exact(&mut reply).expect("answered");
            assert!(reply == message, "connection {number}");
        }
    }
}

fn churn(program: &Program, connections: usize, message: &[u8]) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= connections {
                        break;
                    }
                    let address = program.addresses[number % program.addresses.len()];
                    come_and_go(address, number, message);
                }
            });
        }
    });
}

fn nothing_stays_behind(protocol: &str, message: &[u8], connections: usize) {
    // A connection that is gone leaves nothing behind for its deadlines either.
    let arguments = [
        "serve",
        "--driver",
        DRIVER.name(),
        "--workers",
        "2",
        "--protocol",
        protocol,
        "--idle-timeout",
        "1h",
    ];
    let program = Program::start(&[&arguments[..], &ADDRESSES].concat(), ADDRESSES.len());
    let descriptors = program.descriptors();
    churn(&program, WARM_UP, message);
    program.wait_for_descriptors(descriptors);
    let memory = program.resident();
    churn(&program, connections, message);
    program.wait_for_descriptors(descriptors);
    let grown = program.resident().saturating_sub(memory);
    assert!(grown < SLACK_BYTES, "{grown} bytes more after {connections} connections");
    assert_eq!(program.descriptors(), descriptors);
    program.signal(Signal::TERM);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    assert!(lines.contains(&format!("finished: {} connections", WARM_UP + connections)), "{lines}");
}

#[test]
fn raw_connections_come_and_go_without_a_trace() {
    nothing_stays_behind("raw", &noise(300, 1), scale(20_000, 1_000_000));
}

#[test]
fn framed_connections_come_and_go_without_a_trace() {
    let message = frame(Kind::Echo, 1, &noise(300, 2));
    nothing_stays_behind("framed", &message, scale(20_000, 500_000));
}
