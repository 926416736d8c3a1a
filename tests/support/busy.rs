//! Processes that take a CPU from others.

use std::process::{Child, Command, Stdio};

/// Processes that do nothing else than run on a CPU, until this is dropped.
pub struct BusyLoops(Vec<Child>);

impl BusyLoops {
    pub fn start(number: usize, cpu: usize) -> Self {
        let start = |_| {
            Command::new("taskset")
                .args(["-c", &cpu.to_string(), "sh", "-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
                .expect("taskset is installed")
        };
        Self((0..number).map(start).collect())
    }
}

impl Drop for BusyLoops {
    fn drop(&mut self) {
        for busy in &mut self.0 {
            let _ = busy.kill();
            let _ = busy.wait();
        }
    }
}
