//! Completions and man pages of both programs.

use std::fs;
use std::process::Command;

/// A program, its name, and an option that it alone has.
const PROGRAMS: [(&str, &str, &str); 2] = [
    (env!("CARGO_BIN_EXE_ringback"), "ringback", "drain-timeout"),
    (env!("CARGO_BIN_EXE_ringback-load"), "ringback-load", "no-preflight"),
];

#[test]
fn every_shell_has_completions() {
    for (program, _, option) in PROGRAMS {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let output = Command::new(program).args(["completions", shell]).output();
            let output = output.expect("it starts");
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains(option), "{shell}");
        }
    }
}

#[test]
fn every_command_has_a_page() {
    let directory = tempfile::tempdir().expect("there is room");
    let pages = directory.path().join("new/man1");
    for (program, name, _) in PROGRAMS {
        let output = Command::new(program).arg("man").arg(&pages).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).expect("it is there");
        let listed: Vec<_> = page.lines().filter_map(|line| line.strip_suffix("(1)")).collect();
        assert!(!listed.is_empty(), "{page}");
        for command in listed {
            assert!(pages.join(format!("{}.1", command.replace('\\', ""))).is_file(), "{command}");
        }
    }
    let serve = fs::read_to_string(pages.join("ringback-serve.1")).expect("it is there");
    assert!(serve.contains("drain\\-timeout"), "{serve}");
    assert!(serve.contains("\n.br\nSignals: the first SIGTERM"), "{serve}");
}

#[test]
fn every_option_of_a_page_is_described() {
    let pages = tempfile::tempdir().expect("there is room");
    for (program, ..) in PROGRAMS {
        let output = Command::new(program).arg("man").arg(pages.path()).output();
        assert!(output.expect("it starts").status.success());
    }
    for page in fs::read_dir(pages.path()).expect("it was made") {
        let page = fs::read_to_string(page.expect("it is listed").path()).expect("it is text");
        let lines: Vec<&str> = page.lines().collect();
        for option in lines.windows(3).filter(|lines| lines[0] == ".TP") {
            assert!(!option[2].is_empty(), "{} has no description", option[1]);
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    for (program, ..) in PROGRAMS {
        let output = Command::new(program).args(["man", "/proc/none"]).output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && text.contains("cannot write to /proc/none: "),
            "{text}"
        );
    }
}
