//! All processes of a server: the group of the one that was started.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::load::record::process_table::{self, Process};

/// How long processes may take to end that were killed: only such as wait for a device do not
/// end at once.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the table of processes is read meanwhile.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A process group, by the process that leads it. The leader is our child and stays in the table,
/// be it as a zombie, until its status is taken: so its number can be no other group's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group(pub(super) Pid);

impl Group {
    /// Those of its processes that have not ended.
    pub(super) fn living(self) -> Vec<Process> {
        let mut group = process_table::group_of(self.0);
        group.retain(|process| !process.is_zombie);
        group
    }

    pub(super) fn signal(self, signal: Signal) {
        // It fails only when all of them have ended.
        let _ = kill_process_group(self.0, signal);
    }

    pub(super) fn wait_until_gone(self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while !self.living().is_empty() && Instant::now() < deadline {
            thread::sleep(POLL_INTERVAL);
        }
    }

    pub(super) fn kill(self) {
        self.signal(Signal::KILL);
        self.wait_until_gone(KILL_TIMEOUT);
    }
}
