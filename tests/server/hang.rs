//! Workers that do not come back to their loop, and processes that stood still.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::busy::BusyLoops;
use crate::support::tools::{has_tool, is_root};
use crate::support::{Program, connect, exchange};

/// A server that a hang ends after two seconds.
const SOON_ENDED: [&str; 4] = ["serve", "127.0.0.1:0", "--hang-timeout", "2s"];
const LONGER_THAN_A_HANG: Duration = Duration::from_secs(5);

/// The kernel's number of a worker's thread.
pub(crate) fn thread_of(program: &Program, worker: &str) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", program.id())).expect("it runs").flatten();
    let is_worker = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim_end() == worker)
    };
    let task = tasks.into_iter().find(is_worker).expect("it has this worker");
    task.file_name().into_string().expect("a number")
}

/// Holds a thread in its next wait for a minute.
pub(crate) fn hold(thread: &str, call: &str) -> Child {
    Command::new("strace")
        .args(["-qq", "-p", thread, "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:delay_enter=60s")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace starts")
}

#[test]
fn a_worker_that_hangs_ends_the_process_and_is_named() {
    if !has_tool("strace") || !is_root() {
        return;
    }
    for (driver, call) in [("uring", "io_uring_enter"), ("epoll", "epoll_wait")] {
        let arguments = ["serve", "127.0.0.1:0", "--workers", "2", "--hang-timeout", "2s"];
        let mut program = Program::start(&[&arguments[..], &["--driver", driver]].concat(), 1);
        let mut strace = hold(&thread_of(&program, "worker-1"), call);
        while !program.next_line().expect("it ends with a line").contains("aborting") {}
        // A process whose thread is held cannot be waited for.
        let _ = strace.kill();
        let _ = strace.wait();
        let (status, text) = program.wait();
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{driver}: {text}");
        let cpus = ringback::cpus::allowed();
        let worker =
            format!("worker 1 on CPU {} did not come back to its loop for 2", cpus[1 % cpus.len()]);
        assert!(text.contains(&worker), "{text}");
    }
}

/// Asserts that a server goes on for longer than it would take to be ended, and ends when it is told.
fn assert_goes_on(program: Program) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        assert_eq!(exchange(connect(program.addresses[0]), b"message"), b"message");
        thread::sleep(Duration::from_millis(50));
    }
    program.signal(Signal::TERM);
    let (status, text) = program.wait();
    assert_eq!(status.code(), Some(0), "{text}");
}

#[test]
fn a_process_that_stood_still_serves_on() {
    let program = Program::start(&SOON_ENDED, 1);
    program.signal(Signal::STOP);
    thread::sleep(LONGER_THAN_A_HANG);
    program.signal(Signal::CONT);
    assert_goes_on(program);
}

#[test]
fn a_process_whose_cgroup_was_frozen_serves_on() {
    let Some(group) = Cgroup::create() else {
        eprintln!("skipped: a cgroup cannot be made");
        return;
    };
    let program = Program::start(&SOON_ENDED, 1);
    group.write("cgroup.procs", &program.id().to_string());
    group.write("cgroup.freeze", "1");
    thread::sleep(LONGER_THAN_A_HANG);
    group.write("cgroup.freeze", "0");
    assert_goes_on(program);
}

#[test]
fn a_worker_whose_cpu_others_have_does_not_hang() {
    if !has_tool("chrt") || !has_tool("taskset") {
        return;
    }
    // Of a CPU that others want it has a thousandth, in parts that are seconds apart.
    let mut command = Command::new("chrt");
    command.args(["--idle", "0", env!("CARGO_BIN_EXE_ringback")]).args(SOON_ENDED);
    let program = Program::spawn(&mut command, 1);
    let busy = BusyLoops::start(6, ringback::cpus::allowed()[0]);
    thread::sleep(LONGER_THAN_A_HANG);
    drop(busy);
    assert_goes_on(program);
}

/// A cgroup of this test's own (`cgroups(7)`), removed with what is in it.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None` where there is no file system of version 2, or it is not ours to change.
    fn create() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mut fields = mounts.lines().map(|line| line.split(' '));
        let mount = fields.find_map(|mut line| {
            let point = line.nth(1)?;
            (line.next() == Some("cgroup2")).then_some(point)
        })?;
        let path = PathBuf::from(mount).join(format!("ringback-test-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("it is ours");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        // Processes that were killed are there until they have ended.
        while fs::remove_dir(&self.0).is_err_and(|error| error.kind() == ErrorKind::ResourceBusy) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
