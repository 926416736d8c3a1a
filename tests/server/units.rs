//! The files of scripts/deploy: what systemd and the program itself think of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::run;
use crate::support::tools::has_tool;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/deploy");

/// The units, with the program that was built in the place of the installed one.
fn units() -> (TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().expect("there is room");
    let copy = |name: &str| {
        let text = fs::read_to_string(Path::new(DEPLOY).join("systemd").join(name));
        let text = text.expect("it is part of the repository");
        let path = directory.path().join(name);
        fs::write(&path, text.replace("/usr/bin/ringback", env!("CARGO_BIN_EXE_ringback")))
            .expect("there is room");
        path
    };
    let paths = ["ringback.service", "ringback.socket"].map(copy).into();
    (directory, paths)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !has_tool("systemd-analyze") {
        return;
    }
    let (_directory, units) = units();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&units)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let said = [output.stdout, output.stderr].concat();
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_service_is_exposed_to_next_to_nothing() {
    if !has_tool("systemd-analyze") {
        return;
    }
    let (_directory, units) = units();
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(&units[0])
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_packaged_configuration_is_right_and_lists_every_setting() {
    let path = format!("{DEPLOY}/ringback.toml");
    let (code, text) = run(&["serve", "--check", "--config", &path]);
    assert_eq!(code, Some(0), "{text}");
    let example = Command::new(env!("CARGO_BIN_EXE_ringback"))
        .arg("example-config")
        .output()
        .expect("it starts");
    let example = String::from_utf8(example.stdout).expect("UTF-8");
    let packaged = fs::read_to_string(&path).expect("it is part of the repository");
    // It differs in what it sets, and in nothing else.
    let differing: Vec<_> = example
        .lines()
        .zip(packaged.lines())
        .filter(|(example, packaged)| example != packaged)
        .map(|(_, packaged)| packaged)
        .collect();
    let own = ["addresses = [\"127.0.0.1:65432\"]", "admin = \"127.0.0.1:9465\""];
    assert_eq!(differing, own, "ringback example-config has changed");
    assert_eq!(example.lines().count(), packaged.lines().count());
}
