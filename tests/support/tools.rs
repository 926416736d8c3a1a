//! Programs that a test needs and a machine may lack.

use std::process::{Command, Stdio};

/// Returns whether this program is installed. Where it is not, the test is to return: that is said,
/// and fails where everything must be tested (`CI=true`).
pub fn has_tool(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    if !is_there {
        skip_for_want_of(&format!("{name} is not installed"));
    }
    is_there
}

/// Returns whether this file, which a package has, is there; as [`has_tool`].
pub fn has_file(path: &str) -> bool {
    let is_there = std::path::Path::new(path).is_file();
    if !is_there {
        skip_for_want_of(&format!("{path} is not there"));
    }
    is_there
}

/// Returns whether this command, which a tool that is installed may refuse, runs here; as
/// [`has_tool`].
pub fn runs(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let runs = status.is_ok_and(|status| status.success());
    if !runs {
        skip_for_want_of(&format!("{command:?} does not run here"));
    }
    runs
}

/// Returns whether this is root. Where it is not, the test is to return: that is said.
pub fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can do this");
    }
    is_root
}

fn skip_for_want_of(what: &str) {
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{what}");
    eprintln!("skipped: {what}");
}
