//! Tools that a test needs beside Rust.

use std::process::{Command, Stdio};

/// Whether this command runs here. Where it does not the test is skipped, and says so; continuous
/// integration has every tool.
pub fn runs(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let runs = status.is_ok_and(|status| status.success());
    if !runs {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{command:?} does not run");
        eprintln!("skipped: {command:?} does not run here");
    }
    runs
}
