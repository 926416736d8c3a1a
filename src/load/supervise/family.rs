//! All processes of a server: the one that was started and whatever came of it, wherever it went.
//!
//! A process that leaves the group, starts a session or loses its parent cannot leave the family:
//! the kernel gives orphans to us ([`adopt_orphans`]), and who is our child and was not there
//! before any server was started belongs to one.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
    waitpid,
};

use super::super::process_table::{self, Identity, Process};

/// How long processes may take to end that were killed: only such as wait for a device do not
/// end at once.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the table of processes is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(2);

/// Processes that were ours before any server was started: they are never touched.
pub(super) type Strangers = Arc<HashSet<Identity>>;

/// From now on descendants that lose their parent become our children. Returns those that there
/// are already.
pub(super) fn adopt_orphans() -> io::Result<Strangers> {
    set_child_subreaper(Some(getpid()))?;
    let is_child = |process: &Process| process.parent == Some(getpid());
    let descendants = process_table::closure(&process_table::read(), is_child);
    Ok(Arc::new(descendants.iter().map(Process::identity).collect()))
}

/// All processes of a server. There is only one at a time.
#[derive(Debug, Clone)]
pub(super) struct Family {
    /// The process that was started. It is our child and stays in the table, be it as a zombie,
    /// until the family is no more: so its number, which is the group's, can be no other's.
    pub(super) leader: Pid,
    pub(super) strangers: Strangers,
}

impl Family {
    /// Those that have not ended. Those that ended after the kernel gave them to us are taken off
    /// the table.
    pub(super) fn living(&self) -> Vec<Process> {
        let (ended, living): (Vec<Process>, _) =
            self.members().into_iter().partition(|process| process.is_zombie);
        for orphan in ended {
            if orphan.parent == Some(getpid()) && orphan.id != self.leader {
                // It fails only when it is off the table already.
                let _ = waitpid(Some(orphan.id), WaitOptions::NOHANG);
            }
        }
        living
    }

    /// Sends a signal to the leader's group.
    pub(super) fn signal(&self, signal: Signal) {
        // It fails only when all of them have ended.
        let _ = kill_process_group(self.leader, signal);
    }

    /// Waits until all of them have ended; says whether that was in time.
    pub(super) fn wait_until_gone(&self, deadline: Instant) -> bool {
        loop {
            if self.living().is_empty() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(LOOK);
        }
    }

    /// Kills all of them; says whether they are gone.
    pub(super) fn kill(&self) -> bool {
        let deadline = Instant::now() + KILL_TIMEOUT;
        loop {
            self.signal(Signal::KILL);
            for process in self.living() {
                // It fails only when it has ended just now.
                let _ = kill_process(process.id, Signal::KILL);
            }
            // Who was just being started was in no list: once more until the list is empty.
            if self.wait_until_gone((Instant::now() + 10 * LOOK).min(deadline)) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
        }
    }

    fn members(&self) -> Vec<Process> {
        let own = getpid();
        process_table::closure(&process_table::read(), |process| {
            process.id == self.leader
                || process.group == Some(self.leader)
                || (process.parent == Some(own) && !self.strangers.contains(&process.identity()))
        })
    }
}
