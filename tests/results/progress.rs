//! The progress line: one that is rewritten where somebody looks at it, and none elsewhere.

use crate::python;
use crate::support::measure;

const LOAD: &str = env!("CARGO_BIN_EXE_ringback-load");

#[test]
fn a_terminal_shows_rate_and_p99_while_it_runs() {
    let run = ["-c", "2", "--warmup", "300ms", "-d", "2s"];
    let shown = python::run("on_terminal.py", &[&[LOAD], run.as_slice()].concat());
    let lines: Vec<&str> = shown.split('\r').collect();
    assert!(lines.iter().any(|line| line.contains("messages/s") && line.contains("warming up")));
    let has_p99 = |line: &&str| {
        let (_, p99) = line.split_once("p99 ").unwrap_or_default();
        line.contains("measuring") && (p99.contains("µs ") || p99.contains("ms "))
    };
    assert!(lines.iter().any(has_p99), "{lines:?}");
    assert!(!shown.contains('\n'), "it is one line");
    assert_eq!(lines.last(), Some(&"\x1b[K"), "it is gone in the end");

    let quiet = python::run("on_terminal.py", &[&[LOAD, "--quiet"], run.as_slice()].concat());
    assert_eq!(quiet, "");
}

#[test]
fn nothing_is_shown_where_nobody_looks() {
    assert!(measure(&[]).stderr.is_empty());
}
