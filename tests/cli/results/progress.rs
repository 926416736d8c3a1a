//! The progress line: one that is rewritten where somebody looks at it, and none elsewhere.

use super::python;
use super::support::measure;
use crate::support::host;

const LOAD: &str = env!("CARGO_BIN_EXE_ringback-load");

#[test]
fn a_terminal_shows_rate_and_p99_while_it_runs() {
    let run = ["-c", "2", "--warmup", "300ms", "-d", "2s"];
    let shown = python::run("on_terminal.py", &[&["xterm", "80", LOAD], run.as_slice()].concat());
    let lines: Vec<&str> = shown.split('\r').collect();
    assert!(lines.iter().any(|line| line.contains("messages/s") && line.contains("warming up")));
    let has_p99 = |line: &&str| {
        let (_, p99) = line.split_once("p99 ").unwrap_or_default();
        line.contains("measuring") && (p99.contains("µs ") || p99.contains("ms "))
    };
    assert!(lines.iter().any(has_p99), "{lines:?}");
    assert_eq!(shown.matches('\n').count(), 1, "it is one line, below what is run");
    assert_eq!(lines.last(), Some(&"\x1b[K"), "it is gone in the end");

    let quiet = ["xterm", "80", LOAD, "--quiet"];
    assert_eq!(python::run("on_terminal.py", &[&quiet, run.as_slice()].concat()), "");
}

#[test]
fn on_one_terminal_the_first_line_of_a_report_stands_once_and_first() {
    let run = ["--both", "dumb", "80", LOAD, "-c", "2", "--warmup", "0s", "-d", "1s", "-i", "1s"];
    let shown = python::run("on_terminal.py", &run).replace("\r\n", "\n");
    assert!(shown.starts_with("ringback-load  embedded server  closed loop, 2 conn"), "{shown}");
    let headlines: Vec<&str> =
        shown.lines().filter(|line| line.starts_with("ringback-load")).collect();
    match shown.contains("\nVALID") {
        // It says so of numbers that may not be used.
        false => assert!(headlines[1].starts_with("ringback-load  INVALID"), "{shown}"),
        true => assert_eq!(headlines.len(), 1, "{shown}"),
    }
    assert!(shown.contains("\n\n  Throughput "), "{shown}");
}

#[test]
fn a_terminal_that_cannot_rewrite_a_line_shows_none_and_a_narrow_one_its_beginning() {
    let run = ["-c", "2", "--warmup", "0s", "-d", "1s"];
    let shown = |kind: &str, columns: &str| {
        python::run("on_terminal.py", &[&[kind, columns, LOAD], run.as_slice()].concat())
    };
    assert!(!shown("dumb", "80").contains("messages/s"));
    assert!(!shown("xterm", "0").contains("messages/s"));
    let narrow = shown("xterm", "20");
    let (head, narrow) = narrow.rsplit_once('\n').unwrap();
    assert!(head.lines().all(|line| line.chars().count() <= 20), "{head:?}");
    let longest = narrow.split("\x1b[K").map(|line| line.trim_start_matches('\r').len()).max();
    assert_eq!(longest, Some(19), "{narrow:?}");
}

#[test]
fn nothing_is_shown_where_nobody_looks() {
    let output = measure(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "what is run: {said}");
    let headline = host::flat(&said);
    let report = host::flat(std::str::from_utf8(&output.stdout).unwrap());
    let report = report.replacen("INVALID ", "", 1);
    assert!(
        headline.starts_with("ringback-load embedded server closed loop, 2 connections × 64 B")
    );
    assert!(report.starts_with(&headline), "{report}");
    assert!(measure(&["-q"]).stderr.is_empty());
}
