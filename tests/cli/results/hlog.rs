//! Logs and percentile tables, read by an independent implementation of HdrHistogram.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::python;
use super::support::{Directory, measure_for, ringback_load};

/// Reads a log with the package of PyPI.
pub(super) fn read(log: &str) -> Value {
    serde_json::from_str(&python::run("read_hlog.py", &[log])).unwrap()
}

/// Asserts that both saw the same; what a report withholds is not compared.
pub(super) fn assert_same(read: &Value, reported: &Value, what: &str) {
    for key in ["count", "min", "max", "p50", "p90", "p99", "p99_9", "p99_99"] {
        if !reported[key].is_null() {
            assert_eq!(read[key], reported[key], "{what}.{key}: {read} {reported}");
        }
    }
    assert!(reported["count"].as_u64().unwrap() > 0);
}

fn run_in(
    directory: &Directory,
    name: &str,
    duration: &str,
    more: &[&str],
) -> (String, String, Value) {
    let (log, table) = (directory.file(&format!("{name}.hlog")), directory.file(name));
    let saved = ["--format", "json", "--hlog", &log, "--hgrm", &table];
    let output = measure_for(duration, &[&saved, more].concat());
    (log, table, serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn an_open_loop_is_read_as_it_was_reported() {
    let directory = Directory::new();
    let (log, table, report) = run_in(&directory, "open", "2500ms", &["-r", "4k"]);
    let read = read(&log);
    let latency = &report["latency_ns"];
    assert_eq!(latency["response"]["count"], 10_000, "{report}");
    for tag in ["response", "service", "send_lag"] {
        assert_same(&read["tags"][tag], &latency[tag], tag);
        assert!(read["tags"][tag]["seconds"].as_array().unwrap().len() >= 3);
    }
    assert_same(&read["tags"]["hiccup"], &report["host"]["hiccup_ns"], "hiccup");
    assert_eq!(read["start"], read["base"]);
    assert!(read["start"].as_f64().unwrap() > 1.6e9);
    assert_same_table(&log, &table, "response");
}

#[test]
fn a_closed_loop_has_service_only() {
    let directory = Directory::new();
    let (log, table, report) = run_in(&directory, "closed", "1200ms", &[]);
    let read = read(&log);
    assert_same(&read["tags"]["service"], &report["latency_ns"]["service"], "service");
    assert_eq!(read["tags"].as_object().unwrap().keys().collect::<Vec<_>>(), ["hiccup", "service"]);
    assert_same_table(&log, &table, "service");
}

/// Asserts that a table says of every percentile what the package knows of the same log.
fn assert_same_table(log: &str, table: &str, tag: &str) {
    let table = fs::read_to_string(table).unwrap();
    let known: Value = serde_json::from_str(&python::run("distribution.py", &[log, tag])).unwrap();
    let known_values: Vec<(u64, u64)> = serde_json::from_value(known["values"].clone()).unwrap();
    let total = known["count"].as_u64().unwrap();
    let rows = rows(&table);
    assert!(rows.len() > 20 && table.contains("Value     Percentile TotalCount 1/(1-Percentile)"));
    for row in &rows {
        let (value, quantile, samples) = ((row[0] * 1e6).round() as u64, row[1], row[2] as u64);
        // The lowest value that so many samples do not exceed, and all the samples up to it.
        let place = known_values.binary_search(&(value, samples));
        let place = place.unwrap_or_else(|_| panic!("{row:?} is not in {known_values:?}"));
        let before = place.checked_sub(1).map_or(0, |before| known_values[before].1);
        let wanted = quantile * total as f64;
        assert!(before as f64 <= wanted + 1e-6 && samples as f64 >= wanted - 1e-6, "{row:?}");
        match row.get(3) {
            None => assert_eq!(quantile, 1.0),
            Some(inverse) => assert!((inverse * (1.0 - quantile) - 1.0).abs() < 0.01, "{row:?}"),
        }
    }
    assert_eq!(rows.last().unwrap().len(), 3, "the last row has no distance from 100 %");
    let footer = |key: &str| {
        let (_, rest) = table.split_once(&format!("{key} ")).unwrap();
        let number = rest.trim_start_matches([' ', '=']).split([',', ']']).next().unwrap();
        number.parse::<f64>().unwrap()
    };
    for (key, name, unit) in [
        ("#[Mean", "mean", 1e6),
        ("StdDeviation", "standard_deviation", 1e6),
        ("#[Max", "max", 1e6),
        ("Total count", "count", 1.0),
        ("#[Buckets", "buckets", 1.0),
        ("SubBuckets", "sub_buckets", 1.0),
    ] {
        let known = known[name].as_f64().unwrap() / unit;
        assert!((footer(key) - known).abs() <= 1e-3 * known, "{key}: {} {known}", footer(key));
    }
}

/// The numbers of a table's rows.
fn rows(table: &str) -> Vec<Vec<f64>> {
    let numbers = |line: &str| line.split_whitespace().map(str::parse).collect::<Result<_, _>>();
    let rows = table.lines().filter_map(|line| numbers(line).ok());
    rows.filter(|row: &Vec<_>| !row.is_empty()).collect()
}

#[test]
fn merged_logs_are_the_sum_of_their_parts() {
    let directory = Directory::new();
    let runs = [
        run_in(&directory, "one", "1s", &["-r", "1k"]),
        run_in(&directory, "two", "1500ms", &["-r", "3k"]),
        run_in(&directory, "three", "300ms", &[]),
    ];
    let logs: Vec<&str> = runs.iter().map(|(log, ..)| log.as_str()).collect();
    let (all, table) = (directory.file("all.hlog"), directory.file("all.hgrm"));
    let saved = ["--format", "json", "--hlog", &all, "--hgrm", &table];
    let output = ringback_load(&[&["merge"], logs.as_slice(), &saved].concat());
    let are_valid = runs.iter().all(|(.., report)| report["verdict"]["valid"] == true);
    assert_eq!(output.status.code(), Some(if are_valid { 0 } else { 4 }), "{output:?}");
    let merged: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&merged["schema"], &merged["logs"]), (&"ringback-merge/1".into(), &3.into()));
    let count = |value: &Value| value["count"].as_u64().unwrap();
    let sum = |tag: &str| -> u64 {
        let of_run = |(.., report): &(_, _, Value)| {
            let latency = &report["latency_ns"][tag];
            if latency.is_null() { 0 } else { count(latency) }
        };
        runs.iter().map(of_run).sum()
    };
    let read = read(&all);
    for tag in ["response", "service", "send_lag"] {
        assert_eq!(count(&merged["latency_ns"][tag]), sum(tag), "{tag}");
        assert_same(&read["tags"][tag], &merged["latency_ns"][tag], tag);
    }
    assert_eq!(sum("response"), 1000 + 4500);
    for key in ["intended", "sent", "received", "bytes_sent", "bytes_received", "connections"] {
        let of_runs = runs.iter().map(|(.., report)| report["totals"][key].as_u64().unwrap());
        assert_eq!(merged["totals"][key].as_u64(), Some(of_runs.sum()), "{key}");
    }
    assert!(merged["throughput"].is_null(), "they were not at the same time");
    assert_same_table(&all, &table, "response");

    // Merged once more it is the same.
    let output = ringback_load(&["merge", &all, "--format", "json"]);
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["latency_ns", "totals"] {
        assert_eq!(again[key], merged[key]);
    }
    assert_eq!(again["verdict"]["outcome"], merged["verdict"]["outcome"]);
    let text = ringback_load(&["merge", &all]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("Latency (response time): from the intended send to the reply"),
        "{text}"
    );
    assert!(text.contains("5,500 response"), "{text}");
}

#[test]
fn an_interrupted_run_is_logged_up_to_its_end() {
    let directory = Directory::new();
    let log = directory.file("log");
    let child = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args(["-c", "2", "-d", "1h", "--warmup", "0s", "--format", "json", "--hlog", &log])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Until then it may be connecting, with nothing to report.
    thread::sleep(Duration::from_millis(1500));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"]["interrupted"], true);
    assert_same(&read(&log)["tags"]["service"], &report["latency_ns"]["service"], "service");
    assert_eq!(directory.files(), ["log"]);
}
