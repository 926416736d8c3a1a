//! Logs of other implementations of HdrHistogram: what `merge` says of them is an independent sum.
//!
//! Random intervals are described in files. A script for each implementation writes them as logs,
//! and [`Expected`] adds them up with nothing but integers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::python;
use super::support::{Directory, ringback_load};
use crate::support::tools::{has_file, has_tool};

/// Logs that one start of an interpreter writes.
const LOGS: usize = 16;
/// Values and counts that JavaScript holds exactly.
const MAX_VALUE: u64 = 1 << 45;

/// A tag and the form of its histograms, which cannot be added otherwise.
#[derive(Debug, Clone)]
struct Tag {
    name: String,
    digits: u32,
    lowest: u64,
    highest: u64,
}

/// Those of a log: none, and some names.
fn tags() -> impl Strategy<Value = Vec<Tag>> {
    let form = || (1_u32..=4, prop_oneof![Just(1), 2_u64..5000], MAX_VALUE..=MAX_VALUE << 3);
    let named = proptest::collection::btree_map("[a-z][a-zA-Z0-9._-]{0,9}", form(), 1..4);
    (form(), named).prop_map(|(untagged, named)| {
        let all = [("-".to_owned(), untagged)].into_iter().chain(named);
        all.map(|(name, (digits, lowest, highest))| Tag { name, digits, lowest, highest }).collect()
    })
}

#[derive(Debug, Clone)]
struct Described {
    tag: Tag,
    start_ms: u64,
    end_ms: u64,
    values: Vec<(u64, u64)>,
    /// Of an interval without values the digits do not matter.
    empty_digits: u32,
}

#[derive(Debug, Clone)]
struct Description {
    start_ms: u64,
    intervals: Vec<Described>,
}

fn described(tags: Vec<Tag>) -> impl Strategy<Value = Described> {
    let value = (0_u32..45).prop_flat_map(|bits| 0..=1_u64 << bits);
    let values = proptest::collection::vec((value, 1_u64..2000), 0..12);
    let times = (0_u64..600_000, 0_u64..20_000);
    let tag = proptest::sample::select(tags);
    (tag, times, values, 1_u32..=4).prop_map(|(tag, times, values, empty_digits)| {
        let (start_ms, end_ms) = (times.0, times.0 + times.1);
        Described { tag, start_ms, end_ms, values, empty_digits }
    })
}

fn description(tags: Vec<Tag>) -> impl Strategy<Value = Description> {
    let intervals = proptest::collection::vec(described(tags), 1..8);
    (1_600_000_000_000..1_900_000_000_000_u64, intervals).prop_map(|(start_ms, mut intervals)| {
        intervals.sort_by_key(|interval| interval.start_ms);
        // The log starts with its first interval.
        let first_ms = intervals[0].start_ms;
        for interval in &mut intervals {
            interval.start_ms += start_ms - first_ms;
            interval.end_ms += start_ms - first_ms;
        }
        Description { start_ms, intervals }
    })
}

impl Description {
    fn text(&self) -> String {
        let lines = self.intervals.iter().map(|interval| {
            let Tag { name, digits, lowest, highest } = &interval.tag;
            let values: Vec<String> =
                interval.values.iter().map(|(value, count)| format!("{value}:{count}")).collect();
            let (digits, values) = if values.is_empty() {
                (interval.empty_digits, "-".to_owned())
            } else {
                (*digits, values.join(","))
            };
            let Described { start_ms, end_ms, .. } = interval;
            format!("{name} {start_ms} {end_ms} {digits} {lowest} {highest} {values}\n")
        });
        format!("{}\n{}", self.start_ms, lines.collect::<String>())
    }
}

/// The report that logs must lead to.
struct Expected {
    /// The values of every tag with their counts; those that a histogram cannot tell apart are one.
    tags: BTreeMap<String, (Tag, BTreeMap<u64, u64>)>,
    intervals: usize,
    start_ms: u64,
    end_ms: u64,
}

/// The lowest and the highest value that a histogram takes for this one.
fn equivalent(value: u64, digits: u32, lowest: u64) -> (u64, u64) {
    let unit_bits = lowest.ilog2();
    let steps: u64 = 2 * 10_u64.pow(digits);
    let step_bits = u64::BITS - (steps - 1).leading_zeros();
    let value_bits = u64::BITS - value.leading_zeros();
    let shift = unit_bits.max(value_bits.saturating_sub(step_bits));
    let first = value >> shift << shift;
    (first, first + (1 << shift) - 1)
}

impl Expected {
    fn of(descriptions: &[Description]) -> Self {
        let intervals = || descriptions.iter().flat_map(|one| &one.intervals);
        let mut tags: BTreeMap<String, (Tag, BTreeMap<u64, u64>)> = BTreeMap::new();
        for Described { tag, values, .. } in intervals() {
            let of_tag = || (tag.clone(), BTreeMap::new());
            let (_, sum) = tags.entry(tag.name.clone()).or_insert_with(of_tag);
            for (value, count) in values {
                *sum.entry(equivalent(*value, tag.digits, tag.lowest).0).or_default() += count;
            }
        }
        Self {
            tags,
            intervals: intervals().count(),
            start_ms: intervals().map(|one| one.start_ms).min().unwrap(),
            end_ms: intervals().map(|one| one.end_ms).max().unwrap(),
        }
    }

    fn assert_is(&self, report: &Value, described: &str) {
        let duration_ns = (self.end_ms - self.start_ms) * 1_000_000;
        assert_eq!(report["intervals"], self.intervals, "{described}");
        assert_eq!(report["duration_ns"], duration_ns, "{described}");
        assert_eq!(report["latency_ns"].as_object().unwrap().len(), self.tags.len());
        for (tag, (form, values)) in &self.tags {
            let reported = &report["latency_ns"][if tag == "-" { "untagged" } else { tag }];
            let highest = |value: &u64| equivalent(*value, form.digits, form.lowest).1;
            let count: u64 = values.values().sum();
            assert_eq!(reported["count"], count, "{tag} of {described}");
            let least = values.first_key_value().map(|(value, _)| *value);
            assert_eq!(reported["min"].as_u64(), least, "{tag} of {described}");
            let most = values.last_key_value().map(|(value, _)| highest(value));
            assert_eq!(reported["max"].as_u64(), most, "{tag} of {described}");
            for (name, parts) in
                [("p50", 5000), ("p90", 9000), ("p99", 9900), ("p99_9", 9990), ("p99_99", 9999)]
            {
                let is_known = count * (10_000 - parts) >= 10 * 10_000;
                let rank = (count * parts).div_ceil(10_000);
                let value = is_known.then(|| highest(&at_rank(values, rank)));
                assert_eq!(reported[name].as_u64(), value, "{name} of {tag} of {described}");
            }
        }
    }
}

/// The value of the sample of this rank, counted from 1.
fn at_rank(values: &BTreeMap<u64, u64>, rank: u64) -> u64 {
    let mut before = 0;
    let found = values.iter().find(|(_, count)| {
        before += **count;
        before >= rank
    });
    *found.unwrap().0
}

fn merge(logs: &[&str]) -> Value {
    let output = ringback_load(&[&["merge", "--format", "json"], logs].concat());
    assert_eq!(output.status.code(), Some(0), "{logs:?} {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Describes logs, lets them be written, and compares what `merge` says of each and of all.
fn assert_sums(write: impl FnOnce(&[&str])) {
    let directory = Directory::new();
    let mut runner = TestRunner::default();
    let tags = tags().new_tree(&mut runner).unwrap().current();
    let description = description(tags);
    let descriptions: Vec<Description> =
        (0..LOGS).map(|_| description.new_tree(&mut runner).unwrap().current()).collect();
    let files: Vec<String> = (0..LOGS).map(|log| directory.file(&log.to_string())).collect();
    for (file, description) in files.iter().zip(&descriptions) {
        fs::write(file, description.text()).unwrap();
    }
    write(&files.iter().map(String::as_str).collect::<Vec<_>>());

    let logs: Vec<String> = files.iter().map(|file| format!("{file}.hlog")).collect();
    for (log, description) in logs.iter().zip(&descriptions) {
        let expected = Expected::of(std::slice::from_ref(description));
        expected.assert_is(&merge(&[log]), &description.text());
    }
    let all: Vec<&str> = logs.iter().map(String::as_str).collect();
    let described: String = descriptions.iter().map(Description::text).collect();
    Expected::of(&descriptions).assert_is(&merge(&all), &described);
    // The same again from what merge itself writes.
    let (merged, report) = (directory.file("merged"), directory.file("report"));
    let output = ringback_load(&[&["merge", "--hlog", &merged, "-o", &report], &*all].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(merge(&[&merged])["latency_ns"], merge(&all)["latency_ns"]);
    let output = ringback_load(&["plot", &merged]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

fn must(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

#[test]
fn logs_of_python_are_added_up() {
    assert_sums(|files| drop(python::run("write_hlog.py", files)));
}

#[test]
fn logs_of_javascript_are_added_up() {
    const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/results/javascript");
    const PACKAGES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/javascript");
    if !has_tool("node") || !has_tool("npm") {
        return;
    }
    let modules = Path::new(PACKAGES).join("node_modules");
    if !modules.join("hdr-histogram-js/package.json").exists() {
        fs::create_dir_all(PACKAGES).unwrap();
        fs::copy(format!("{SCRIPTS}/package.json"), format!("{PACKAGES}/package.json")).unwrap();
        must(Command::new("npm").args(["install", "--silent"]).current_dir(PACKAGES));
    }
    let script = format!("{SCRIPTS}/write_hlog.js");
    assert_sums(|files| {
        must(Command::new("node").arg(script).args(files).env("NODE_PATH", modules));
    });
}

#[test]
fn logs_of_java_are_added_up() {
    /// Where Debian's libhdrhistogram-java has it.
    const PACKAGE: &str = "/usr/share/java/hdrhistogram.jar";
    if !has_tool("javac") || !has_file(PACKAGE) {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/results/java/WriteHlog.java");
    assert_sums(|files| {
        must(Command::new("java").args(["-cp", PACKAGE, script]).args(files));
    });
}
