//! With the least: the least memory that is accepted, and system calls that fail once.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use ringback::protocol::Kind;
use ringback::server::DriverKind;
use rustix::process::Signal;

use super::DRIVER;
use crate::support::framed::frame;
use crate::support::refusal::{RINGBACK, injected};
use crate::support::tools::has_tool;
use crate::support::{Program, connect, exchange, noise, run};

/// The least memory that the server names when given less.
fn least_memory(arguments: &[&str]) -> String {
    let (code, text) = run(&[arguments, &["--memory", "1", "--check"]].concat());
    assert_eq!(code, Some(64), "{text}");
    let (_, rest) = text.split_once("at least ").expect("it names what would do");
    rest.split(' ').next().expect("a number").to_owned()
}

#[test]
fn with_the_least_memory_peers_that_read_are_all_served() {
    let frames: Vec<u8> =
        (0..1000).flat_map(|number| frame(Kind::Echo, number, &noise(200, number))).collect();
    for protocol in ["raw", "framed"] {
        let arguments = [
            "serve",
            "127.0.0.1:0",
            "--driver",
            DRIVER.name(),
            "--protocol",
            protocol,
            "--workers",
            "1",
        ];
        let least = least_memory(&arguments);
        let program = Program::start(&[&arguments, &["--memory", &least][..]].concat(), 1);
        let address = program.addresses[0];
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| assert!(exchange(connect(address), &frames) == frames));
            }
        });
        program.signal(Signal::TERM);
        let (status, lines) = program.wait();
        assert_eq!(status.code(), Some(0), "{protocol}: {lines}");
        assert!(!lines.contains("ended for want of memory"), "{protocol}: {lines}");
    }
}

/// `ringback` whose `io_uring_enter` fails like this, once in each thread, at the call of this
/// number.
fn start_with_failure(error: &str, number: usize) -> Program {
    let arguments = ["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "1"];
    let what = format!("error={error}:when={number}");
    Program::spawn(&mut injected("io_uring_enter", &what, RINGBACK, &arguments), 1)
}

fn echo_often(address: SocketAddr) {
    let mut peer = connect(address);
    for number in 0..10_u8 {
        peer.write_all(&[number; 64]).expect("it is served");
        peer.read_exact(&mut [0; 64]).expect("answered");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_enter_that_fails_once_hangs_no_connection() {
    if DRIVER == DriverKind::Epoll || !has_tool("strace") {
        return;
    }
    for error in ["EAGAIN", "EINTR"] {
        for number in 1..=12 {
            let program = start_with_failure(error, number);
            echo_often(program.addresses[0]);
            program.signal(Signal::TERM);
            let (status, lines) = program.wait();
            assert_eq!(status.code(), Some(0), "{error} at call {number}: {lines}");
        }
    }
}
