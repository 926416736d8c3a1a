//! No operation waits on a thread of the kernel's, whatever peers do. Such a thread is an `iou-wrk`
//! in the server's `/proc/PID/task`; an operation that waits gets one of its own after its peer's FIN
//! or urgent byte, which make the kernel's poll always ready.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringback::server::DriverKind;

use super::DRIVER;
use crate::support::peers::{Flood, run_side_by_side, send_urgent};
use crate::support::tools::{has_tool, is_root};
use crate::support::{Program, noise, scale};

const WATCH: Duration = Duration::from_millis(500);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);

/// The kernel may give a receive of tokio-uring that meets an urgent byte to a thread, of which that
/// driver allows one for each worker.
const WORKERS: usize = 2;
const MAX_KERNEL_THREADS: usize =
    if matches!(DRIVER, DriverKind::TokioUring) { WORKERS } else { 0 };

fn start(options: &[&str]) -> Program {
    let workers = WORKERS.to_string();
    let base = ["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", &workers];
    Program::start(&[&base, options].concat(), 1)
}

fn assert_few_kernel_threads(program: &Program, after: &str) {
    let started = Instant::now();
    while started.elapsed() < WATCH {
        let threads = program.threads();
        let count = threads.iter().filter(|name| name.starts_with("iou-wrk")).count();
        assert!((0..=MAX_KERNEL_THREADS).contains(&count), "after {after}: {threads:?}");
        thread::sleep(SAMPLE_INTERVAL);
    }
}

#[test]
fn peers_that_do_not_read_cost_no_thread_and_get_every_byte_when_they_do() {
    let cases =
        [half_close, half_close_and_stall, send_urgent_and_half_close, send_urgent_and_never_read];
    run_side_by_side(cases, cases.len());
}

fn half_close() {
    let program = start(&[]);
    half_close_and_read(&program, stuck_peers(&program), &noise(Flood::STUCK_REQUEST, 1));
}

/// A quarter of the stall timeout on, sends are tried that the socket has no room for.
fn half_close_and_stall() {
    let program = start(&["--stall-timeout", "8s"]);
    let flood = stuck_peers(&program);
    flood.half_close();
    for _ in 0..5 {
        assert_few_kernel_threads(&program, "a FIN each and a stall");
    }
}

fn send_urgent_and_half_close() {
    let program = start(&[]);
    let flood = stuck_peers(&program);
    flood.peers.iter().for_each(send_urgent);
    assert_few_kernel_threads(&program, "an urgent byte each");
    half_close_and_read(&program, flood, &[&noise(Flood::STUCK_REQUEST, 1)[..], b"!"].concat());
}

fn stuck_peers(program: &Program) -> Flood {
    Flood::stuck(program.addresses[0], scale(100, 500))
}

fn half_close_and_read(program: &Program, mut flood: Flood, expected: &[u8]) {
    flood.half_close();
    assert_few_kernel_threads(program, "a FIN each");
    for reply in flood.read_to_end() {
        assert!(reply == expected, "{} of {} bytes came back", reply.len(), expected.len());
    }
    assert_few_kernel_threads(program, "all was read");
}

fn send_urgent_and_never_read() {
    let program = start(&[]);
    let mut flood = Flood::new(program.addresses[0], scale(100, 500));
    let request = noise(Flood::STUCK_REQUEST, 2);
    for round in 1..=3 {
        flood.press(&request, 50_000, round * (Flood::STUCK_REQUEST / 3));
        flood.peers.iter().for_each(send_urgent);
        assert_few_kernel_threads(&program, "urgent bytes between others");
    }
}

/// tokio-uring receives with an operation whose poll is ready then, and waits on its one thread.
#[test]
fn urgent_bytes_that_overtook_others_cost_no_thread_and_hold_up_nobody() {
    if DRIVER == DriverKind::TokioUring || !has_tool("python3") || !is_root() {
        return;
    }
    let program = start(&[]);
    let mut peers = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/urgent_ahead.py"))
        .args([program.addresses[0].port().to_string(), "8".to_owned()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut line = String::new();
    let output = peers.stdout.as_mut().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("it is text");
    assert_eq!(line, "ahead\n");
    assert_few_kernel_threads(&program, "urgent bytes that overtook others");
    peers.stdin.take().expect("it is piped").write_all(b"\n").expect("it reads");
    assert!(peers.wait().expect("it was not waited for").success());
}
