//! Nobody reads what the programs say on standard error: they work and end all the same.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringback::server::DriverKind;
use rustix::fs::OFlags;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::{Program, TEST_TIMEOUT, connect, exchange};

const CTRL_S: &[u8] = b"\x13";

fn serve(driver: DriverKind) -> Vec<&'static str> {
    vec!["serve", "127.0.0.1:0", "--driver", driver.name()]
}

/// Fills the pipe that is the program's standard error, through an open file of its own: the
/// program's writes still wait.
fn fill_stderr(program: &Program) {
    let mut pipe = OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(format!("/proc/{}/fd/2", program.id()))
        .expect("it is a pipe of ours");
    for length in [4096, 1] {
        let block = vec![b'x'; length];
        let full = loop {
            if let Err(error) = pipe.write(&block) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_full_pipe_holds_up_neither_service_nor_drain() {
    for driver in DriverKind::ALL {
        let mut program = Program::start(&serve(driver), 1);
        fill_stderr(&program);
        assert_eq!(exchange(connect(program.addresses[0]), b"served"), b"served");
        program.signal(Signal::TERM);
        assert_eq!(program.exit_code(), Some(0), "{driver}");
    }
}

#[test]
fn a_full_pipe_holds_up_no_second_signal() {
    for driver in DriverKind::ALL {
        let forever = ["--drain-quiet", "1h", "--drain-timeout", "1h"];
        let mut program = Program::start(&[&serve(driver)[..], &forever].concat(), 1);
        fill_stderr(&program);
        let mut client = connect(program.addresses[0]);
        client.write_all(b"a").expect("sent");
        client.read_exact(&mut [0]).expect("it is served");
        program.signal(Signal::TERM);
        program.signal(Signal::INT);
        assert_eq!(program.exit_code(), Some(0), "{driver}");
    }
}

#[test]
fn what_was_held_up_is_written_in_order_when_somebody_reads_again() {
    let mut program = Program::start(&serve(DriverKind::Uring), 1);
    let client = connect(program.addresses[0]);
    fill_stderr(&program);
    program.signal(Signal::TERM);
    // The filling ends with the first line that waited.
    let line = program.next_line().expect("it goes on");
    assert!(line.contains("xshutting down: "), "{line}");
    drop(client);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    assert!(lines.contains("\nfinished: 1 connection"), "{lines}");
}

/// A terminal on which somebody pressed Ctrl-S.
#[test]
fn a_stopped_terminal_holds_up_neither_service_nor_drain() {
    for driver in DriverKind::ALL {
        let (mut terminal, other_end) = open_terminal();
        let mut server = start(driver, other_end);
        let mut lines = BufReader::new(terminal.try_clone().expect("a descriptor can be had"));
        let address = loop {
            let mut line = String::new();
            lines.read_line(&mut line).expect("the program listens before it ends");
            if let Some(address) = line.trim_end().strip_prefix("listening on ") {
                break address.parse::<SocketAddr>().expect("an address follows");
            }
        };
        terminal.write_all(CTRL_S).expect("it takes a key");
        assert_eq!(exchange(connect(address), b"served"), b"served");
        terminate(&server);
        assert_eq!(server.wait().expect("it ends").code(), Some(0), "{driver}");
    }
}

#[test]
fn a_log_at_its_size_limit_is_no_reason_to_end() {
    for driver in DriverKind::ALL {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("log");
        let mut server = start(driver, File::create(&path).expect("a file can be made"));
        let address = wait_for_address(&path);
        let written = fs::metadata(&path).expect("it is there").len();
        let limit = Rlimit { current: Some(written), maximum: Some(written) };
        prlimit(Some(Pid::from_child(&server)), Resource::Fsize, limit).expect("a child of ours");
        assert_eq!(exchange(connect(address), b"served"), b"served");
        terminate(&server);
        let status = server.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{driver}: {status}");
        assert_eq!(fs::metadata(&path).expect("it is there").len(), written);
    }
}

#[test]
fn a_standard_error_that_takes_nothing_is_no_reason_to_end() {
    for redirection in ["2>/dev/full", "2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"] {
        for driver in DriverKind::ALL {
            // It cannot say where it listens.
            let port = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let address = port.local_addr().expect("bound");
            drop(port);
            let mut server = Command::new("sh")
                .args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")])
                .args([env!("CARGO_BIN_EXE_ringback"), "serve", &address.to_string()])
                .args(["--driver", driver.name()])
                .spawn()
                .expect("the program starts");
            let started = Instant::now();
            while TcpStream::connect(address).is_err() {
                assert!(started.elapsed() < TEST_TIMEOUT, "{driver} {redirection}");
                thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(exchange(connect(address), b"served"), b"served");
            terminate(&server);
            let status = server.wait().expect("it ends");
            assert_eq!(status.code(), Some(0), "{driver} {redirection}: {status}");
        }
    }
}

/// It shows its progress there, and the report does not wait for it.
#[test]
fn a_stopped_terminal_holds_up_no_measurement() {
    let (mut terminal, other_end) = open_terminal();
    terminal.write_all(CTRL_S).expect("it takes a key");
    let output = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args(["-c", "2", "-d", "500ms", "--warmup", "0s", "--format", "json"])
        .stderr(other_end)
        .output()
        .expect("the program starts");
    // A busy machine may make it invalid; it is a report all the same.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
    assert!(output.stdout.starts_with(b"{"), "{output:?}");
}

fn start(driver: DriverKind, stderr: File) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ringback"))
        .args(serve(driver))
        .stdin(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("the program starts")
}

fn terminate(server: &Child) {
    kill_process(Pid::from_child(server), Signal::TERM).expect("the program runs");
}

/// A terminal as its user has it, and the end that programs have.
fn open_terminal() -> (File, File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal can be had");
    grantpt(&terminal).expect("it is ours");
    unlockpt(&terminal).expect("it is ours");
    let path = ptsname(&terminal, Vec::new()).expect("it has a name");
    let other_end = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits() as i32)
        .open(std::ffi::OsStr::from_bytes(path.as_bytes()))
        .expect("it is unlocked");
    (terminal.into(), other_end)
}

/// The address from the last line of a log that is being written.
fn wait_for_address(path: &std::path::Path) -> SocketAddr {
    let started = Instant::now();
    loop {
        let text = fs::read_to_string(path).expect("it is there");
        if let Some((_, address)) = text.trim_end_matches('\n').rsplit_once("listening on ")
            && text.ends_with('\n')
        {
            return address.parse().expect("an address follows");
        }
        assert!(started.elapsed() < TEST_TIMEOUT, "{text}");
        thread::sleep(Duration::from_millis(5));
    }
}
