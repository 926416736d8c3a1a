//! The kernel's table of processes, as `/proc` shows it.

use std::fmt;
use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::Pid;

use crate::sockets::numbers_in;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: Pid,
    /// Its own name for itself, at most 15 bytes.
    pub(crate) name: String,
    /// It has ended, and its parent has not asked how.
    pub(crate) is_zombie: bool,
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
            pub(super) const GROUP: usize = 2;
            pub(super) const CHILDREN_USER: usize = 13;
            pub(super) const CHILDREN_SYSTEM: usize = 14;
        }
        let (id_and_name, rest) = line.rsplit_once(')')?;
        let (id, name) = id_and_name.split_once(" (")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        let pid = |place: usize| fields.get(place)?.parse().ok().map(Pid::from_raw);
        let ticks = number(field::CHILDREN_USER)? + number(field::CHILDREN_SYSTEM)?;
        Some(Self {
            id: Pid::from_raw(id.parse().ok()?)?,
            name: name.to_owned(),
            is_zombie: matches!(*fields.get(field::STATE)?, "Z" | "X"),
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

#[cfg(test)]
mod tests {
    use rustix::process::{getpgrp, getpid};

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
            group: Some(pid(9)),
            ended_children: Duration::from_secs(70) / clock_ticks_per_second() as u32,
        };
        assert_eq!(Process::parse(line), Some(expected));
        assert_eq!(Process::parse("42 (short) S 1"), None);
        assert_eq!(Process::parse(""), None);
    }

    #[test]
    fn this_process_is_of_its_group() {
        let own = group_of(getpgrp()).into_iter().find(|process| process.id == getpid());
        assert!(!own.unwrap().is_zombie);
    }
}
