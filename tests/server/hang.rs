//! Workers that do not come back to their loop, and processes that stood still.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::tools::{has_tool, is_root};
use crate::support::{Program, connect, exchange};

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

#[test]
fn a_process_that_stood_still_serves_on() {
    let program = Program::start(&["serve", "127.0.0.1:0", "--hang-timeout", "2s"], 1);
    let address = program.addresses[0];
    program.signal(Signal::STOP);
    thread::sleep(Duration::from_secs(4));
    program.signal(Signal::CONT);
    let started = Instant::now();
    // Longer than it would take to be ended.
    while started.elapsed() < Duration::from_secs(3) {
        assert_eq!(exchange(connect(address), b"message"), b"message");
        thread::sleep(Duration::from_millis(50));
    }
    program.signal(Signal::TERM);
    assert_eq!(program.wait().0.code(), Some(0));
}
