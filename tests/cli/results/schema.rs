//! Reports are what the published schemas say, judged by an independent validator.

use std::fs;

use serde_json::{Value, json};

use super::python;
use super::support::{Directory, measure, ringback_load};

/// Problems that the schema finds in each of these documents.
fn problems(of: &str, documents: &[&str]) -> Vec<Vec<String>> {
    let directory = Directory::new();
    let schema = directory.file("schema.json");
    let output = ringback_load(&["schema", of, "-o", &schema]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut arguments = vec![schema.clone()];
    for (number, document) in documents.iter().enumerate() {
        let file = directory.file(&format!("{number}.json"));
        fs::write(&file, document).unwrap();
        arguments.push(file);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    serde_json::from_str(&python::run("validate.py", &arguments)).unwrap()
}

pub(super) fn assert_valid(of: &str, documents: &[&str]) {
    for (problems, document) in problems(of, documents).iter().zip(documents) {
        assert!(problems.is_empty(), "{problems:?} in {document}");
    }
}

fn report(more: &[&str]) -> String {
    let output = measure(&[&["--format", "json"], more].concat());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_kind_of_run_is_as_published() {
    let documents = [
        report(&[]),
        report(&["-r", "2k"]),
        report(&["-r", "500", "--arrival", "poisson", "--protocol", "framed", "-s", "64..1KiB"]),
        report(&["--reconnect", "10", "--assert", "throughput>1", "--assert", "p99.99<1m"]),
        // One at a time, and each takes longer than the time between two.
        report(&["-r", "100k", "--depth", "1", "-s", "1MiB", "-c", "1"]),
    ];
    let [.., invalid] = &documents;
    let invalid: Value = serde_json::from_str(invalid).unwrap();
    assert_eq!(invalid["verdict"]["valid"], false, "{invalid}");
    assert_valid("run", &documents.each_ref().map(String::as_str));
}

#[test]
fn a_merge_is_as_published() {
    let directory = Directory::new();
    let log = directory.file("log");
    measure(&["-r", "1k", "--hlog", &log]);
    let output = ringback_load(&["merge", &log, "--format", "json"]);
    assert_valid("merge", &[&String::from_utf8(output.stdout).unwrap()]);
}

#[test]
fn a_comparison_is_as_published() {
    let server = format!("{} serve {{addr}}", env!("CARGO_BIN_EXE_ringback"));
    let output = ringback_load(&[
        "compare", "--a", &server, "--b", &server, "--blocks", "1", "-c", "2", "-d", "100ms",
        "--warmup", "0s", "--quiet", "--format", "json",
    ]);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
    assert_valid("compare", &[&String::from_utf8(output.stdout).unwrap()]);
}

#[test]
fn sweeps_and_searches_are_as_published() {
    let short = ["-c", "2", "-d", "100ms", "--warmup", "0s", "--quiet", "--format", "json"];
    let rates: &[&str] = &["sweep", "--rates", "500,1k"];
    let search: &[&str] = &["find-max", "--start", "500", "--assert", "max<1ns"];
    for (of, arguments) in [("sweep", rates), ("find-max", search)] {
        let output = ringback_load(&[arguments, &short].concat());
        let document = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(document.starts_with('{'), "{output:?}");
        assert_valid(of, &[&document]);
    }
}

#[test]
fn what_is_not_a_report_is_told() {
    let good: Value = serde_json::from_str(&report(&[])).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut altered = good.clone();
        *altered.pointer_mut(pointer).unwrap() = value;
        altered.to_string()
    };
    let altered = [
        with("/schema", json!("another/1")),
        with("/config/loop", json!("half-open")),
        with("/totals/sent", json!(-1)),
        with("/latency_ns/service/p50", json!("fast")),
        with("/verdict/valid", json!(null)),
        with("/target", json!({})),
        with("/host", json!({"unknown": 1})),
        json!([]).to_string(),
    ];
    let altered = altered.each_ref().map(String::as_str);
    for (problems, altered) in problems("run", &altered).iter().zip(altered) {
        assert!(!problems.is_empty(), "{altered}");
    }
}
