//! Other processes on the CPU of the server or of the generator: the numbers are theirs.

use std::process::Command;

use ringback::cpus;

use crate::support::Program;
use crate::support::busy::BusyLoops;
use crate::support::host;
use crate::support::tools::has_tool;

#[test]
fn three_busy_loops_beside_the_server_are_not_valid_in_either_loop() {
    if !has_tool("taskset") {
        return;
    }
    let allowed = cpus::allowed();
    let (first, last) = (allowed[0], allowed[allowed.len() - 1]);
    let server = Program::start(&["serve", "127.0.0.1:0", "--cpus", &first.to_string()], 1);
    let address = server.addresses[0].to_string();
    let _busy = BusyLoops::start(3, first);
    for cpu in [first, last] {
        for more in [&[][..], &["-r", "1000"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
                .args([&address, "--cpus", &cpu.to_string()])
                .args(["-c", "8", "-d", "1s", "--warmup", "100ms"])
                .args(more)
                .arg("-v")
                .output()
                .expect("it starts");
            let report = String::from_utf8(output.stdout).expect("it is text");
            assert_eq!(output.status.code(), Some(4), "CPU {cpu} {more:?}: {report}");
            assert!(report.contains("\nINVALID: do not use these numbers"), "{report}");
            let reasons = host::findings(&report);
            // What both share comes first.
            let is_shared = cpu == first;
            assert!(reasons[usize::from(is_shared)].contains(" waited "), "{more:?}: {report}");
            let is_named = reasons[0].contains(" and generator share CPU");
            assert_eq!(is_named, is_shared, "CPU {cpu} {more:?}: {report}");
        }
    }
}

/// A rate that was spoiled is measured once more, and stands in the report once.
#[test]
fn a_sweep_beside_busy_loops_has_each_rate_once() {
    if !has_tool("taskset") {
        return;
    }
    let cpu = cpus::allowed()[0];
    let server = Program::start(&["serve", "127.0.0.1:0", "--cpus", &cpu.to_string()], 1);
    let _busy = BusyLoops::start(3, cpu);
    let output = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args(["sweep", &server.addresses[0].to_string(), "--rates", "20k,40k"])
        .args(["-c", "8", "-d", "500ms", "--warmup", "100ms", "--format", "json"])
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let rates = report["rates"].as_array().expect("it has rates").iter();
    let rates: Vec<_> = rates.map(|probe| probe["rate_per_s"].as_u64()).collect();
    assert_eq!(rates, [Some(20_000), Some(40_000)], "{report:#}");
}

#[test]
fn three_busy_loops_beside_the_generator_are_not_valid() {
    let allowed = cpus::allowed();
    let (first, last) = (allowed[0], allowed[allowed.len() - 1]);
    if !has_tool("taskset") || first == last {
        return;
    }
    let server = Program::start(&["serve", "127.0.0.1:0", "--cpus", &first.to_string()], 1);
    let _busy = BusyLoops::start(3, last);
    let output = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args([&server.addresses[0].to_string(), "--cpus", &last.to_string()])
        .args(["-c", "8", "-d", "1s", "--warmup", "100ms", "-v"])
        .output()
        .expect("it starts");
    let report = String::from_utf8(output.stdout).expect("it is text");
    assert_eq!(output.status.code(), Some(4), "{report}");
    let is_named = |finding: &String| finding.starts_with("why the generator waited ");
    assert!(host::findings(&report).iter().any(is_named), "{report}");
}
