//! Independent readers: packages of PyPI, in a virtual environment of their own.
//!
//! The environment is made where cargo keeps the files of tests, by the first test that needs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/results/python");
const ENVIRONMENT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/python");

/// Runs one of the scripts beside this file; returns what it prints.
pub(crate) fn run(script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(interpreter());
    let output = command.arg(format!("{SCRIPTS}/{script}")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An interpreter that has the packages.
fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let interpreter = Path::new(ENVIRONMENT).join("bin/python3");
        if !has_packages(&interpreter) {
            make_environment(&interpreter);
        }
        interpreter
    })
}

fn has_packages(interpreter: &Path) -> bool {
    let output = Command::new(interpreter)
        .args(["-c", "import hdrh.log, jsonschema, prometheus_client"])
        .output();
    output.is_ok_and(|output| output.status.success())
}

fn make_environment(interpreter: &Path) {
    // Whatever is left of an attempt that was cut short.
    let _ = fs::remove_dir_all(ENVIRONMENT);
    let requirements = format!("{SCRIPTS}/requirements.txt");
    must(Command::new("python3").args(["-m", "venv", ENVIRONMENT]));
    must(Command::new(interpreter).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        &requirements,
    ]));
    assert!(has_packages(interpreter), "the packages of {requirements} are installed and missing");
}

fn must(command: &mut Command) {
    let failure = match command.output() {
        Ok(Output { status, .. }) if status.success() => return,
        Ok(Output { stdout, stderr, .. }) => {
            [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat()
        }
        Err(error) => error.to_string(),
    };
    panic!(
        "this test reads our files with packages of PyPI, and cannot get them: {command:?} failed: \
         {failure}\nInstall Python (apt-get install python3 python3-venv), and let pip reach PyPI \
         or a mirror (PIP_INDEX_URL) once; {ENVIRONMENT} keeps the packages."
    );
}
