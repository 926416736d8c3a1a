//! How much CPU time a server or the generator has used, by the kernel's own accounting in
//! nanoseconds.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpid};

use super::process_table;
use crate::cpus;
use crate::load::clock::nanos;
use crate::sockets::{Listeners, numbers_in};
use crate::sys;

/// Threads of this process, by kernel thread id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnThreads(pub(crate) Vec<i32>);

impl OwnThreads {
    /// Time since each thread's start; `None` when none can be read.
    pub(crate) fn time(&self) -> Option<CpuTime> {
        let schedstat = |thread: &i32| format!("/proc/self/task/{thread}/schedstat");
        self.0
            .iter()
            .filter_map(|thread| CpuTime::read(schedstat(thread).as_ref()))
            .reduce(CpuTime::add)
    }
}

/// The server's threads, where they are on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerThreads {
    /// Some of this process.
    Embedded(OwnThreads),
    /// All threads, those that ended included, of these processes and of their descendants at the
    /// time of asking: a server may fork for each connection.
    OfTrees(Vec<Pid>),
    /// All threads of all processes of a group at the time of asking; of children that ended, what
    /// their parents were told when they waited for them.
    OfGroup(Pid),
}

impl ServerThreads {
    /// The processes that listen on this address of this host, this one excepted. `None` where
    /// there are none, the address is another host's, or we may not see.
    pub(crate) fn listening_on(address: SocketAddr) -> Option<Self> {
        let processes: Vec<Pid> = Listeners::at(address)
            .processes()
            .into_iter()
            .filter_map(|id| Pid::from_raw(id.try_into().ok()?))
            .collect();
        (!processes.is_empty()).then_some(Self::OfTrees(processes))
    }

    /// Their processes at the time of asking.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        match self {
            Self::Embedded(_) => vec![getpid()],
            Self::OfTrees(roots) => process_table::trees_of(roots),
            Self::OfGroup(leader) => {
                process_table::group_of(*leader).iter().map(|process| process.id).collect()
            }
        }
    }

    /// The directories of all of them in `/proc`, at the time of asking.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        self.directories_of(&self.processes())
    }

    /// As [`directories`](Self::directories), where its [processes](Self::processes) were just listed.
    pub(super) fn directories_of(&self, processes: &[Pid]) -> Vec<PathBuf> {
        let of_process = |process: Pid| {
            let tasks = PathBuf::from(format!("/proc/{}/task", process.as_raw_pid()));
            numbers_in(&tasks).map(move |thread| tasks.join(thread.to_string()))
        };
        match self {
            Self::Embedded(OwnThreads(threads)) => threads
                .iter()
                .map(|thread| PathBuf::from(format!("/proc/self/task/{thread}")))
                .collect(),
            Self::OfTrees(_) | Self::OfGroup(_) => {
                processes.iter().copied().flat_map(of_process).collect()
            }
        }
    }

    /// The process to name to people; `None` where it is this one.
    pub(crate) fn process(&self) -> Option<Pid> {
        match self {
            Self::Embedded(_) => None,
            Self::OfTrees(roots) => roots.first().copied(),
            Self::OfGroup(leader) => Some(*leader),
        }
    }

    /// The CPUs that they use: those that some of them are bound to, if others are bound to none of
    /// their own (a main thread, a log's); else all that they may.
    pub(crate) fn cpus(&self) -> Vec<usize> {
        let masks: Vec<Vec<usize>> =
            self.directories().iter().map(|directory| cpus_of(directory)).collect();
        let widest = masks.iter().map(Vec::len).max().unwrap_or_default();
        let narrower: Vec<usize> =
            masks.iter().filter(|mask| mask.len() < widest).flatten().copied().collect();
        let mut used = if narrower.is_empty() { masks.concat() } else { narrower };
        used.sort_unstable();
        used.dedup();
        used
    }

    /// CPU time used so far, in nanoseconds; `None` when none can be read.
    pub(crate) fn used_ns(&self) -> Option<u64> {
        match self {
            Self::Embedded(threads) => threads.time().map(|time| time.used_ns),
            Self::OfTrees(_) => sum(self.processes().into_iter().map(process_ns)),
            Self::OfGroup(leader) => sum(process_table::group_of(*leader)
                .iter()
                .map(|process| Some(process_ns(process.id)? + nanos(process.ended_children)))),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// On a CPU.
    pub(crate) used_ns: u64,
    /// Able to run, while something else had the CPU.
    pub(crate) waited_ns: u64,
    /// How often they got one.
    pub(crate) runs: u64,
}

impl CpuTime {
    /// The three fields of a `schedstat` file (`proc_pid_schedstat(5)`).
    pub(crate) fn read(schedstat: &Path) -> Option<Self> {
        let text = fs::read_to_string(schedstat).ok()?;
        let mut fields = text.split_whitespace().map(|field| field.parse().ok());
        let mut next = || fields.next()?;
        Some(Self { used_ns: next()?, waited_ns: next()?, runs: next()? })
    }

    fn add(self, other: Self) -> Self {
        Self {
            used_ns: self.used_ns + other.used_ns,
            waited_ns: self.waited_ns + other.waited_ns,
            runs: self.runs + other.runs,
        }
    }

    /// The time since an earlier reading; `None` when a thread that ended took its time with it.
    pub(crate) fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            used_ns: self.used_ns.checked_sub(earlier.used_ns)?,
            waited_ns: self.waited_ns.checked_sub(earlier.waited_ns)?,
            runs: self.runs.checked_sub(earlier.runs)?,
        })
    }
}

/// The CPUs that a thread may use, by its directory in `/proc`; none where it has ended.
pub(crate) fn cpus_of(directory: &Path) -> Vec<usize> {
    let mask = || {
        let thread = directory.file_name()?.to_str()?.parse().ok()?;
        cpus::mask_of(Pid::from_raw(thread)?).ok()
    };
    mask().unwrap_or_default()
}

fn sum(times_ns: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    times_ns.flatten().reduce(|sum, ns| sum + ns)
}

fn process_ns(id: Pid) -> Option<u64> {
    sys::process::cpu_time_ns(id).ok()
}

#[cfg(test)]
mod tests {
    use rustix::process::getpgrp;
    use rustix::thread::gettid;

    use super::*;

    fn this_thread() -> OwnThreads {
        OwnThreads(vec![gettid().as_raw_nonzero().get()])
    }

    /// Works until it shows.
    fn work_until(is_seen: impl Fn() -> bool) {
        let mut sum = 0_u64;
        while !is_seen() {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }

    #[test]
    fn a_threads_cpu_time_grows_as_it_works() {
        let threads = this_thread();
        let before = threads.time().unwrap();
        work_until(|| threads.time().unwrap().since(before).unwrap().used_ns > 0);
        assert_eq!(before.since(threads.time().unwrap()), None);
        assert_eq!(OwnThreads(vec![-1]).time(), None);
    }

    #[test]
    fn a_thread_that_ended_does_not_take_its_time_with_it() {
        let process = ServerThreads::OfTrees(vec![getpid()]);
        let before_ns = process.used_ns().unwrap();
        let used_ns = std::thread::spawn(|| {
            let own = this_thread();
            work_until(|| own.time().unwrap().used_ns > 20_000_000);
            own.time().unwrap().used_ns
        });
        let used_ns = used_ns.join().unwrap();
        assert!(process.used_ns().unwrap() >= before_ns + used_ns);
    }

    #[test]
    fn a_child_that_ended_is_counted_when_it_was_waited_for() {
        let group = ServerThreads::OfGroup(getpgrp());
        let before_ns = group.used_ns().unwrap();
        let counting = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let status = std::process::Command::new("sh").args(["-c", counting]).status().unwrap();
        assert!(status.success());
        // More than the ticks of 10 ms that it is counted in.
        assert!(group.used_ns().unwrap() > before_ns + 20_000_000);
    }
}
