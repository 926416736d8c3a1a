//! The reports for people: how much of them, in which characters, and when.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use crate::support::host::{self, flat};

const SHORT: [&str; 6] = ["-c", "4", "-d", "300ms", "--warmup", "50ms"];

fn ringback_load(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback-load"));
    command.args(arguments).env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
    command
}

fn measure(arguments: &[&str]) -> (Output, String) {
    let output = ringback_load(&[arguments, &SHORT].concat()).output().expect("it starts");
    let text = String::from_utf8(output.stdout.clone()).expect("it is text");
    (output, text)
}

#[test]
fn a_report_is_a_screen_in_two_lines_or_in_full() {
    for load in [&[][..], &["-r", "500", "--assert", "p50<1ns", "--assert", "max<10s"]] {
        let (_, text) = measure(load);
        let too_wide = text.lines().find(|line| line.chars().count() > 80);
        assert_eq!(too_wide, None, "{text}");
        // One reason is shown in any case.
        assert!(text.lines().count() <= 15 || text.matches("\n  why ").count() == 1, "{text}");
        let (_, brief) = measure(&[load, &["-q"]].concat());
        assert_eq!(brief.lines().count(), 2, "{brief}");
        let label = if load.is_empty() { "Throughput  " } else { "Rate        " };
        assert!(brief.starts_with(label) && brief.contains(" msg/s  p50 "), "{brief}");
        assert!(brief.contains("  max ") && brief.contains("\nVerdict     "), "{brief}");
        let (_, full) = measure(&[load, &["-v"]].concat());
        for words in ["\n  p75 ", "\n  p95 ", "\n  p99.99 ", "\n  Host  ", "\n  Totals  ", " │"] {
            assert!(full.contains(words) && !text.contains(words), "{words:?} in {full}");
        }
        assert!(full.lines().all(|line| line.chars().count() <= 80), "{full}");
    }
}

#[test]
fn the_first_line_has_the_word_of_the_verdict_and_the_last_ones_why() {
    // Nobody answers so much over one connection.
    let (output, text) = measure(&["-r", "1G", "--depth", "1"]);
    assert_eq!(output.status.code(), Some(4), "{text}");
    let first = "ringback-load INVALID embedded server open loop 1,000,000,000/s, 4 connections";
    assert!(flat(&text).starts_with(first), "{text}");
    assert!(text.contains("\n  Rate       ~ "), "{text}");
    assert!(text.contains("\nINVALID: do not use these numbers (exit code 4)"), "{text}");
    assert!(host::findings(&text)[0].starts_with("why "), "{text}");
    // What helps stands below its reason, or with those that a screen has no room for.
    let (_, full) = measure(&["-r", "1G", "--depth", "1", "-v"]);
    assert!(full.contains("\n  try      "), "{full}");
}

#[test]
fn percentiles_are_shown_as_asked_for() {
    let (_, text) = measure(&["--percentiles", "25,p99.999", "-r", "1000"]);
    assert!(flat(&text).contains("p99.999 - max "), "{text}");
    assert!(
        text.contains("Latency") && text.contains(" p25 ") && !text.contains(" p50 "),
        "{text}"
    );
    let (_, full) = measure(&["--percentiles", "25", "-v"]);
    assert!(full.contains("\n  p25 ") && full.contains("\n  p50 "), "{full}");
}

#[test]
fn colour_and_characters_suit_whoever_reads() {
    const ESCAPE: char = '\x1b';
    let (_, plain) = measure(&[]);
    assert!(!plain.contains(ESCAPE) && plain.contains('µ'), "no terminal, no colour: {plain}");
    let (_, colored) = measure(&["--color", "always"]);
    assert!(colored.contains(ESCAPE), "{colored}");
    let mut command =
        ringback_load(&[&["-v", "-r", "500", "--assert", "max<1h"], &SHORT[..]].concat());
    let output = command.env("LC_ALL", "C").output().expect("it starts");
    assert!(output.stdout.is_ascii() && output.stderr.is_ascii(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("met max<1h"), "{output:?}");
}

#[test]
fn a_line_an_interval_says_how_it_goes() {
    let long = ["-c", "2", "-d", "2s", "--warmup", "0s", "-i", "1s"];
    let output = ringback_load(&long).output().expect("it starts");
    let said = String::from_utf8(output.stderr).expect("it is text");
    let lines: Vec<&str> = said.lines().skip(1).collect();
    let [first, second] = lines.as_slice() else { panic!("{said}") };
    assert!(first.starts_with("    1 s  ") && second.starts_with("    2 s  "), "{said}");
    assert!(lines.iter().all(|line| line.contains(" msg/s  p50 ")), "{said}");
    let output = ringback_load(&["-i", "500ms"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("write 1s, or 10s"));
}

#[test]
fn rates_appear_on_a_pipe_as_they_are_measured() {
    // The second would take an hour.
    let rates = ["sweep", "--rates", "1,100", "-c", "1", "-d", "200ms", "--warmup", "0s"];
    let mut child = ringback_load(&rates)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut rows = lines.by_ref().map(|line| line.expect("it is text"));
    let row = rows.find(|line| line.starts_with("         1 ")).expect("the first rate");
    assert!(child.try_wait().expect("it is ours").is_none(), "it goes on: {row}");
    let rest: Vec<String> = lines.map(|line| line.expect("it is text")).collect();
    child.wait().expect("it is ours");
    assert!(rest[0].starts_with("       100 "), "{rest:?}");
    let answer = &rest[2];
    assert!(answer.starts_with("No knee") || answer.starts_with("Knee at "), "{rest:?}");
}

#[test]
fn a_file_called_json_is_json() {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("run.json");
    let (_, text) = measure(&["-o", file.to_str().expect("it is UTF-8")]);
    assert_eq!(text, "");
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("it is there")).expect("JSON");
    assert_eq!(json["schema"], "ringback-load/1");
    for percentile in ["p75", "p95"] {
        assert!(json["latency_ns"]["service"][percentile].is_u64(), "{json:#}");
    }
    measure(&["--format", "text", "-o", file.to_str().expect("it is UTF-8")]);
    assert!(std::fs::read_to_string(&file).expect("it is there").starts_with("ringback-load  "));
}
