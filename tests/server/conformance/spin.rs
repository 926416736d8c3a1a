//! `--spin`: polling before sleeping changes when answers come, never what they are, and an idle
//! server sleeps.

use std::thread;
use std::time::{Duration, Instant};

use super::DRIVER;
use crate::support::peers::Witness;
use crate::support::{Program, connect, exchange, noise};

fn start(more: &[&str]) -> Program {
    let arguments = ["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--spin", "1ms"];
    Program::start(&[&arguments[..], more].concat(), 1)
}

#[test]
fn a_server_that_polls_serves_and_sleeps_when_nobody_comes() {
    let program = start(&["--workers", "2"]);
    let mut witness = Witness::new(program.addresses[0], b"message");
    for pause in [0, 300, 2000].map(Duration::from_micros) {
        for _ in 0..50 {
            witness.echo();
            thread::sleep(pause);
        }
    }
    let request = noise(3_000_000, 1);
    assert!(exchange(connect(program.addresses[0]), &request) == request);
    thread::sleep(Duration::from_millis(200));
    let (cpu, started) = (program.cpu_time(), Instant::now());
    thread::sleep(Duration::from_secs(1));
    let (cpu, wall) = (program.cpu_time() - cpu, started.elapsed());
    assert!(cpu * 50 < wall, "{cpu:?} of processor time in {wall:?} without a message");
    witness.echo();
}

#[test]
fn a_driver_that_cannot_poll_says_so() {
    let program = start(&[]);
    let warning = "warning: --spin does nothing with the tokio-uring driver";
    let is_told = program.lines.iter().any(|line| line.starts_with(warning));
    assert_eq!(is_told, DRIVER.name() == "tokio-uring", "{:?}", program.lines);
}
