//! Signals to the load generator: the first ends the run with a report, the second ends the
//! program.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::host;

const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A running load generator whose report is taken at its end.
struct Load {
    child: Child,
    started: Instant,
}

impl Load {
    fn start(arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
            .args(arguments)
            .args(["-d", "1h", "--format", "json", "--no-preflight"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, started: Instant::now() }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn wait_for_thread(&self, name: &str) {
        let tasks = format!("/proc/{}/task", self.child.id());
        let has_it = || {
            std::fs::read_dir(&tasks).unwrap().flatten().any(|task| {
                std::fs::read_to_string(task.path().join("comm")).unwrap_or_default().trim() == name
            })
        };
        while !has_it() {
            assert!(self.started.elapsed() < TEST_TIMEOUT, "thread {name} starts");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn finish(self) -> Output {
        let output = self.child.wait_with_output().unwrap();
        assert!(self.started.elapsed() < TEST_TIMEOUT, "it ended by the signal, not by itself");
        output
    }
}

/// A server that tells how many bytes it has received, and answers if told so.
fn serve(answers: bool) -> (SocketAddr, std::sync::mpsc::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = socket.read(&mut buffer) {
                    let _ = tell.send(length);
                    if answers && socket.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, told)
}

fn wait_for_bytes(told: &std::sync::mpsc::Receiver<usize>, wanted: usize) {
    let mut received = 0;
    while received < wanted {
        received += told.recv_timeout(TEST_TIMEOUT).expect("the load generator sends");
    }
}

#[test]
fn a_signal_ends_the_run_with_a_report_of_what_was_measured() {
    for (signal, load) in
        [(Signal::INT, &[][..]), (Signal::TERM, &["-r", "1k"]), (Signal::HUP, &["-t", "2"])]
    {
        let (address, told) = serve(true);
        let address = address.to_string();
        let arguments = [&[&address, "-c", "2", "--warmup", "0s"], load].concat();
        let running = Load::start(&arguments);
        wait_for_bytes(&told, 64 * 100);
        running.signal(signal);
        let output = running.finish();
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (totals, verdict) = (&report["totals"], &report["verdict"]);
        assert_eq!(verdict["interrupted"], true);
        assert_eq!(verdict["valid"], false);
        assert!(verdict["reasons"][0].as_str().unwrap().contains("of 3600 s were measured"));
        let measured_ns = verdict["measured_ns"].as_u64().unwrap();
        assert!((1..TEST_TIMEOUT.as_nanos() as u64).contains(&measured_ns));
        let total = |name: &str| totals[name].as_u64().unwrap();
        assert_eq!(total("sent"), total("received"));
        assert_eq!(total("intended"), total("sent"));
        assert_eq!(total("lost") + total("unsent"), 0);
        assert!(total("received") >= 100);
        assert!(report["throughput"]["messages_per_s"].as_f64().unwrap() > 1.0);
    }
}

#[test]
fn an_embedded_server_is_measured_until_the_signal() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log").display().to_string();
    let running = Load::start(&["-c", "2", "--warmup", "0s", "--hlog", &log]);
    running.wait_for_thread("load-0");
    thread::sleep(Duration::from_millis(200));
    running.signal(Signal::INT);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"]["interrupted"], true);
    let log = std::fs::read_to_string(log).unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("#[Incomplete: the run was interrupted: "), "{last}");
}

#[test]
fn a_generator_that_stood_still_says_so() {
    let child = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args(["-c", "2", "--warmup", "0s", "-d", "2s", "-v"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let running = Load { child, started: Instant::now() };
    running.wait_for_thread("load-0");
    thread::sleep(Duration::from_millis(200));
    running.signal(Signal::STOP);
    thread::sleep(Duration::from_secs(1));
    running.signal(Signal::CONT);
    let output = running.finish();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    let is_named = |why: &String| why.starts_with("why the generator stood still for ");
    assert!(host::findings(&text).iter().any(is_named), "{text}");
}

#[test]
fn the_text_says_how_long_was_measured() {
    let (address, told) = serve(true);
    let child = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args([&address.to_string(), "-c", "2", "--warmup", "0s", "-d", "1h", "-v"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let running = Load { child, started: Instant::now() };
    wait_for_bytes(&told, 64 * 100);
    running.signal(Signal::INT);
    let text = String::from_utf8(running.finish().stdout).unwrap();
    assert!(text.starts_with("ringback-load  INCOMPLETE  "), "{text}");
    assert!(text.contains("s after 0 ns of warm-up"), "{text}");
    assert!(!text.contains("3600 s after"), "{text}");
    assert!(text.contains("\nINCOMPLETE (exit code 5)\n  why      the run was interrupted: "));
}

#[test]
fn during_the_warm_up_there_is_nothing_to_report() {
    for (command, doing) in [
        (&[][..], "warming up"),
        (&["sweep", "--rates", "500"], "measuring the first rate"),
        (&["find-max", "--assert", "p50<1s"], "measuring the first rate"),
    ] {
        let (address, told) = serve(true);
        let address = address.to_string();
        let arguments = [command, &[&address, "-c", "1", "--warmup", "1h"]].concat();
        let running = Load::start(&arguments);
        wait_for_bytes(&told, 64);
        running.signal(Signal::INT);
        let output = running.finish();
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let line = format!("interrupted while {doing}: nothing was measured");
        assert!(stderr.contains(&line), "{stderr}");
    }
}

#[test]
fn waiting_for_a_start_is_interrupted_too() {
    let (address, told) = serve(true);
    let child = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args([&address.to_string(), "-c", "2", "-o", "/dev/null", "--hlog", "-"])
        // Far away, but not beyond what can be written.
        .args(["--start-at", "9999-12-31T23:59:59Z"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let running = Load { child, started: Instant::now() };
    // It has connected, and begins as soon as all threads are there.
    running.wait_for_thread("load-0");
    running.signal(Signal::INT);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let waits = "connecting now; the warm-up begins at 9999-12-31T23:59:59Z, in ";
    assert!(stderr.contains(waits), "{stderr}");
    let line = "interrupted while waiting for --start-at: nothing was measured";
    assert!(stderr.contains(line), "{stderr}");
    let log = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let [run, why] = lines.as_slice() else { panic!("{log}") };
    assert!(run.starts_with("#[ringback-load run: {"), "{log}");
    assert_eq!(*why, format!("#[Incomplete: {line}]"));
    assert_eq!(told.try_iter().sum::<usize>(), 64, "the message before the load, and no other");
}

#[test]
fn connecting_is_interrupted_too() {
    // Nobody accepts: with a full backlog handshakes stay open.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let running = Load::start(&[&address, "-c", "200"]);
    let full = Instant::now();
    while connections_to(&listener) < 2 && full.elapsed() < TEST_TIMEOUT {
        thread::sleep(Duration::from_millis(5));
    }
    running.signal(Signal::TERM);
    let output = running.finish();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("interrupted while connecting"), "{stderr}");
}

/// Connections that wait to be accepted.
fn connections_to(listener: &TcpListener) -> usize {
    let port = format!(":{:04X} ", listener.local_addr().unwrap().port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().filter(|line| line.contains(&port) && line.contains(" 01 ")).count() / 2
}

#[test]
fn the_message_before_the_load_is_interrupted_too() {
    let (address, told) = serve(false);
    let child = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args([&address.to_string(), "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let running = Load { child, started: Instant::now() };
    wait_for_bytes(&told, 64);
    running.signal(Signal::INT);
    let stderr = String::from_utf8(running.finish().stderr).unwrap();
    assert!(stderr.contains("interrupted while connecting"), "{stderr}");
}

#[test]
fn the_second_signal_ends_the_program_at_once() {
    // Nobody answers, so the first one waits for replies.
    let (address, told) = serve(false);
    let mut running = Load::start(&[&address.to_string(), "-c", "2", "--warmup", "0s"]);
    wait_for_bytes(&told, 2 * 64);
    // Signals that come too close upon each other are one.
    while running.child.try_wait().unwrap().is_none() {
        running.signal(Signal::INT);
        thread::sleep(Duration::from_millis(100));
    }
    let output = running.finish();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn nothing_is_left_of_a_log_however_the_run_ends() {
    for signals in [&[Signal::KILL][..], &[Signal::QUIT], &[Signal::INT, Signal::TERM]] {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log").display().to_string();
        let mut running = Load::start(&["-c", "2", "--warmup", "0s", "--hlog", &log]);
        running.wait_for_thread("load-0");
        let fds = format!("/proc/{}/fd", running.child.id());
        let is_written = || {
            std::fs::read_dir(&fds).unwrap().flatten().any(|fd| {
                std::fs::metadata(fd.path()).is_ok_and(|file| file.is_file() && file.len() > 0)
            })
        };
        while !is_written() {
            assert!(running.started.elapsed() < TEST_TIMEOUT, "the log begins");
            thread::sleep(Duration::from_millis(20));
        }
        for signal in signals {
            if running.child.try_wait().unwrap().is_none() {
                running.signal(*signal);
            }
        }
        running.child.wait().unwrap();
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().flatten().collect();
        let is_result = |entry: &std::fs::DirEntry| entry.file_name() == "log";
        assert!(left.iter().all(is_result), "{signals:?}: {left:?}");
    }
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let (address, told) = serve(true);
    let child = Command::new("sh")
        .args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\""])
        .args([env!("CARGO_BIN_EXE_ringback-load"), &address.to_string()])
        .args(["-c", "2", "--warmup", "0s", "-d", "1h", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Load { child, started: Instant::now() };
    wait_for_bytes(&told, 64 * 100);
    running.signal(Signal::INT);
    running.signal(Signal::HUP);
    // Much more than what is under way when it is interrupted.
    wait_for_bytes(&told, 64 * 1000);
    assert!(running.child.try_wait().unwrap().is_none());
    running.signal(Signal::TERM);
    let output = running.finish();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"]["interrupted"], true);
}
