//! Refusals to merge, and their reasons.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::host;

use super::support::{Directory, assert_fails, measure, ringback_load};

/// One sample of 100 ns, with two significant digits.
const COARSE: &str = "HISTEwAAAAMAAAAAAAAAAgAAAAAAAAABAAADRjC4oAA/8AAAAAAAAMcBAg==";

#[test]
fn what_is_no_log_names_file_line_and_cause() {
    let directory = Directory::new();
    let save = |name: &str, bytes: &[u8]| {
        fs::write(directory.file(name), bytes).unwrap();
        directory.file(name)
    };
    let good = directory.file("good.hlog");
    measure(&["--hlog", &good]);
    let bytes = fs::read(&good).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines = text.lines().count();
    let last = text.lines().rfind(|line| line.starts_with("Tag=")).unwrap();
    let (_, histogram) = last.rsplit_once(',').unwrap();
    let damaged = text.replace(histogram, &histogram[..histogram.len() / 8 * 4]);
    let coarse = format!("Tag=service,0.000,1.000,0.000,{COARSE}\n");
    let cases = [
        (directory.file("missing"), "No such file or directory".to_owned()),
        (directory.path().display().to_string(), "Is a directory".to_owned()),
        (save("empty", b""), "there is no interval in it: nothing was logged; leave".to_owned()),
        (save("image", b"\x89PNG\r\n\x1a\n\0\0"), "line 1: it is not a line of an".to_owned()),
        (save("report", b"{\n \"schema\": 1\n}\n"), "it is a JSON document: logs of".to_owned()),
        (save("picture", b"<svg>\n</svg>\n"), "it is a picture: logs of histograms".to_owned()),
        (save("table", b" Value Percentile\n"), "it is a percentile table (.hgrm)".to_owned()),
        (save("cut", &bytes[..bytes.len() - 10]), format!("line {lines}: it is cut off")),
        (save("damaged", damaged.as_bytes()), "its histogram is damaged".to_owned()),
        (
            save("other", coarse.as_bytes()),
            "line 1: its histogram has 2 significant digits".to_owned(),
        ),
    ];
    for (file, words) in cases {
        let into = directory.file("merged");
        let output = ringback_load(&["merge", &good, &file, "--hlog", &into]);
        assert_fails(&output, 1, &format!("cannot read {file}: "));
        assert_fails(&output, 1, &words);
        assert!(output.stdout.is_empty() && !directory.files().contains(&"merged".to_owned()));
    }
}

#[test]
fn what_is_merged_of_an_interrupted_run_is_incomplete() {
    let directory = Directory::new();
    let [whole, cut, into] = ["whole", "cut", "into"].map(|name| directory.file(name));
    let run = measure(&["--hlog", &whole]);
    let merged = ringback_load(&["merge", &whole]);
    assert_eq!(merged.status.code(), run.status.code(), "as valid as the run: {merged:?}");
    let log = fs::read_to_string(&whole).unwrap() + "#[Incomplete: interrupted at 1 s]\n";
    fs::write(&cut, log).unwrap();
    let output = ringback_load(&["merge", "-v", &whole, &cut, "--hlog", &into]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("ringback-load merge  INCOMPLETE"), "{text}");
    let reasons = host::findings(&text);
    assert_eq!(reasons[0], format!("why {cut}: interrupted at 1 s"), "{text}");
    // So is what is merged of that, and the form for programs says so.
    let output = ringback_load(&["merge", &into, "--format", "json"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["incomplete"][0], format!("{into}: {cut}: interrupted at 1 s"));
}

#[test]
fn a_merge_that_makes_no_sense_is_a_usage_error() {
    let directory = Directory::new();
    let log = directory.file("log");
    measure(&["--hlog", &log]);
    let same = directory.path().join("./log").display().to_string();
    assert_fails(&ringback_load(&["merge", &log, &same]), 2, "is named twice");
    let link = directory.file("link");
    fs::hard_link(&log, &link).unwrap();
    let output = ringback_load(&["merge", &log, &link]);
    assert_fails(&output, 2, &format!("{link} is named twice (as {log} too)"));
    let output = ringback_load(&["merge"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = ringback_load(&["-c", "2", "merge"]);
    assert_fails(&output, 2, "merge must come first: write ringback-load merge, then its options");
}

#[test]
fn results_never_take_the_place_of_what_is_merged() {
    let directory = Directory::new();
    let log = directory.file("log");
    measure(&["--hlog", &log]);
    let before = fs::read(&log).unwrap();
    let (link, symbolic) = (directory.file("link"), directory.file("symbolic"));
    fs::hard_link(&log, &link).unwrap();
    symlink("log", &symbolic).unwrap();
    for option in ["--output", "--hlog", "--hgrm"] {
        for file in [&log, &link, &symbolic] {
            let output = ringback_load(&["merge", &log, option, file]);
            assert_fails(&output, 2, &format!("{option} names {file}, which is read as {log}"));
            assert!(fs::read(&log).unwrap() == before, "{option} {file}");
        }
    }
    let stdout = fs::OpenOptions::new().append(true).open(&log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback-load"));
    let output = command.args(["merge", &log]).stdout(stdout).output().unwrap();
    assert_fails(&output, 2, &format!("stdout is {log}, which is read"));
    assert!(fs::read(&log).unwrap() == before);
}

#[test]
fn empty_logs_are_named_and_can_be_left_out() {
    let directory = Directory::new();
    let [good, one, other] = ["good", "one", "other"].map(|name| directory.file(name));
    let run = measure(&["--hlog", &good]);
    fs::write(&one, "").unwrap();
    fs::write(&other, "#[StartTime: 1700000000.000 (seconds since epoch)]\n").unwrap();
    let output = ringback_load(&["merge", &one, &good, &other]);
    assert_fails(&output, 1, &format!("cannot read {one}: there is no interval in it"));
    assert_fails(&output, 1, &format!("nor in {other}"));
    assert_fails(&output, 1, "go on without it by --skip-empty");
    let output = ringback_load(&["merge", &one, &good, &other, "--skip-empty"]);
    assert_eq!(output.status.code(), run.status.code(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    for empty in [&one, &other] {
        assert!(stderr.contains(&format!("warning: {empty} holds no interval: left out")));
    }
    assert_eq!(output.stdout, ringback_load(&["merge", &good]).stdout);
    // Nothing is left then.
    let output = ringback_load(&["merge", &one, &other, "--skip-empty"]);
    assert_fails(&output, 1, "nothing was logged");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("--skip-empty"));
}

#[test]
fn what_is_left_out_of_an_interrupted_run_makes_the_rest_incomplete() {
    let directory = Directory::new();
    let [good, cut] = ["good", "cut"].map(|name| directory.file(name));
    measure(&["--hlog", &good]);
    fs::write(&cut, "#[Incomplete: the run was interrupted: 0 ns were measured]\n").unwrap();
    let output = ringback_load(&["merge", "-v", &good, &cut, "--skip-empty"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let why = format!("why {cut}: the run was interrupted: 0 ns were measured");
    assert_eq!(host::findings(&text)[0], why, "{text}");
}

#[test]
fn a_merged_report_is_shown_although_a_file_takes_nothing() {
    let directory = Directory::new();
    let log = directory.file("log");
    measure(&["--hlog", &log]);
    for option in ["--hlog", "--hgrm"] {
        let output = ringback_load(&["merge", &log, option, "/dev/full"]);
        assert_fails(&output, 1, "to /dev/full: No space left on device");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Samples"), "{option}");
    }
}

#[test]
fn a_tag_that_is_called_untagged_is_not_what_has_none() {
    let directory = Directory::new();
    let log = directory.file("log");
    let line = format!("0.000,1.000,0.000,{COARSE}\n");
    fs::write(&log, format!("{line}Tag=untagged,{line}Tag=Tag=untagged,{line}")).unwrap();
    let output = ringback_load(&["merge", &log, "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&String> = report["latency_ns"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["Tag=Tag=untagged", "Tag=untagged", "untagged"]);
}

#[test]
fn what_a_terminal_obeys_is_shown_as_text() {
    let directory = Directory::new();
    let log = directory.file("log");
    fs::write(&log, format!("Tag=a\x1b]0;b\x07\u{9b}c,0.000,1.000,0.000,{COARSE}\n")).unwrap();
    let unknown = directory.file("\x1b[31munknown");
    fs::write(&unknown, "{\"schema\": \"\x1b[31m\", ").unwrap();
    let merged = directory.file("merged");
    let commands: [(i32, &[&str]); 7] = [
        (0, &["merge", &log]),
        (0, &["merge", &log, "--format", "json"]),
        (0, &["merge", &log, "--hgrm", "-", "-o", "/dev/null"]),
        (0, &["merge", &log, "--hlog", "-", "-o", &merged]),
        (0, &["plot", &log]),
        (1, &["plot", &unknown]),
        (1, &["merge", &unknown]),
    ];
    for (code, command) in commands {
        let Output { status, stdout, stderr } = ringback_load(command);
        assert_eq!(status.code(), Some(code), "{command:?} {stderr:?}");
        let shown = String::from_utf8([stdout, stderr].concat()).unwrap();
        let obeyed: Vec<_> = shown.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(obeyed.is_empty() && !shown.is_empty(), "{command:?} {obeyed:?} {shown:?}");
    }
}

#[test]
fn gaps_are_reported() {
    let directory = Directory::new();
    let log = directory.file("log");
    let second = |start: &str| format!("{start},1.000,0.000,{COARSE}\n");
    let seconds: Vec<String> = ["10", "11", "3611", "3613"].map(second).into();
    fs::write(&log, seconds.concat()).unwrap();
    let output = ringback_load(&["merge", &log, "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gaps = json!([
        {"start": "1970-01-01T00:00:12.000Z", "duration_ns": 3_599_000_000_000_u64, "log": null},
        {"start": "1970-01-01T01:00:12.000Z", "duration_ns": 1_000_000_000, "log": null},
    ]);
    assert_eq!(report["gaps"], gaps);
    let text = String::from_utf8(ringback_load(&["merge", &log]).stdout).unwrap();
    let gaps = "nothing was logged 2 times, for 3600 s; the longest, 3599 s, from 1970-";
    assert!(host::flat(&text).contains(gaps), "{text}");
}
