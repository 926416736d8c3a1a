//! How long the threads of server and generator waited for a CPU during the measured window, by the
//! kernel's own accounting. The server's counters are read again and again, since they tell sums and
//! not the longest wait.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::attribution::{Contention, Spent, lanes};
use super::cpu::{CpuTime, OwnThreads, ServerThreads, cpus_of};
use super::host::CpuStat;
use super::quotas::{Quotas, UsedUp};
use crate::sockets::numbers_in;

/// Of more threads than this the counters are read only every [`SELDOM`] times: a read costs some
/// 10 µs on a CPU that the run may need. New threads are looked for as seldom, since for a process
/// group that reads a file of every process of the host.
const MAX_READ_OFTEN: usize = 64;
const SELDOM: u32 = 20;
/// A thread that has its CPU to itself waits so long whenever it is woken: 1.3 to 4.8 µs were
/// measured (Linux 6.18 in a virtual machine, 1,000 to 16,000 runs a second). That is its own way
/// to the CPU, a few per cent of the time; whoever waits for others waits hundreds of microseconds.
const OWN_WAIT_NS: u64 = 5_000;

pub(crate) struct Waits<'run> {
    /// None where it is not seen.
    server: Option<&'run ServerThreads>,
    /// Of a server that was running before: its processes when the window began.
    processes: Option<Vec<Pid>>,
    have_processes_changed: bool,
    /// By their directories in `/proc`.
    threads: HashMap<PathBuf, Thread>,
    /// The threads that make the load in their order, and their time when the window began.
    generator: Vec<(PathBuf, CpuTime)>,
    /// Those of this process that neither serve nor make the load.
    beside: Vec<(PathBuf, CpuTime)>,
    quotas: Quotas,
    /// When the window began.
    stat: CpuStat,
    started_ns: u64,
    read_ns: u64,
    looks: u32,
}

/// How long a server's threads waited.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Waited {
    /// Share of the window that the thread waited for others than the server's own threads which
    /// did so most, 0 to 1.
    pub(crate) share: f64,
    /// Share that is left of it without waits for the generator's threads.
    pub(crate) foreign_share: f64,
    /// The longest single wait is at least this.
    pub(crate) longest_ns: u64,
    /// CPUs that the thread which waited most may use.
    pub(crate) cpus: Vec<usize>,
    /// CPUs that those may use who did the server's work; none if there was hardly any.
    pub(crate) used_cpus: Vec<usize>,
    /// The quota that kept them from running, if one did.
    pub(crate) used_up: Option<UsedUp>,
}

/// Processes came or went, and with them their accounts.
#[derive(Debug)]
pub(crate) struct Incomplete;

/// How long both sides waited.
#[derive(Debug)]
pub(crate) struct WaitsOfBoth {
    /// `None` where no counter of the server could be read.
    pub(crate) server: Result<Option<Waited>, Incomplete>,
    /// Share of the window that the generator's thread which did so most waited for foreign
    /// processes, 0 to 1; those of a server that is not seen are among them.
    pub(crate) generator_foreign_share: f64,
    /// How long each of the generator's threads was able to run and did not, in their order.
    pub(crate) generator_waited_ns: Vec<u64>,
    /// Time that the server's threads ran which were seen.
    pub(crate) server_ran_ns: u64,
}

struct Thread {
    /// CPUs that it may use.
    cpus: Vec<usize>,
    first: CpuTime,
    last: CpuTime,
    since_ns: u64,
    longest_ns: u64,
}

impl<'run> Waits<'run> {
    pub(crate) fn start(
        server: Option<&'run ServerThreads>,
        generator: &OwnThreads,
        now_ns: u64,
    ) -> Self {
        let processes = server.map(ServerThreads::processes).unwrap_or_default();
        let mut waits = Self {
            server,
            threads: HashMap::new(),
            generator: Vec::new(),
            beside: Vec::new(),
            quotas: Quotas::start(&processes),
            processes: matches!(server, Some(ServerThreads::OfTrees(_))).then_some(processes),
            have_processes_changed: false,
            stat: CpuStat::read(),
            started_ns: now_ns,
            read_ns: now_ns,
            looks: 0,
        };
        waits.find_threads(now_ns);
        waits.read(now_ns);
        for thread in waits.threads.values_mut() {
            thread.first = thread.last;
            thread.longest_ns = 0;
        }
        waits.generator = generator.0.iter().map(own_thread).map(begun).collect();
        let is_beside =
            |directory: &PathBuf| waits.generator.iter().all(|(other, _)| other != directory);
        waits.beside = waits.other_threads().filter(is_beside).map(begun).collect();
        waits
    }

    /// Looks at the counters, unless that would cost too much.
    pub(crate) fn look(&mut self, now_ns: u64) {
        self.looks += 1;
        let is_thorough = self.looks.is_multiple_of(SELDOM);
        if is_thorough {
            self.find_threads(now_ns);
        } else if self.threads.len() <= MAX_READ_OFTEN {
            self.watch_processes(&self.processes());
        } else {
            return;
        }
        self.read(now_ns);
    }

    /// The window is over.
    pub(crate) fn finish(mut self, now_ns: u64) -> WaitsOfBoth {
        self.find_threads(now_ns);
        self.read(now_ns);
        let threads = self.threads.iter();
        // One that ended took its counters along.
        let server: Option<Vec<Spent>> =
            threads.map(|(directory, thread)| thread.spent(directory, now_ns)).collect();
        let is_read = self.threads.values().any(|thread| thread.last.runs > 0);
        let contention = self.contention(server.unwrap_or_default(), now_ns);
        let waited_ns = |(directory, before): &(PathBuf, CpuTime)| {
            let time = CpuTime::read(&directory.join("schedstat"));
            time.and_then(|time| time.since(*before)).unwrap_or_default().waited_ns
        };
        let used_up = self.quotas.finish(contention.window_ns, lanes(&contention.server));
        WaitsOfBoth {
            server: match self.have_processes_changed {
                true => Err(Incomplete),
                false => Ok(is_read.then(|| contention.waited(used_up))),
            },
            generator_foreign_share: contention.generator_foreign_share(),
            generator_waited_ns: self.generator.iter().map(waited_ns).collect(),
            server_ran_ns: contention.server.iter().map(|thread| thread.ran_ns).sum(),
        }
    }

    fn contention(&self, server: Vec<Spent>, now_ns: u64) -> Contention {
        let [generator, beside]: [Vec<Spent>; 2] = [&self.generator, &self.beside]
            .map(|threads| threads.iter().filter_map(spent_since_start).collect());
        let stat = CpuStat::read();
        let of_window = |cpu: usize, ns: fn(&CpuStat, &[usize]) -> Option<u64>| {
            ns(&stat, &[cpu])?.checked_sub(ns(&self.stat, &[cpu])?)
        };
        let idle_ns = |cpu| of_window(cpu, CpuStat::idle_ns).unwrap_or(0);
        let cpus = server.iter().chain(&generator).chain(&beside).flat_map(|thread| &thread.cpus);
        let idle_ns: HashMap<_, _> = cpus.map(|cpu| (*cpu, idle_ns(*cpu))).collect();
        let interrupts = idle_ns.keys().filter_map(|cpu| {
            let ran_ns = of_window(*cpu, CpuStat::interrupts_ns)?;
            Some(Spent { cpus: vec![*cpu], ran_ns, waited_ns: 0, longest_ns: 0 })
        });
        let beside = interrupts.chain(beside).collect();
        let window_ns = now_ns.saturating_sub(self.started_ns);
        Contention { window_ns, idle_ns, server, generator, beside }
    }

    fn processes(&self) -> Vec<Pid> {
        self.server.map(ServerThreads::processes).unwrap_or_default()
    }

    /// The threads of this process that are not the server's.
    fn other_threads(&self) -> impl Iterator<Item = PathBuf> {
        let all = numbers_in(Path::new("/proc/self/task")).map(own_thread);
        all.filter(|directory| !self.threads.contains_key(directory))
    }

    fn find_threads(&mut self, now_ns: u64) {
        let Some(server) = self.server else { return };
        let processes = server.processes();
        self.watch_processes(&processes);
        for directory in server.directories_of(&processes) {
            self.threads.entry(directory).or_insert_with_key(|directory| Thread {
                cpus: cpus_of(directory),
                first: CpuTime::default(),
                last: CpuTime::default(),
                since_ns: now_ns,
                longest_ns: 0,
            });
        }
    }

    fn watch_processes(&mut self, processes: &[Pid]) {
        let is_other = |before: &Vec<Pid>| before != processes;
        self.have_processes_changed |= self.processes.as_ref().is_some_and(is_other);
    }

    fn read(&mut self, now_ns: u64) {
        let interval_ns = now_ns.saturating_sub(self.read_ns);
        for (directory, thread) in &mut self.threads {
            let Some(time) = CpuTime::read(&directory.join("schedstat")) else { continue };
            let wait_ns = longest_wait_ns(thread.last, time, interval_ns);
            thread.longest_ns = thread.longest_ns.max(wait_ns);
            if time != thread.last {
                thread.last = time;
                thread.since_ns = now_ns;
            }
        }
        self.read_ns = now_ns;
    }
}

/// The directory of a thread of this process.
fn own_thread(id: impl Display) -> PathBuf {
    PathBuf::from(format!("/proc/self/task/{id}"))
}

/// With its time so far; one whose time cannot be read has none later either.
fn begun(directory: PathBuf) -> (PathBuf, CpuTime) {
    let time = CpuTime::read(&directory.join("schedstat")).unwrap_or_default();
    (directory, time)
}

impl Thread {
    fn spent(&self, directory: &Path, now_ns: u64) -> Option<Spent> {
        let pending_ns = self.pending_ns(directory, now_ns);
        let time = self.last.since(self.first)?;
        Some(Spent {
            cpus: self.cpus.clone(),
            ran_ns: time.used_ns,
            waited_ns: waited_beyond_wakeup_ns(time) + pending_ns,
            longest_ns: self.longest_ns.max(pending_ns),
        })
    }

    /// A wait is counted when it ends: what a thread that could run all the time since its counters
    /// last moved is waiting still.
    fn pending_ns(&self, directory: &Path, now_ns: u64) -> u64 {
        let is_runnable = fs::read_to_string(directory.join("stat")).is_ok_and(|stat| {
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'))
        });
        if is_runnable { now_ns.saturating_sub(self.since_ns) } else { 0 }
    }
}

/// A thread's time since the window began; `None` where it ended and took it along.
fn spent_since_start((directory, before): &(PathBuf, CpuTime)) -> Option<Spent> {
    let time = CpuTime::read(&directory.join("schedstat"))?.since(*before)?;
    let (ran_ns, waited_ns) = (time.used_ns, waited_beyond_wakeup_ns(time));
    Some(Spent { cpus: cpus_of(directory), ran_ns, waited_ns, longest_ns: 0 })
}

fn waited_beyond_wakeup_ns(spent: CpuTime) -> u64 {
    spent.waited_ns.saturating_sub(spent.runs * OWN_WAIT_NS)
}

/// A lower bound of the longest wait that ended between two readings: all of them are at most as
/// long together, and all but one lie between the readings.
fn longest_wait_ns(before: CpuTime, after: CpuTime, interval_ns: u64) -> u64 {
    let Some(spent) = after.since(before) else { return 0 };
    match spent.runs {
        0 => 0,
        runs => (spent.waited_ns / runs).max(spent.waited_ns.saturating_sub(interval_ns)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(used_ns: u64, waited_ns: u64, runs: u64) -> CpuTime {
        CpuTime { used_ns, waited_ns, runs }
    }

    #[test]
    fn one_wait_is_known_and_many_are_bounded() {
        let of = |after| longest_wait_ns(time(10, 100, 5), after, 50);
        assert_eq!(of(time(11, 300, 6)), 200);
        assert_eq!(of(time(11, 300, 7)), 150, "at most 50 of the 200 were another's");
        assert_eq!(of(time(11, 120, 15)), 2);
        assert_eq!(of(time(10, 100, 5)), 0);
    }

    #[test]
    fn what_a_thread_takes_to_wake_is_no_wait_for_others() {
        assert_eq!(waited_beyond_wakeup_ns(time(0, 30_000_000, 10_000)), 0);
        assert_eq!(waited_beyond_wakeup_ns(time(0, 30_000_000, 10)), 29_950_000);
    }

    #[test]
    fn threads_that_wait_for_each_other_are_seen() {
        use rustix::thread::{CpuSet, gettid, sched_setaffinity};
        use std::sync::atomic::{AtomicBool, Ordering};

        let is_over = AtomicBool::new(false);
        let cpu = crate::cpus::allowed()[0];
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let (tell, is_over) = (tell.clone(), &is_over);
                scope.spawn(move || {
                    let mut set = CpuSet::new();
                    set.set(cpu);
                    sched_setaffinity(None, &set).unwrap();
                    tell.send(gettid().as_raw_nonzero().get()).unwrap();
                    while !is_over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let threads = (0..3).map(|_| told.recv().unwrap()).collect();
            let server = ServerThreads::Embedded(OwnThreads(threads));
            let clock = crate::load::clock::Clock::starting_now();
            let mut waits = Waits::start(Some(&server), &OwnThreads(vec![]), clock.now_ns());
            for _ in 0..10 {
                std::thread::sleep(std::time::Duration::from_millis(50));
                waits.look(clock.now_ns());
            }
            waits.read(clock.now_ns());
            for (directory, thread) in &waits.threads {
                let spent = thread.spent(directory, clock.now_ns()).unwrap();
                // Each of three has the CPU for a third of the time.
                assert!(spent.waited_ns > spent.ran_ns && spent.ran_ns > 0, "{spent:?}");
                assert!(spent.longest_ns > 0 && spent.cpus == [cpu], "{spent:?}");
            }
            waits.finish(clock.now_ns()).server.unwrap().unwrap();
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
