//! The admin endpoint: what it answers over the life of a server, and that its counts are true.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::process::Command;
use std::thread;
use std::time::Duration;

use ringback::server::DriverKind;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::http::{Scrape, get, request, wait_for_status};
use crate::support::{Program, connect, exchange, run};

/// A server with an endpoint, on free ports.
fn start(more: &[&str]) -> Program {
    let arguments = ["serve", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    Program::start(&[&arguments, more].concat(), 1)
}

#[test]
fn probes_follow_the_life_of_the_server() {
    for driver in DriverKind::ALL {
        let options = ["--driver", driver.name(), "--drain-delay", "2s", "--drain-timeout", "5s"];
        let program = start(&options);
        let (admin, address) = (program.admin(), program.addresses[0]);
        assert_eq!(get(admin, "/livez"), (200, "alive\n".to_owned()));
        wait_for_status(admin, "/readyz", 200);
        // It keeps the drain from ending.
        let mut open = connect(address);
        open.write_all(b"hello").expect("the server reads");
        program.signal(Signal::TERM);
        assert_eq!(wait_for_status(admin, "/readyz", 503), "leaving\n");
        assert_eq!(exchange(connect(address), b"during the delay"), b"during the delay");
        assert_eq!(get(admin, "/livez").0, 200);
        let scrape = Scrape::of(admin);
        assert_eq!(scrape.sum("ringback_state", &["state=\"leaving\""]), 1.0);
        assert_eq!(scrape.sum("ringback_state", &[]), 1.0, "one state holds");
        drop(open);
        let (status, text) = program.wait();
        assert_eq!(status.code(), Some(0), "{text}");
        assert!(text.contains("leaving: serving on for 2s"), "{text}");
    }
}

#[test]
fn sigint_skips_the_delay_and_a_draining_server_is_alive_and_not_ready() {
    let program = start(&["--drain-delay", "1h", "--drain-quiet", "1h", "--drain-timeout", "3s"]);
    let admin = program.admin();
    let open = connect(program.addresses[0]);
    program.signal(Signal::INT);
    assert_eq!(wait_for_status(admin, "/readyz", 503), "draining\n");
    assert_eq!(get(admin, "/livez").0, 200);
    drop(open);
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_delay_and_everything_else() {
    let program = start(&["--drain-delay", "1h", "--drain-quiet", "1h", "--drain-timeout", "1h"]);
    // A drain would wait for it.
    let mut open = connect(program.addresses[0]);
    open.write_all(b"x").expect("it reads");
    open.read_exact(&mut [0]).expect("it is served");
    program.signal(Signal::TERM);
    wait_for_status(program.admin(), "/readyz", 503);
    // The same signal at once is one that was sent twice.
    program.signal(Signal::INT);
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn the_program_asks_for_itself_whether_a_server_is_ready() {
    let program = start(&["--drain-delay", "1h"]);
    let admin = program.admin().to_string();
    wait_for_status(program.admin(), "/readyz", 200);
    assert_eq!(run(&["health", &admin]), (Some(0), String::new()));
    program.signal(Signal::TERM);
    wait_for_status(program.admin(), "/readyz", 503);
    assert_eq!(run(&["health", &admin]), (Some(1), "ringback: not ready: leaving\n".to_owned()));
    drop(program);
    let (code, text) = run(&["health", &admin]);
    assert!(code == Some(1) && text.contains("is the server started with --admin?"), "{text}");
}

#[test]
fn what_is_not_a_probe_is_refused() {
    let program = start(&[]);
    let admin = program.admin();
    assert_eq!(get(admin, "/").0, 404);
    let refused = request(admin, "POST /livez HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    let head = request(admin, "HEAD /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    let long = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9 << 10));
    assert!(request(admin, &long).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_visitor_that_has_said_all_gets_its_answer_and_no_second_one() {
    let program = start(&[]);
    let admin = program.admin();
    let request_of = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    for _ in 0..300 {
        let answer = exchange(connect(admin), request_of("/metrics").as_bytes());
        assert!(answer.ends_with(b"# EOF\n"), "{:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(exchange(connect(admin), b""), b"");
    let pipelined = request(admin, &request_of("/livez").repeat(50));
    assert_eq!(pipelined.matches("HTTP/1.1 200 OK").count(), 1, "{pipelined}");
    let mut slow = connect(admin);
    for byte in request_of("/livez").bytes() {
        slow.write_all(&[byte]).expect("it is read");
        thread::sleep(Duration::from_millis(1));
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("the answer ends with a FIN");
    assert!(answer.ends_with("alive\n"), "{answer}");
}

#[test]
fn every_name_type_and_label_is_listed() {
    let program = start(&["--workers", "1"]);
    let (_, text) = get(program.admin(), "/metrics");
    let mut listed = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            listed += &format!("{rest}\n");
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').expect("a value");
            let series = if series.starts_with("ringback_build_info") {
                "ringback_build_info{version,revision,driver,protocol}"
            } else {
                series
            };
            assert!(seen.insert(series.to_owned()), "{series} is there twice");
            listed += &format!("  {series}\n");
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics.txt");
    if std::env::var_os("RBTEST_BLESS").is_some() {
        fs::write(path, &listed).expect("there is room");
    }
    let expected = fs::read_to_string(path).expect("the list is part of the repository");
    assert_eq!(listed, expected, "RBTEST_BLESS=1 writes the list anew");
}

#[test]
fn counts_are_those_of_the_load_generator() {
    for driver in DriverKind::ALL {
        for more in [&["--protocol", "raw"][..], &["--protocol", "framed"], &["--reconnect", "1"]] {
            let protocol = more.iter().find(|word| **word == "framed").unwrap_or(&"raw");
            let program = start(&["--driver", driver.name(), "--protocol", protocol]);
            let output = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
                .arg(program.addresses[0].to_string())
                .args(["--no-preflight", "-c", "4", "-d", "300ms", "--warmup", "0s"])
                .args(["--format", "json", "--quiet"])
                .args(more)
                .output()
                .expect("it starts");
            let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
            let total = |key: &str| report["totals"][key].as_u64().expect(key) as f64;
            let counts = settled(&program);
            let case = format!("{driver} {more:?}");
            assert_eq!(
                counts.sum("ringback_received_bytes_total", &[]),
                total("bytes_sent"),
                "{case}"
            );
            assert_eq!(
                counts.sum("ringback_sent_bytes_total", &[]),
                total("bytes_received"),
                "{case}"
            );
            let accepted = counts.sum("ringback_connections_accepted_total", &[]);
            assert_eq!(accepted, total("connections"), "{case}");
            let frames = counts.sum("ringback_frames_total", &["kind=\"echo\""]);
            let sent = if *protocol == "framed" { total("sent") } else { 0.0 };
            assert_eq!(frames, sent, "{case}");
        }
    }
}

/// A scrape after the last connection was closed.
fn settled(program: &Program) -> Scrape {
    loop {
        let scrape = Scrape::of(program.admin());
        if scrape.sum("ringback_connections_active", &[]) == 0.0 {
            return scrape;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn accepted_is_active_and_closed_in_every_scrape_during_churn() {
    let program = start(&[]);
    let (admin, address) = (program.admin(), program.addresses[0]);
    let churn = thread::spawn(move || {
        for _ in 0..300 {
            assert_eq!(exchange(connect(address), b"message"), b"message");
            drop(connect(address));
        }
    });
    let mut scrapes = 0;
    while scrapes < 200 || !churn.is_finished() {
        let scrape = Scrape::of(admin);
        let accepted = scrape.sum("ringback_connections_accepted_total", &[]);
        let active = scrape.sum("ringback_connections_active", &[]);
        let closed = scrape.sum("ringback_connections_closed_total", &[]);
        assert_eq!(accepted, active + closed);
        scrapes += 1;
    }
    churn.join().expect("everybody was served");
    let scrape = settled(&program);
    let closed = |reason: &str| {
        scrape.sum("ringback_connections_closed_total", &[&format!("reason=\"{reason}\"")])
    };
    assert_eq!((closed("finished"), closed("probe")), (300.0, 300.0));
}

#[test]
fn it_answers_when_every_descriptor_is_taken_and_when_visitors_never_finish() {
    let mut command = Command::new("prlimit");
    command.args(["--nofile=100", env!("CARGO_BIN_EXE_ringback"), "serve", "127.0.0.1:0"]);
    command.args(["--admin", "127.0.0.1:0", "--workers", "1"]);
    let program = Program::spawn(&mut command, 1);
    let (admin, address) = (program.admin(), program.addresses[0]);
    let limit = Scrape::of(admin).sum("ringback_connections_limit", &[]);
    let held: Vec<_> = (0..150).map(|_| connect(address)).collect();
    while Scrape::of(admin).sum("ringback_connections_active", &[]) < limit {
        thread::sleep(Duration::from_millis(10));
    }
    let unfinished: Vec<_> = (0..100)
        .map(|_| {
            let mut visitor = connect(admin);
            visitor.write_all(b"GET /livez HTTP/1.1\r\n").expect("it is read or not");
            visitor
        })
        .collect();
    assert_eq!(get(admin, "/livez").0, 200);
    let scrape = Scrape::of(admin);
    assert!(scrape.sum("ringback_connections_refused_total", &["limit=\"total\""]) > 0.0);
    drop((held, unfinished));
}

#[test]
fn errors_of_peers_are_counted_by_their_code() {
    let program = start(&["--protocol", "framed"]);
    exchange(connect(program.addresses[0]), b"GET / HTTP/1.1\r\nHost: of somebody\r\n\r\n");
    let scrape = settled(&program);
    let code =
        |code: &str| scrape.sum("ringback_protocol_errors_total", &[&format!("code=\"{code}\"")]);
    assert_eq!(code("bad_magic"), 1.0);
    assert_eq!(scrape.sum("ringback_protocol_errors_total", &[]), 1.0);
    let reason = ["reason=\"protocol_error\""];
    assert_eq!(scrape.sum("ringback_connections_closed_total", &reason), 1.0);
}

#[test]
fn an_admin_address_that_is_taken_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let admin = taken.local_addr().expect("bound").to_string();
    let (code, text) = run(&["serve", "127.0.0.1:0", "--admin", &admin]);
    assert_eq!(code, Some(69), "{text}");
    assert!(text.contains(&format!("--admin {admin}: Address already in use")), "{text}");
}
