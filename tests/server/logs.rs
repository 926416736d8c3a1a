//! The log of a server: in which form, how much, and that it never holds up a worker.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use ringback::server::DriverKind;
use rustix::fs::fstat;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::http::Scrape;
use crate::support::{Program, connect, exchange, run};

#[test]
fn json_is_an_object_a_line_with_time_level_message_and_fields() {
    let arguments = ["serve", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug"];
    let mut program = Program::start(&arguments, 0);
    let address = loop {
        let line = program.next_line().expect("it listens");
        let object: Value = serde_json::from_str(&line).expect(&line);
        if let Some(address) = object["address"].as_str() {
            assert_eq!(object["msg"], format!("listening on {address}"));
            break address.parse().expect("an address");
        }
    };
    assert_eq!(exchange(connect(address), b"message"), b"message");
    program.signal(Signal::TERM);
    let (status, text) = program.wait();
    assert_eq!(status.code(), Some(0), "{text}");
    let mut levels = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let object: Value = serde_json::from_str(line).expect(line);
        assert!(object["ts"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        assert!(object["msg"].is_string(), "{line}");
        levels.push(object["level"].as_str().expect("a level").to_owned());
    }
    assert!(levels.iter().any(|level| level == "debug"), "{levels:?}");
    assert!(text.contains("\"cause\":\"Finished\""), "{text}");
}

#[test]
fn levels_are_the_least_that_is_written() {
    let (code, text) = run(&["serve", "--check", "--log-level", "error"]);
    assert_eq!((code, text.as_str()), (Some(0), ""));
    let (code, text) = run(&["serve", "203.0.113.1:1", "--log-level", "error"]);
    assert_eq!(code, Some(69));
    assert!(text.starts_with("ringback: cannot listen on 203.0.113.1:1"), "{text}");
}

/// Lines that `serve --check` writes to a pipe that the journal's variable names so.
fn checked_with(format: &str, journal: impl Fn(&OwnedFd) -> Option<String>) -> String {
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be had");
    let writer = OwnedFd::from(writer);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback"));
    command.args(["serve", "--check", "--log-format", format]).stdout(Stdio::null());
    command.env_remove("JOURNAL_STREAM");
    if let Some(stream) = journal(&writer) {
        command.env("JOURNAL_STREAM", stream);
    }
    let status = command.stderr(File::from(writer)).status().expect("the program starts");
    assert_eq!(status.code(), Some(0));
    // Its writing end is closed with the command.
    drop(command);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("lines are UTF-8");
    text
}

#[test]
fn lines_begin_with_their_level_where_the_journal_reads_them_and_nowhere_else() {
    let name_of = |writer: &OwnedFd| {
        let stat = fstat(writer).expect("it is open");
        format!("{}:{}", stat.st_dev, stat.st_ino)
    };
    let journal = checked_with("text", |writer| Some(name_of(writer)));
    assert!(journal.lines().all(|line| line.starts_with('<')), "{journal}");
    assert!(journal.contains("<6>the configuration is valid"), "{journal}");
    let json = checked_with("json", |writer| Some(name_of(writer)));
    assert!(json.starts_with("<6>{") && !json.contains("\"ts\""), "{json}");
    let null = fstat(File::open("/dev/null").expect("it is there")).expect("it is open");
    // Its standard output, not what it logs to.
    let elsewhere = format!("{}:{}", null.st_dev, null.st_ino);
    for other in [None, Some("0:0".to_owned()), Some("nonsense".to_owned()), Some(elsewhere)] {
        let text = checked_with("text", |_| other.clone());
        assert!(!text.contains('<'), "{text}");
    }
}

#[test]
fn ten_thousand_bad_frames_are_a_few_lines() {
    let program = Program::start(&["serve", "127.0.0.1:0", "--protocol", "framed"], 1);
    let address = program.addresses[0];
    for _ in 0..10_000 {
        let mut peer = connect(address);
        peer.write_all(b"this is no frame at all").expect("it is read");
        let mut answer = [0; 1];
        peer.read_exact(&mut answer).expect("an error is answered");
    }
    program.signal(Signal::TERM);
    let (status, text) = program.wait();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.lines().count() <= 20, "{text}");
    assert!(text.contains("connections broke the protocol"), "{text}");
}

#[test]
fn the_first_refusal_is_logged_with_what_to_do() {
    let arguments = ["serve", "127.0.0.1:0", "--max-connections", "1", "--workers", "1"];
    let mut program = Program::start(&arguments, 1);
    let address = program.addresses[0];
    let _held = (connect(address), connect(address));
    while !program.next_line().expect("it goes on").contains("connections refused") {}
    let line = program.lines.last().expect("just read");
    assert!(line.starts_with("warning: 1 connections refused"), "{line}");
    assert!(line.contains("raise --max-connections"), "{line}");
}

#[test]
fn nobody_reading_debug_lines_holds_nothing_up_and_is_counted() {
    for driver in DriverKind::ALL {
        let arguments = ["serve", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-level", "debug"];
        let program = Program::start(&[&arguments[..], &["--driver", driver.name()]].concat(), 1);
        let (admin, address) = (program.admin(), program.addresses[0]);
        // Nobody reads what it says from here on: a pipe holds 64 KiB, the queue a thousand lines.
        for _ in 0..3_000 {
            assert_eq!(exchange(connect(address), b"message"), b"message");
        }
        let dropped = Scrape::of(admin).sum("ringback_log_lines_dropped_total", &[]);
        assert!(dropped > 0.0, "{driver}: nothing was dropped");
        program.signal(Signal::TERM);
        let (status, text) = program.wait();
        assert_eq!(status.code(), Some(0), "{text}");
        assert!(text.contains("log lines were dropped"), "{driver}");
    }
}

#[test]
fn sigusr1_logs_the_counters_and_changes_nothing() {
    let mut program = Program::start(&["serve", "127.0.0.1:0"], 1);
    let address = program.addresses[0];
    assert_eq!(exchange(connect(address), b"message"), b"message");
    program.signal(Signal::USR1);
    let line = program.next_line().expect("a line");
    assert!(line.contains("7 bytes received, 7 sent"), "{line}");
    assert_eq!(exchange(connect(address), b"message"), b"message");
}
