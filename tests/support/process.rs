//! The kernel's account of the server's process.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::{Program, TEST_TIMEOUT, run};

impl Program {
    /// Resident memory in bytes.
    pub fn resident(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most resident memory that there ever was, in bytes.
    pub fn resident_peak(&self) -> usize {
        self.status("VmHWM:")
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("the program runs").count()
    }

    /// Waits until no more descriptors are open than these.
    pub fn wait_for_descriptors(&self, at_most: usize) {
        let started = Instant::now();
        while self.descriptors() > at_most {
            let open = self.descriptors();
            assert!(started.elapsed() < TEST_TIMEOUT, "{open} descriptors are open, not {at_most}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Names of all threads, the kernel's own that work for the process among them.
    pub fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).expect("the program runs");
        // One that ends meanwhile has no name any more.
        let name_of = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
        tasks.flatten().filter_map(name_of).map(|name| name.trim_end().to_owned()).collect()
    }

    /// Processor time of all threads.
    pub fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).expect("the program runs");
        let nanoseconds_of = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok())
        };
        tasks.flatten().filter_map(nanoseconds_of).map(Duration::from_nanos).sum()
    }

    /// The signals that it ignores: the bit of signal 1 is the lowest.
    pub fn ignored_signals(&self) -> u64 {
        u64::from_str_radix(&self.field("SigIgn:"), 16).expect("a mask")
    }

    fn status(&self, field: &str) -> usize {
        self.field(field).parse::<usize>().expect("a number of KiB") << 10
    }

    fn field(&self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the program runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("the kernel says it");
        line.split_whitespace().nth(1).expect("a value follows").to_owned()
    }
}

/// The bound that `serve --check` prints for these arguments, in bytes. A sanitizer takes memory of
/// its own on top: scripts/asan.sh lifts the bound.
pub fn memory_bound(arguments: &[&str]) -> usize {
    if is_unbound() {
        return usize::MAX;
    }
    let text = check(arguments);
    let (_, rest) = text.split_once("memory: at most ").expect("the bound is printed");
    rest.split_once(" MiB").expect("it has its unit").0.parse::<usize>().expect("a number") << 20
}

/// Share of that bound of each connection, in bytes.
pub fn connection_bound(arguments: &[&str]) -> usize {
    if is_unbound() {
        return usize::MAX >> 20;
    }
    let text = check(arguments);
    let (_, rest) = text.split_once(" connections x ").expect("the bound is printed");
    rest.split_once(" KiB").expect("it has its unit").0.parse::<usize>().expect("a number") << 10
}

fn is_unbound() -> bool {
    std::env::var_os("RBTEST_MEMORY_UNBOUND").is_some()
}

fn check(arguments: &[&str]) -> String {
    let (code, text) = run(&[arguments, &["--check"]].concat());
    assert_eq!(code, Some(0), "{text}");
    text
}
