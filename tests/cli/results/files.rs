//! Files are whole or as they were; what cannot be written is told, before the run if it can be.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use super::support::{Directory, assert_fails, measure, ringback_load};

/// An address at which nobody listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_run_that_fails_leaves_everything_as_it_was() {
    let directory = Directory::new();
    let old = directory.file("old");
    fs::write(&old, "the last result").unwrap();
    let new = ["a", "b", "c"].map(|name| directory.file(name));
    let [a, b, c] = &new;
    let output = ringback_load(&[&nobody(), "-o", &old, "--hlog", a, "--hgrm", b, "--svg", c]);
    assert_fails(&output, 1, "Connection refused");
    assert_eq!(fs::read_to_string(&old).unwrap(), "the last result");
    assert_eq!(directory.files(), ["old"]);
}

#[test]
fn what_cannot_be_written_is_told_before_the_run() {
    let directory = Directory::new();
    let inside = directory.path().display().to_string();
    let beyond = directory.file("no/such");
    for option in ["-o", "--hlog", "--hgrm", "--svg"] {
        for path in [&inside, &beyond] {
            let output = ringback_load(&[&nobody(), option, path]);
            let long = if option == "-o" { "--output" } else { option };
            assert_fails(&output, 2, &format!("choose another {long}"));
        }
    }
    assert_eq!(directory.files(), Vec::<String>::new());
}

#[test]
fn two_results_do_not_share_a_file() {
    let directory = Directory::new();
    let file = directory.file("file");
    let link = directory.file("link");
    fs::write(&file, "").unwrap();
    symlink(&file, &link).unwrap();
    for other in [file.as_str(), &link, &format!("{}/./file", directory.path().display())] {
        let output = ringback_load(&["--hlog", &file, "--hgrm", other]);
        assert_fails(&output, 2, "name the same file: name two");
    }
    let output = ringback_load(&["--hlog", "-"]);
    assert_fails(&output, 2, "the log and the report would both go to stdout");
    measure(&["--hlog", "/dev/null", "--hgrm", "/dev/null"]);
    for options in [&[][..], &["merge", &link]] {
        let output = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
            .args(options)
            .args(["--hlog", &file])
            .stdout(fs::File::create(&file).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(&format!("stdout is {file}, which --hlog names")), "{stderr}");
    }
}

#[test]
fn a_file_is_replaced_with_its_permissions_and_through_its_links() {
    let directory = Directory::new();
    let (file, link) = (directory.file("file"), directory.file("link"));
    fs::write(&file, "the last result").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file", &link).unwrap();
    let before = fs::metadata(&file).unwrap().ino();
    measure(&["-o", &link]);
    assert!(fs::read_to_string(&file).unwrap().contains("VALID"));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let after = fs::metadata(&file).unwrap();
    assert_eq!(after.permissions().mode() & 0o777, 0o640);
    assert_ne!(after.ino(), before, "it was replaced as a whole");
    assert_eq!(directory.files(), ["file", "link"]);
}

#[test]
fn a_full_device_is_an_error_and_the_report_is_shown() {
    let output = ringback_load(&["-c", "2", "-d", "100ms", "--warmup", "0s", "-o", "/dev/full"]);
    assert_fails(&output, 1, "cannot write the report to /dev/full: No space left on device");
    assert!(String::from_utf8_lossy(&output.stdout).contains("VALID"));
    for option in ["--hlog", "--hgrm", "--svg"] {
        let output =
            ringback_load(&["-c", "2", "-d", "100ms", "--warmup", "0s", option, "/dev/full"]);
        assert_fails(&output, 1, "to /dev/full: No space left on device");
        assert!(String::from_utf8_lossy(&output.stdout).contains("VALID"));
    }
}

#[test]
fn a_series_whose_files_take_nothing_shows_its_report_all_the_same() {
    let short = ["sweep", "--rates", "200", "-c", "2", "-d", "100ms", "--warmup", "0s", "--quiet"];
    for option in ["-o", "--svg"] {
        let output = ringback_load(&[&short[..], &[option, "/dev/full"]].concat());
        assert_fails(&output, 1, "to /dev/full: No space left on device");
        assert!(String::from_utf8_lossy(&output.stdout).contains("VALID"), "{option}");
    }
}

#[test]
fn stdout_may_be_full_or_gone() {
    let load = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringback-load"));
        command.args(["-c", "2", "-d", "500ms", "--warmup", "0s"]);
        command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
    };
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = load(full.into());
    assert_fails(&output, 1, "cannot write the report to stdout: No space left on device");
    // Whoever reads the first lines only has what they wanted.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = load(writer.into());
    assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{output:?}");
}

#[test]
fn a_reader_of_the_log_that_stalls_does_not_hold_the_run() {
    let directory = Directory::new();
    let fifo = directory.file("log");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    // It is open, full, and nobody reads.
    let mut held = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    rustix::io::ioctl_fionbio(&held, true).unwrap();
    while std::io::Write::write(&mut held, &[b'\n'; 4096]).is_ok() {}
    let run = ["-c", "2", "-d", "1500ms", "--warmup", "0s", "--format", "json", "--hlog", &fifo];
    let output = ringback_load(&run);
    assert_fails(&output, 1, &format!("cannot write the log to {fifo}: its reader takes nothing"));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"]["measured_ns"], 1_500_000_000_u64);
    assert_eq!(report["verdict"]["interrupted"], false);
}

#[test]
fn pipes_and_descriptors_are_written_to_as_they_are() {
    let directory = Directory::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" -c 2 -d 200ms --warmup 0s --hlog /dev/fd/3 -o \"$1\" 3>&1"]);
    command.args([env!("CARGO_BIN_EXE_ringback-load"), &directory.file("report")]);
    let mut child = command.stdout(writer).spawn().unwrap();
    drop(command);
    let mut log = String::new();
    reader.read_to_string(&mut log).unwrap();
    child.wait().unwrap();
    assert!(log.contains("\nTag=service,0.000,"), "{log}");

    let redirected = directory.file("redirected");
    let output = Command::new("sh")
        .args(["-c", "\"$0\" -c 2 -d 100ms --warmup 0s -o /dev/stdout >>\"$1\""])
        .args([env!("CARGO_BIN_EXE_ringback-load"), &redirected])
        .output()
        .unwrap();
    assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
    assert!(fs::read_to_string(&redirected).unwrap().contains("VALID"));
    assert_eq!(directory.files(), ["redirected", "report"]);
}
