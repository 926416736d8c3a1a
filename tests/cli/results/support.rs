//! The program, and a directory for what it writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub(crate) fn ringback_load(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringback-load")).args(arguments).output().unwrap()
}

/// Measures an embedded server for a moment.
pub(crate) fn measure(more: &[&str]) -> Output {
    measure_for("200ms", more)
}

/// Measures an embedded server.
pub(crate) fn measure_for(duration: &str, more: &[&str]) -> Output {
    let connections: &[&str] = if more.contains(&"-c") { &[] } else { &["-c", "2"] };
    let short = ["--warmup", "50ms", "-d", duration];
    let output = ringback_load(&[connections, &short, more].concat());
    // A busy machine may make it invalid; it is reported all the same.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
    output
}

/// Asserts an exit code and that stderr is one line with these words in it, beside that which says
/// what is run.
pub(crate) fn assert_fails(output: &Output, code: i32, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(words), "{words:?} in {stderr}");
    let is_headline = |line: &&str| line.starts_with("ringback-load  ");
    assert_eq!(stderr.lines().filter(|line| !is_headline(line)).count(), 1, "{stderr}");
}

/// A directory that is removed with everything in it.
pub(crate) struct Directory(TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// Everything in it, hidden files as well.
    pub(crate) fn files(&self) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        let mut files: Vec<String> =
            fs::read_dir(self.path()).unwrap().map(|entry| name(entry.unwrap().path())).collect();
        files.sort();
        files
    }
}
