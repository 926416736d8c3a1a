//! A second signal, and the stall timeout, end connections whose peers do not read, also where they
//! half-close just then.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::DRIVER;
use crate::support::peers::{Flood, run_side_by_side};
use crate::support::{Program, connect, noise, scale};

/// A server that hangs stays for minutes; one that stops needs next to nothing.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

fn start(arguments: &[&str]) -> Program {
    let base = ["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "1"];
    Program::start(&[&base, arguments].concat(), 1)
}

/// Keeps the worker busy until its server ends.
fn chat(address: SocketAddr) {
    let mut peer = connect(address);
    while peer.write_all(&[b'x'; 64]).is_ok() && peer.read_exact(&mut [0; 64]).is_ok() {}
}

/// Drains, lets all peers half-close, and stops this long after.
fn stop_after_half_close(delay: Duration) {
    let program = start(&["--drain-timeout", "100s"]);
    let address = program.addresses[0];
    thread::scope(|scope| {
        scope.spawn(move || chat(address));
        scope.spawn(move || chat(address));
        let flood = Flood::stuck(address, 100);
        program.signal(Signal::TERM);
        // Sooner it would be taken for the same signal, given twice.
        thread::sleep(Duration::from_millis(300));
        flood.half_close();
        thread::sleep(delay);
        program.signal(Signal::TERM);
        let stopped = Instant::now();
        let (status, lines) = program.wait();
        let took = stopped.elapsed();
        assert_eq!(status.code(), Some(1), "{delay:?} after the FINs: {lines}");
        assert!(took < STOP_TIMEOUT, "{delay:?} after the FINs it took {took:?}");
    });
}

#[test]
fn peers_that_half_close_and_do_not_read_keep_nothing_alive() {
    run_side_by_side([stop_after_half_closes, stall_after_half_closes], 2);
}

fn stop_after_half_closes() {
    for _ in 0..scale(1, 10) {
        for delay_ms in (0..=20).step_by(scale(10, 1)) {
            stop_after_half_close(Duration::from_millis(delay_ms));
        }
    }
}

/// Stalls with the rest waiting in the server, then with all of it in the kernel.
fn stall_after_half_closes() {
    const REQUEST_THAT_THE_KERNEL_TAKES: usize = 60_000;
    for request in [Flood::STUCK_REQUEST, REQUEST_THAT_THE_KERNEL_TAKES] {
        stall_after_half_close(request);
    }
}

fn stall_after_half_close(request: usize) {
    let timeout = Duration::from_secs(5);
    let program = start(&["--stall-timeout", "5s"]);
    let before = program.descriptors();
    let mut flood = Flood::new(program.addresses[0], scale(150, 501));
    flood.press_until_sent(&noise(request, 1), request);
    flood.half_close();
    let half_closed = Instant::now();
    program.wait_for_descriptors(before);
    let took = half_closed.elapsed();
    assert!(took < timeout + STOP_TIMEOUT, "the last was gone after {took:?}");
    program.signal(Signal::TERM);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    assert!(lines.contains(&format!("; {} stalled", flood.peers.len())), "{lines}");
}
