//! The load generator's command line: exit codes, one clear line, reports where they belong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

use crate::support::host;

fn ringback_load(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringback-load")).args(arguments).output().unwrap()
}

/// Asserts an exit code and that stderr is one line with these words in it.
fn assert_fails(arguments: &[&str], code: i32, words: &str) {
    let output = ringback_load(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains(words), "{arguments:?}: {words:?} in {stderr}");
    assert!(output.stdout.is_empty());
    if !stderr.contains("--help") {
        let is_headline = |line: &&str| line.starts_with("ringback-load  ");
        assert_eq!(stderr.lines().filter(|line| !is_headline(line)).count(), 1, "{stderr}");
    }
}

/// Returns whether a run without fault is valid: a busy host may make it invalid, which must be the
/// only reason in the report.
fn is_valid(output: &Output) -> bool {
    let report = String::from_utf8_lossy(&output.stdout);
    let reasons = host::reasons(&report);
    match output.status.code() {
        Some(0) => true,
        Some(4)
            if !reasons.is_empty() && reasons.iter().all(|reason| host::is_at_fault(reason)) =>
        {
            false
        }
        _ => panic!("{output:?}"),
    }
}

/// A server that alters the last byte of what it echoes, if told so.
fn serve(corrupts: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(length @ 1..) = socket.read(&mut buffer) {
                    buffer[length - 1] ^= u8::from(corrupts);
                    if socket.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn what_is_not_possible_is_a_usage_error_with_its_fix() {
    let cases: &[(&[&str], &str)] = &[
        (&["-c", "0"], "--connections 0 is not possible: use 1 to 1M"),
        (&["-s", "0"], "a message of 0 B is not possible: use 1 byte to 16MiB"),
        (&["-s", "17MiB"], "a message of 17.0 MiB is not possible"),
        (&["-s", "128..64"], "the range ends before it begins: write 64..128"),
        (&["-s", "64:1,128"], "\"128\" has no weight"),
        (&["-r", "0"], "--rate 0 is not possible"),
        (&["--arrival", "poisson"], "--arrival is of the open loop: give it a --rate"),
        (&["-r", "1k", "--arrival", "even"], "possible values: uniform, poisson"),
        (&["--depth", "0"], "--depth 0 is not possible"),
        (&["-t", "65"], "--threads 65 are more than --connections 64"),
        (&["-d", "0s"], "--duration of less than 10ms measures nothing"),
        (&["-d", "10"], "use ns, us, ms, s, m or h"),
        (&["--source", "127.0.0.2-9"], "\"9\" is not an IP address"),
        (&["--source", "192.0.2.1"], "--source: cannot connect from 192.0.2.1: "),
        (&["--source", "::1"], "use addresses of the target's family"),
        (&["--timeout", "0s"], "--timeout 0ns is not possible: use 1ms"),
        (&["--ramp-up", "2400h"], "--ramp-up are too long"),
        (&["-r", "10x"], "use k, M, G or none"),
        (&["--cpus", "1000"], "CPU 1000 is not one this process may use"),
        (&["--cpus", "a-b"], "is not a list of CPUs"),
        (&["localhost"], "is not HOST:PORT"),
        (&["backend"], "commands are sweep, find-max, "),
        (&["localhost:"], "is not HOST:PORT"),
        (&[":80"], "is not HOST:PORT"),
        (&["localhost:99999"], "is not HOST:PORT"),
        (&["-o", "/no/such/directory/report"], "choose another --output"),
    ];
    for (arguments, words) in cases {
        assert_fails(arguments, 2, words);
    }
}

#[test]
fn an_unreachable_target_is_exit_code_1() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_fails(&[&address], 1, "Connection refused");
    assert_fails(&["no-such-host.invalid:80"], 1, "cannot resolve no-such-host.invalid:80");
}

#[test]
fn a_valid_measurement_is_json_with_the_keys_of_the_contract() {
    let address = serve(false).to_string();
    let output =
        ringback_load(&[&address, "-c", "2", "-d", "300ms", "--warmup", "0s", "--format", "json"]);
    let is_valid = is_valid(&output);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), 1, "no progress where stderr is not a terminal: {said}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let expected = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let sorted = |value: &Value| {
        let mut keys = keys(value);
        keys.sort();
        keys
    };
    assert_eq!(
        sorted(&json),
        expected(&[
            "schema",
            "target",
            "config",
            "host",
            "totals",
            "throughput",
            "latency_ns",
            "carried_over",
            "transport",
            "server_cpu",
            "verdict",
        ])
    );
    assert_eq!(json["schema"], "ringback-load/1");
    assert_eq!(
        sorted(&json["totals"]),
        expected(&[
            "intended",
            "unsent",
            "sent",
            "received",
            "lost",
            "corrupted",
            "connect_errors",
            "connections",
            "bytes_sent",
            "bytes_received",
        ])
    );
    assert_eq!(
        sorted(&json["throughput"]),
        expected(&["messages_per_s", "bytes_per_s", "offered_per_s"])
    );
    assert_eq!(
        sorted(&json["latency_ns"]),
        expected(&["service", "response", "send_lag", "connect", "close"])
    );
    assert_eq!(
        sorted(&json["latency_ns"]["service"]),
        expected(&[
            "count", "min", "mean", "p50", "p75", "p90", "p95", "p99", "p99_9", "p99_99", "max",
        ])
    );
    assert_eq!(json["verdict"]["valid"], is_valid);
    assert_eq!(json["verdict"]["reasons"].as_array().unwrap().is_empty(), is_valid);
    assert!(json["latency_ns"]["response"].is_null() && json["latency_ns"]["send_lag"].is_null());
    assert!(json["throughput"]["offered_per_s"].is_null());
    assert!(json["server_cpu"]["cpu_ns_per_message"].as_f64().unwrap() > 0.0, "it is on this host");
}

#[test]
fn an_invalid_measurement_is_exit_code_4_and_still_a_report() {
    let address = serve(true).to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let output = ringback_load(&[
        &address,
        "-c",
        "2",
        "-d",
        "200ms",
        "--warmup",
        "0s",
        "--format",
        "json",
        "-o",
        file.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(output.stdout.is_empty());
    let json: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(json["verdict"]["valid"], false);
    assert_eq!(json["totals"]["corrupted"], json["totals"]["received"]);
    let text = ringback_load(&[&address, "-c", "2", "-d", "200ms", "--warmup", "0s"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("INVALID") && text.contains("corrupted"), "{text}");
}

#[test]
fn who_is_no_echo_server_is_told_before_the_load() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connections = thread::spawn(move || {
        let banner = |socket: &mut std::net::TcpStream| socket.write_all(b"220 mail ready\r\n");
        listener.incoming().flatten().take(2).map(|mut socket| banner(&mut socket)).count()
    });
    let short = ["-c", "64", "-d", "100ms", "--warmup", "0s"];
    let words = ": it answered \"220 mail ready\\r\\n\"; name another target or --protocol";
    assert_fails(&[&[&*address], &short[..]].concat(), 1, words);
    assert_fails(&[&["sweep", &address, "--quiet"], &short[..]].concat(), 1, words);
    assert_eq!(connections.join().unwrap(), 2, "one connection each");
}

#[test]
fn without_a_preflight_the_server_sees_nothing_but_the_load() {
    for (option, more) in [(None, 1), (Some("--no-preflight"), 0)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, told) = std::sync::mpsc::channel();
        thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                tell.send(0).unwrap();
                let tell = tell.clone();
                thread::spawn(move || {
                    let mut message = [0; 64];
                    while socket.read_exact(&mut message).is_ok() {
                        let _ = tell.send(1);
                        let _ = socket.write_all(&message);
                    }
                });
            }
        });
        let short = ["-c", "2", "-d", "100ms", "--warmup", "0s", "-r", "100", "--format", "json"];
        let output = ringback_load(&[&[&*address], &short[..], option.as_slice()].concat());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let seen: Vec<u64> = told.try_iter().collect();
        assert_eq!(json["totals"]["sent"], 10);
        assert_eq!(seen.iter().sum::<u64>(), 10 + more, "messages");
        assert_eq!(seen.iter().filter(|of| **of == 0).count() as u64, 2 + more, "connections");
        assert_eq!(json["config"]["preflight"], option.is_none());
    }
}

#[test]
fn without_a_target_a_server_is_embedded() {
    let output = ringback_load(&["-v", "-c", "2", "-d", "200ms", "--warmup", "50ms"]);
    let verdict = if is_valid(&output) { "\nVALID" } else { "\nINVALID: do not use" };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("ringback-load  "), "{text}");
    assert!(
        text.contains("embedded server") && text.contains(", in this process on CPU"),
        "{text}"
    );
    assert!(text.contains(verdict), "{text}");
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    let programs = [env!("CARGO_BIN_EXE_ringback-load"), env!("CARGO_BIN_EXE_ringback")];
    for program in programs {
        for option in ["--help", "--version"] {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let output = Command::new(program).arg(option).stdout(full).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{program} {option}: {stderr}");
            assert!(stderr.contains("cannot write to stdout: No space left"), "{stderr}");
            // Whoever reads the first lines only has what they wanted.
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let output = Command::new(program).arg(option).stdout(writer).output().unwrap();
            assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
        }
    }
}

#[test]
fn event_loops_of_threads_are_descriptors_too() {
    let script = "ulimit -n 180; exec \"$0\" 127.0.0.1:1 -c 100 -t 11";
    let mut command = Command::new("sh");
    let output = command.args(["-c", script, env!("CARGO_BIN_EXE_ringback-load")]).output();
    let stderr = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(stderr.contains("needs 194 open files, but the limit is 180"), "{stderr}");
}

#[test]
fn a_low_descriptor_limit_is_named() {
    let output = Command::new("sh")
        .arg("-c")
        .arg("ulimit -n 100; exec \"$0\" 127.0.0.1:1 -c 100")
        .arg(env!("CARGO_BIN_EXE_ringback-load"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("needs 164 open files, but the limit is 100"), "{stderr}");
}

#[test]
fn every_option_of_connections_works_with_every_other() {
    let output = ringback_load(&[
        "--protocol",
        "framed",
        "--size",
        "64:9,100KiB:1",
        "--reconnect",
        "5",
        "--source",
        "127.0.0.2-127.0.0.4",
        "--ramp-up",
        "50ms",
        "-c",
        "6",
        "--depth",
        "3",
        "-d",
        "300ms",
        "--warmup",
        "0s",
        "--format",
        "json",
    ]);
    is_valid(&output);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["totals"]["connections"].as_u64().unwrap() > 6);
    assert_eq!(json["totals"]["connect_errors"], 0);
    assert_eq!(json["config"]["sizes"], "64:9,102400:1");
    assert_eq!(json["config"]["ramp_up_ns"], 50_000_000);
    assert_eq!(json["verdict"]["endings"]["closed"], 0);
}
