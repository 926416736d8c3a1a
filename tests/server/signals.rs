//! Signals to the `ringback` program, from before it listens to its end.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringback::server::DriverKind;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Program, TEST_TIMEOUT, connect, exchange, tools};

const ENDING: [Signal; 3] = [Signal::HUP, Signal::INT, Signal::TERM];
/// A repetition of a signal within this time is one request.
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);

/// `ringback`, started by a shell that does this first.
fn after(preparation: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_ringback"))
        .args(arguments);
    command
}

/// An address that nobody else takes meanwhile: a port that is no client's, on an interface address
/// of this process's own.
fn own_address() -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 77, high, low), 7007))
}

fn echo(stream: &mut TcpStream, message: &[u8]) {
    let mut reply = vec![0; message.len()];
    stream.write_all(message).expect("it is served");
    stream.read_exact(&mut reply).expect("it is served");
    assert_eq!(reply, message);
}

#[test]
fn a_signal_right_after_the_first_connection_drains() {
    let address = own_address();
    for driver in DriverKind::ALL {
        for round in 0..5 {
            let mut server = Command::new(env!("CARGO_BIN_EXE_ringback"))
                .args(["serve", &address.to_string(), "--driver", driver.name()])
                .stderr(Stdio::null())
                .spawn()
                .expect("the program starts");
            let started = Instant::now();
            let client = loop {
                match TcpStream::connect(address) {
                    Ok(client) => break client,
                    Err(error) => assert!(started.elapsed() < TEST_TIMEOUT, "{driver}: {error}"),
                }
            };
            kill_process(Pid::from_child(&server), Signal::TERM).expect("the program runs");
            drop(client);
            let status = server.wait().expect("a child can be waited for");
            assert_eq!(status.code(), Some(0), "{driver}, round {round}: {status}");
        }
    }
}

/// It is pending when the program begins, as it is when it comes while the program starts.
#[test]
fn a_signal_before_the_start_ends_it_and_a_mask_that_blocks_it_is_cleared() {
    let block = ["--block-signal=TERM", "sh", "-c"];
    if !tools::runs(Command::new("env").args(block).arg("kill -TERM $$")) {
        return;
    }
    for driver in DriverKind::ALL {
        let output = Command::new("env")
            .args(block)
            .args(["kill -TERM $$; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ringback")])
            .args(["serve", "127.0.0.1:0", "--driver", driver.name()])
            .output()
            .expect("env is there");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{driver}: {:?} {text}", output.status.signal());
    }
}

#[test]
fn every_signal_that_ends_a_program_drains_first() {
    for driver in DriverKind::ALL {
        for signal in ENDING {
            let program = Program::start(&["serve", "127.0.0.1:0", "--driver", driver.name()], 1);
            let mut client = connect(program.addresses[0]);
            echo(&mut client, b"before");
            program.signal(signal);
            echo(&mut client, b"meanwhile");
            drop(client);
            let (status, lines) = program.wait();
            assert_eq!(status.code(), Some(0), "{driver}: {lines}");
            assert!(lines.contains("shutting down: "), "{driver}: {lines}");
        }
    }
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    for driver in DriverKind::ALL {
        let arguments = ["serve", "127.0.0.1:0", "--driver", driver.name()];
        let program = Program::spawn(&mut after("trap '' HUP INT TERM", &arguments), 1);
        assert_eq!(program.ignored_signals() & mask_of(&ENDING), mask_of(&ENDING));
        ENDING.into_iter().for_each(|signal| program.signal(signal));
        assert_eq!(exchange(connect(program.addresses[0]), b"still here"), b"still here");

        let program = Program::spawn(&mut after("trap '' HUP", &arguments), 1);
        assert_eq!(program.ignored_signals() & mask_of(&ENDING), mask_of(&[Signal::HUP]));
        program.signal(Signal::HUP);
        program.signal(Signal::INT);
        let (status, lines) = program.wait();
        assert_eq!(status.code(), Some(0), "{driver}: {lines}");
    }
}

/// Two signals are two requests on a machine that stands still between them: so, several tries.
#[test]
fn the_same_signal_twice_at_once_is_one() {
    for driver in DriverKind::ALL {
        assert!((0..5).any(|_| is_served_after_two_signals(driver)), "{driver}");
    }
}

fn is_served_after_two_signals(driver: DriverKind) -> bool {
    let arguments = ["serve", "127.0.0.1:0", "--driver", driver.name(), "--drain-quiet", "1m"];
    let mut program = Program::start(&arguments, 1);
    let mut client = connect(program.addresses[0]);
    echo(&mut client, b"before");
    program.signal(Signal::TERM);
    // While the first is pending, the kernel itself takes the second for the same.
    wait_until_told(&mut program);
    program.signal(Signal::TERM);
    // By then a second request would have ended it.
    thread::sleep(2 * REPEAT_INTERVAL);
    let mut reply = [0; 5];
    let is_served = client.write_all(b"still").is_ok() && client.read_exact(&mut reply).is_ok();
    drop(client);
    let (status, lines) = program.wait();
    assert!(!is_served || status.code() == Some(0), "{driver}: {lines}");
    is_served
}

#[test]
fn a_later_or_another_signal_ends_it_at_once() {
    for driver in DriverKind::ALL {
        for second in [Signal::TERM, Signal::HUP] {
            let arguments = [
                &["serve", "127.0.0.1:0", "--driver", driver.name()][..],
                &["--drain-quiet", "1h", "--drain-timeout", "1h"],
            ];
            let mut program = Program::start(&arguments.concat(), 1);
            let mut client = connect(program.addresses[0]);
            echo(&mut client, b"before");
            program.signal(Signal::TERM);
            wait_until_told(&mut program);
            if second == Signal::TERM {
                thread::sleep(2 * REPEAT_INTERVAL);
            }
            program.signal(second);
            let (status, lines) = program.wait();
            assert_eq!(status.code(), Some(0), "{driver}: {lines}");
        }
    }
}

fn wait_until_told(program: &mut Program) {
    while program.lines.last().is_none_or(|line| !line.starts_with("shutting down")) {
        program.next_line().expect("it says that it was told to end");
    }
}

/// As in `/proc/PID/status`.
fn mask_of(signals: &[Signal]) -> u64 {
    signals.iter().map(|signal| 1 << (signal.as_raw() - 1)).sum()
}
