//! The kernel's table of processes, as `/proc` shows it.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, getpid};

use crate::sockets::numbers_in;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: Pid,
    /// Its own name for itself, at most 15 bytes.
    pub(crate) name: String,
    /// It has ended, and its parent has not asked how.
    pub(crate) is_zombie: bool,
    pub(crate) parent: Option<Pid>,
    pub(crate) group: Option<Pid>,
    /// CPU time of children that ended and were waited for, theirs included; to the clock tick
    /// (10 ms).
    pub(crate) ended_children: Duration,
}

impl Process {
    /// Its number as the name of its directory in `/proc`.
    pub(crate) fn number(&self) -> u32 {
        self.id.as_raw_pid().unsigned_abs()
    }

    /// A line of `/proc/PID/stat` (`proc_pid_stat(5)`).
    fn parse(line: &str) -> Option<Self> {
        /// Places of the fields after the name, which may hold anything.
        mod field {
            pub(super) const STATE: usize = 0;
            pub(super) const PARENT: usize = 1;
            pub(super) const GROUP: usize = 2;
            pub(super) const CHILDREN_USER: usize = 13;
            pub(super) const CHILDREN_SYSTEM: usize = 14;
        }
        let (id_and_name, rest) = line.rsplit_once(')')?;
        let (id, name) = id_and_name.split_once(" (")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        // The kernel writes 0 for none, and -1 of a process that is just ending.
        let pid = |place: usize| {
            let number: i32 = fields.get(place)?.parse().ok()?;
            Some(if number > 0 { Pid::from_raw(number) } else { None })
        };
        let ticks = number(field::CHILDREN_USER)? + number(field::CHILDREN_SYSTEM)?;
        Some(Self {
            id: Pid::from_raw(id.parse().ok()?)?,
            name: name.to_owned(),
            is_zombie: matches!(*fields.get(field::STATE)?, "Z" | "X"),
            parent: pid(field::PARENT)?,
            group: pid(field::GROUP)?,
            ended_children: Duration::from_secs(ticks) / clock_ticks_per_second() as u32,
        })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.number(), self.name)
    }
}

/// All processes that we may see. One that ends meanwhile may be missing.
fn read() -> Vec<Process> {
    numbers_in("/proc".as_ref())
        .filter_map(|id| fs::read_to_string(format!("/proc/{id}/stat")).ok())
        .filter_map(|line| Process::parse(&line))
        .collect()
}

pub(crate) fn group_of(leader: Pid) -> Vec<Process> {
    let mut processes = read();
    processes.retain(|process| process.group == Some(leader));
    processes
}

/// These processes and all their descendants that we may see, ascending. One that we descend from
/// ourselves (a session, an init that listens) stands for itself: its other children are not its
/// workers.
pub(crate) fn trees_of(roots: &[Pid]) -> Vec<Pid> {
    // Those who come and go are seen in the files only; not every kernel has them.
    let processes = if children_in_files(getpid()).is_some() { Vec::new() } else { read() };
    let children_of =
        |parent| children_in_files(parent).unwrap_or_else(|| children_in_table(&processes, parent));
    let mut tree: Vec<Pid> = Vec::new();
    for root in roots {
        let of_root = descendants(*root, children_of);
        if of_root.contains(&getpid()) { tree.push(*root) } else { tree.extend(of_root) }
    }
    tree.sort_unstable_by_key(|process| process.as_raw_pid());
    tree.dedup();
    tree
}

/// A process and its descendants.
fn descendants(root: Pid, children_of: impl Fn(Pid) -> Vec<Pid>) -> Vec<Pid> {
    let mut tree = vec![root];
    let mut place = 0;
    while let Some(&parent) = tree.get(place) {
        let mut children = children_of(parent);
        children.retain(|child| !tree.contains(child));
        tree.extend(children);
        place += 1;
    }
    tree
}

/// Zombies excepted.
fn children_in_table(processes: &[Process], parent: Pid) -> Vec<Pid> {
    let of_parent = |process: &&Process| process.parent == Some(parent) && !process.is_zombie;
    processes.iter().filter(of_parent).map(|process| process.id).collect()
}

/// Zombies excepted; `None` where there are no such files (`proc_tid_children(5)`).
fn children_in_files(parent: Pid) -> Option<Vec<Pid>> {
    let tasks = PathBuf::from(format!("/proc/{}/task", parent.as_raw_pid()));
    let file = |thread: u32| tasks.join(thread.to_string()).join("children");
    let texts: Vec<String> =
        numbers_in(&tasks).filter_map(|thread| fs::read_to_string(file(thread)).ok()).collect();
    let ids = texts.iter().flat_map(|text| text.split_whitespace());
    let is_alive = |id: &&str| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        Process::parse(&stat).is_some_and(|process| !process.is_zombie)
    };
    let children = ids.filter(is_alive).filter_map(|id| Pid::from_raw(id.parse().ok()?));
    (!texts.is_empty()).then(|| children.collect())
}

#[cfg(test)]
mod tests {
    use rustix::process::{getpgrp, getppid};

    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).unwrap()
    }

    #[test]
    fn a_name_may_hold_anything() {
        let line = "42 (a) b (c) Z 7 9 9 0 -1 0 0 0 0 0 1 2 30 40 20 0 1 0 1151 0 0";
        let expected = Process {
            id: pid(42),
            name: "a) b (c".to_owned(),
            is_zombie: true,
            parent: Some(pid(7)),
            group: Some(pid(9)),
            ended_children: Duration::from_secs(70) / clock_ticks_per_second() as u32,
        };
        assert_eq!(Process::parse(line), Some(expected));
        let ending = Process::parse("42 (x) Z 0 -1 -1 0 -1 0 0 0 0 0 1 2 30 40 20 0 1 0").unwrap();
        assert_eq!((ending.parent, ending.group), (None, None));
        assert_eq!(Process::parse("42 (short) S 1"), None);
        assert_eq!(Process::parse(""), None);
    }

    #[test]
    fn a_tree_is_of_children_and_theirs() {
        let process = |id, parent, is_zombie| Process {
            id: pid(id),
            name: "x".to_owned(),
            is_zombie,
            parent: Some(pid(parent)),
            group: None,
            ended_children: Duration::ZERO,
        };
        let processes = [
            process(5, 4, false),
            process(2, 1, false),
            process(4, 2, false),
            process(3, 2, true),
            process(6, 1, false),
        ];
        let of = |root| descendants(pid(root), |parent| children_in_table(&processes, parent));
        assert_eq!(of(2), [pid(2), pid(4), pid(5)]);
        assert_eq!(of(9), [pid(9)]);
    }

    #[test]
    fn a_child_is_in_the_files_until_it_ends() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = Pid::from_child(&child);
        let children = children_in_files(getpid()).unwrap();
        assert!(children.contains(&id), "{children:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children_in_files(getpid()).unwrap().contains(&id));
    }

    #[test]
    fn whoever_started_this_process_stands_for_itself() {
        let parent = getppid().unwrap();
        assert_eq!(trees_of(&[parent]), [parent]);
    }

    #[test]
    fn this_process_is_of_its_group() {
        let own = group_of(getpgrp()).into_iter().find(|process| process.id == getpid());
        assert!(!own.unwrap().is_zombie);
    }
}
