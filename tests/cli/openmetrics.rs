//! Metrics as a strict reader of the format takes them.

use std::fs;

use crate::results::python;
use crate::support::Program;
use crate::support::http::get;

#[test]
fn a_strict_parser_reads_every_family() {
    let arguments = ["serve", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "2"];
    let program = Program::start(&arguments, 1);
    let (status, text) = get(program.admin(), "/metrics");
    assert_eq!(status, 200);
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("scrape");
    fs::write(&file, &text).expect("there is room");
    let read = python::run("openmetrics.py", &[file.to_str().expect("UTF-8")]);
    let families = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(read.lines().count(), families, "{read}");
    assert!(read.contains("ringback_connections_closed counter 22\n"), "{read}");
    assert!(read.contains("ringback_build info 1\n"), "{read}");
}
