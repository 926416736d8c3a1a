//! `ringback doctor`: what it says of hosts that lack something, and how it ends.

use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::refusal::{ANSWERS, Call, filtered, refused, with_memlock};

/// Facts that every diagnosis reports, whatever the host.
const ALWAYS: [&str; 17] = [
    "kernel",
    "io_uring_setup",
    "kernel.io_uring_disabled",
    "driver",
    "server",
    "descriptors",
    "memlock",
    "affinity",
    "pinning",
    "cpu quota",
    "clock source",
    "cpu governor",
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_migrate_req",
    "net.ipv4.ip_local_port_range",
    "memory",
];

const JSON: [&str; 3] = ["doctor", "--format", "json"];

/// Runs a doctor that is asked for JSON: its exit code and its document.
fn examine(mut command: Command) -> (Option<i32>, Value) {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let document = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text:?} {:?}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code(), document)
}

fn check<'a>(document: &'a Value, name: &str) -> &'a Value {
    let checks = document["checks"].as_array().expect("checks are a list");
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("{name}: {checks:#?}"))
}

fn ringback(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback"));
    command.args(arguments);
    command
}

fn under_prlimit(limit: &str) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(limit).arg(env!("CARGO_BIN_EXE_ringback")).args(JSON);
    command
}

#[test]
fn every_line_of_the_text_is_an_entry_of_the_document() {
    let (code, document) = examine(ringback(&JSON));
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["schema"], "ringback-doctor/1");
    assert_eq!(document["ok"], true);
    let checks = document["checks"].as_array().expect("checks are a list");
    let of = |statuses: &[&str]| -> Vec<&Value> {
        let is_of = |check: &&Value| statuses.iter().any(|status| check["status"] == *status);
        checks.iter().filter(is_of).collect()
    };
    let graves = [of(&["fail"]), of(&["warn"])].concat();
    assert_text(&["doctor"], &graves);
    assert_text(&["doctor", "-v"], &[graves, of(&["ok"])].concat());
    for name in ALWAYS {
        check(&document, name);
    }
}

/// Asserts that the text consists of these entries, in their order, and the sum.
fn assert_text(arguments: &[&str], checks: &[&Value]) {
    let output = ringback(arguments).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let mut lines = text.lines();
    for check in checks {
        let field = |name: &str| check[name].as_str().unwrap_or_else(|| panic!("{name}: {check}"));
        let (status, found) = (field("status"), field("found"));
        let line = lines.next().expect("as many lines as entries");
        assert!(line.starts_with(&format!("{status:4}  {} ", field("name"))), "{line}: {check}");
        assert!(line.ends_with(found), "{line}: {check}");
        match status {
            "ok" => assert!(check["fix"].is_null(), "{check}"),
            "warn" | "fail" => {
                let line = lines.next().expect("what is not ok says what mends it");
                assert_eq!(line.trim_start(), format!("fix: {}", field("fix")));
            }
            other => panic!("no such status: {other}"),
        }
    }
    if !checks.is_empty() {
        assert_eq!(lines.next(), Some(""));
    }
    let sum = lines.next().expect("a sum is at the end");
    assert!(sum.starts_with("ringback can serve here, by the "), "{sum}");
    assert_eq!(lines.next(), None);
}

#[test]
fn where_rings_work_every_feature_in_use_is_named() {
    let (_, document) = examine(ringback(&JSON));
    assert_eq!(document["driver"], "uring", "{document:#}");
    for name in [
        "IORING_OP_RECV",
        "IORING_FEAT_NODROP",
        "IORING_SETUP_SINGLE_ISSUER",
        "provided buffer ring",
        "multishot accept and receive",
    ] {
        assert_eq!(check(&document, name)["status"], "ok", "{name}");
    }
}

#[test]
fn a_host_without_io_uring_is_served_by_epoll_and_says_why() {
    for (answer, named) in ANSWERS {
        let (code, document) = examine(refused(answer, &JSON));
        assert_eq!(code, Some(0), "{answer}: {document:#}");
        assert_eq!(document["ok"], true);
        assert_eq!(document["driver"], "epoll");
        for name in ["io_uring_setup", "driver"] {
            let check = check(&document, name);
            assert_eq!(check["status"], "warn", "{answer}: {check}");
            assert!(check.to_string().contains(named), "{answer}: {check}");
        }
        assert_eq!(check(&document, "server")["status"], "ok", "{answer}");
    }
}

#[test]
fn a_single_call_that_is_filtered_is_found() {
    let (code, document) = examine(filtered("EPERM", Call::Register, &JSON));
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["driver"], "epoll");
    assert_eq!(check(&document, "io_uring_setup")["status"], "ok");
    let buffers = check(&document, "provided buffer ring");
    assert_eq!(buffers["status"], "warn");
    assert!(buffers["fix"].as_str().is_some_and(|fix| fix.contains("io_uring_register")));
}

#[test]
fn few_descriptors_are_a_warning_and_too_few_a_failure() {
    let (code, document) = examine(under_prlimit("--nofile=100:100"));
    assert_eq!((code, &document["ok"]), (Some(0), &Value::Bool(true)));
    let descriptors = check(&document, "descriptors");
    assert_eq!(descriptors["status"], "warn");
    assert!(descriptors["found"].as_str().is_some_and(|found| found.contains("hard limit 100;")));
    assert!(descriptors["fix"].as_str().is_some_and(|fix| fix.starts_with("ulimit -n ")));

    let (code, document) = examine(under_prlimit("--nofile=6:6"));
    assert_eq!((code, &document["ok"]), (Some(69), &Value::Bool(false)), "{document:#}");
    assert!(document["driver"].is_null());
    let server = check(&document, "server");
    assert_eq!(server["status"], "fail");
    assert!(server["found"].as_str().is_some_and(|found| found.contains("ulimit -n")), "{server}");
}

/// Where kernels charge nothing for a ring, no limit is too low.
#[test]
fn a_limit_of_locked_memory_is_judged_by_what_rings_take() {
    let (code, document) = examine(with_memlock(0, &JSON));
    assert_eq!(code, Some(0), "{document:#}");
    let memlock = check(&document, "memlock");
    if document["driver"] == "uring" {
        assert_eq!(memlock["status"], "ok");
    } else {
        assert_eq!(memlock["status"], "warn");
        assert!(memlock["fix"].as_str().is_some_and(|fix| fix.starts_with("ulimit -l ")));
        assert!(check(&document, "driver").to_string().contains("RLIMIT_MEMLOCK is 0 KiB"));
    }
}

#[test]
fn the_mask_is_the_one_of_the_process() {
    let cpu = *ringback::cpus::allowed().last().expect("this test runs somewhere");
    let mut confined = Command::new("taskset");
    confined.args(["-c", &cpu.to_string(), env!("CARGO_BIN_EXE_ringback")]).args(JSON);
    let (code, document) = examine(confined);
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(check(&document, "affinity")["found"], format!("1 CPU: {cpu}"));
}

#[test]
fn a_report_that_cannot_be_written_is_not_a_success() {
    let full = std::fs::File::create("/dev/full").expect("Linux has one");
    let output = ringback(&["doctor"]).stdout(full).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(text.contains("cannot write to stdout: No space left on device"), "{text}");
}

#[test]
fn a_reader_that_has_read_enough_does_no_harm() {
    let mut doctor = ringback(&["doctor"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(doctor.stdout.take());
    let status = doctor.wait().expect("it ends");
    let mut text = String::new();
    doctor.stderr.take().expect("it is piped").read_to_string(&mut text).expect("it is UTF-8");
    assert_eq!((status.code(), text.as_str()), (Some(0), ""));
}

#[test]
fn an_unknown_format_is_a_usage_error() {
    let (code, text) = crate::support::run(&["doctor", "--format", "xml"]);
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("invalid value 'xml'"), "{text}");
}
