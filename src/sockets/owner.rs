//! Which processes have a socket.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::Path;

/// Who has a socket, as far as we may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The user that made the socket.
    pub(crate) uid: u32,
    process: Option<Process>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    id: u32,
    /// Name that the process gave itself, at most 15 bytes.
    name: String,
}

impl Owner {
    pub(super) fn of(inode: u64, uid: u32) -> Self {
        let inodes = HashSet::from([inode]);
        let id = numbers_in("/proc".as_ref()).find(|pid| has_one_of(*pid, &inodes));
        let process = id.map(|id| Process {
            id,
            name: fs::read_to_string(format!("/proc/{id}/comm"))
                .unwrap_or_default()
                .trim()
                .to_owned(),
        });
        Self { uid, process }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(Process { id, name }) => write!(f, "{name} (process {id} of user {})", self.uid),
            None => write!(f, "a process of user {}", self.uid),
        }
    }
}

/// Returns whether a process has one of these sockets, as far as we may see its descriptors.
pub(super) fn has_one_of(pid: u32, inodes: &HashSet<u64>) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .filter_map(|target| {
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .any(|inode: u64| inodes.contains(&inode))
}

/// The entries of a directory whose names are numbers.
pub(crate) fn numbers_in(directory: &Path) -> impl Iterator<Item = u32> + use<> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
