//! Assertions on the command line: their exit codes, and what the reports say of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::host;

/// A server that answers every message two milliseconds late.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = socket.read(&mut buffer) {
                    thread::sleep(Duration::from_millis(2));
                    if socket.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn measure(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args([&serve(), "-c", "2", "-d", "300ms", "--warmup", "0s"])
        .args(arguments)
        .output()
        .unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn what_is_met_is_exit_code_0() {
    let output =
        measure(&["--assert", "min>=2ms", "--assert", " throughput > 0.001k ", "--format", "json"]);
    if host::spoiled(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = json_of(&output);
    let [min, throughput] = report["verdict"]["assertions"].as_array().unwrap().as_slice() else {
        panic!("{report}")
    };
    let measured = &report["latency_ns"]["service"]["min"];
    assert_eq!(*min, json!({"assertion": "min>=2ms", "measured": measured, "met": true}));
    assert_eq!(throughput["assertion"], "throughput > 0.001k");
    assert_eq!(throughput["measured"], report["throughput"]["messages_per_s"]);
}

#[test]
fn what_is_missed_is_exit_code_3_and_told_with_what_was_measured() {
    let arguments = ["--assert", "p50<1ms", "--assert", "max>1ns"];
    let output = measure(&[&arguments[..], &["--format", "json"]].concat());
    if host::spoiled(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let verdict = &json_of(&output)["verdict"];
    assert_eq!(verdict["valid"], true);
    assert_eq!(verdict["assertions"][0]["met"], false);
    assert!(verdict["assertions"][0]["measured"].as_u64().unwrap() >= 2_000_000);
    assert_eq!(verdict["assertions"][1]["met"], true);
    let output = measure(&arguments);
    if host::spoiled(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("  Assertions   ✗ p50<1ms (2."), "{text}");
    assert!(text.contains("  ✓ max>1ns ("), "{text}");
    assert!(text.contains("\nVALID, 1 assertion missed (exit code 3)"), "{text}");
}

#[test]
fn what_too_few_samples_can_tell_is_exit_code_4_even_if_another_is_missed() {
    let output = measure(&["--assert", "p99.99<1s", "--assert", "p50<1ms", "--format", "json"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let verdict = &json_of(&output)["verdict"];
    assert_eq!(verdict["valid"], false);
    let withheld = json!({"assertion": "p99.99<1s", "measured": null, "met": false});
    assert_eq!(verdict["assertions"][0], withheld);
    assert_eq!(verdict["assertions"][1]["met"], false);
    let reasons = verdict["reasons"].to_string();
    assert!(reasons.contains("\"p99.99<1s is inconclusive"), "{reasons}");
}

#[test]
fn in_open_loop_the_response_is_asserted() {
    // Each of two connections can answer 500 a second; 2,000 are asked of them, so messages wait.
    let output = measure(&["-r", "2k", "--depth", "1", "--assert", "p50<20ms", "--format", "json"]);
    let report = json_of(&output);
    assert_eq!(output.status.code(), Some(4), "{report}");
    let latency = &report["latency_ns"];
    let measured = &report["verdict"]["assertions"][0]["measured"];
    assert_eq!(*measured, latency["response"]["p50"]);
    assert_ne!(*measured, latency["service"]["p50"]);
    assert_eq!(report["verdict"]["assertions"][0]["met"], false);
}

/// The report, in JSON, on these assertions of an open loop whose generator stands still for a
/// while.
fn measure_with_a_stop(assertions: &[&str]) -> Output {
    let mut generator = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args([&serve(), "-c", "2", "-r", "100", "-d", "2s", "--warmup", "0s", "--format", "json"])
        .args(assertions.iter().flat_map(|assertion| ["--assert", assertion]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = Pid::from_child(&generator);
    // It says what is to be run, and begins.
    let said = BufReader::new(generator.stderr.take().unwrap()).lines().next();
    assert!(said.unwrap().unwrap().starts_with("ringback-load  "));
    thread::sleep(Duration::from_millis(700));
    // A fifth of the messages are not sent on time: the p90 waits for half of the stop.
    kill_process(id, Signal::STOP).unwrap();
    thread::sleep(Duration::from_millis(400));
    kill_process(id, Signal::CONT).unwrap();
    generator.wait_with_output().unwrap()
}

#[test]
fn what_only_the_generators_own_delays_miss_cannot_be_told() {
    let output = measure_with_a_stop(&["p90<100ms"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let verdict = &json_of(&output)["verdict"];
    assert_eq!(verdict["assertions"][0]["met"], false, "{verdict}");
    let reasons = verdict["reasons"].to_string();
    assert!(reasons.contains("p90<100ms is inconclusive: it is missed, and would be"), "{reasons}");
}

#[test]
fn what_the_server_misses_for_certain_is_not_excused_by_what_cannot_be_told() {
    // The server takes 2 ms.
    let output = measure_with_a_stop(&["p90<100ms", "p50<1ms"]);
    let verdict = &json_of(&output)["verdict"];
    let met = [0, 1].map(|place| verdict["assertions"][place]["met"].as_bool().unwrap());
    assert_eq!(met, [false, false], "{verdict}");
    assert!(!verdict["reasons"].to_string().contains("is inconclusive"), "{verdict}");
}

#[test]
fn what_is_no_assertion_is_a_usage_error() {
    for (text, words) in [
        ("p99", "it compares nothing"),
        ("p101<1ms", "p101 is not a percentile"),
        ("p99<5", "it has no unit: use ns, us, ms, s, m or h, as in 5us"),
        ("lag<5ms", "\"lag\" is not a metric: use p50"),
    ] {
        let output = measure(&["--assert", text]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{text}: {stderr}");
    }
}
