//! The memory of a server, reckoned beforehand.

use std::fmt;

use crate::units::counted;

/// The most memory that a server takes, and how that is reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBound {
    pub(super) workers: usize,
    pub(super) worker: usize,
    pub(super) memory: usize,
    pub(super) connections: usize,
    pub(super) connection: usize,
}

impl MemoryBound {
    /// The program itself: code, its heap, the stacks of its threads.
    const PROGRAM: usize = 16 << 20;
    /// A thread's stack: Rust's default.
    pub(super) const STACK: usize = 2 << 20;
    /// Memory that an allocator takes for what waits, in times of its size: peers can see to it that
    /// what one gives up leaves gaps in which the next does not fit. They were seen to bring about
    /// 1.83 (`pieces_that_leave_gaps` in `tests/server/conformance/memory.rs`, at full size).
    const FRAGMENTATION: usize = 2;

    /// With how many connections the bound would be this many bytes at most; 0 if with none.
    pub(crate) fn connections_within(&self, bytes: usize) -> usize {
        let others = Self { connections: 0, ..*self }.bytes();
        bytes.saturating_sub(others) / self.connection
    }

    /// The bound in bytes.
    pub fn bytes(&self) -> usize {
        self.workers
            .saturating_mul(self.worker)
            .saturating_add(self.memory.saturating_mul(Self::FRAGMENTATION))
            .saturating_add(self.connections.saturating_mul(self.connection))
            .saturating_add(Self::PROGRAM)
    }
}

impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes.div_ceil(1 << 20);
        write!(
            f,
            "memory: at most {} MiB = {} x {} MiB of buffers and rings \
             + {} x {} MiB for what waits (--memory, and as much for gaps between) \
             + {} x {} KiB + {} MiB for the program; \
             on top the kernel takes socket buffers for each connection (up to \
             net.ipv4.tcp_rmem and tcp_wmem, all together tcp_mem), and no thread for any",
            mib(self.bytes()),
            counted(self.workers as u64, "worker"),
            mib(self.worker),
            Self::FRAGMENTATION,
            mib(self.memory),
            counted(self.connections as u64, "connection"),
            self.connection >> 10,
            mib(Self::PROGRAM),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_adds_up() {
        let bound = MemoryBound {
            workers: 2,
            worker: 7 << 20,
            memory: 5 << 20,
            connections: 1000,
            connection: 4 << 10,
        };
        let expected = 2 * (7 << 20) + 2 * (5 << 20) + 1000 * (4 << 10) + MemoryBound::PROGRAM;
        assert_eq!(bound.bytes(), expected);
        assert!(
            bound
                .to_string()
                .starts_with(&format!("memory: at most {} MiB", expected.div_ceil(1 << 20)))
        );
    }

    #[test]
    fn one_of_a_kind_is_not_many() {
        let mib = 1 << 20;
        let bound =
            MemoryBound { workers: 1, worker: mib, memory: mib, connections: 1, connection: mib };
        let text = bound.to_string();
        assert!(text.contains("= 1 worker x 1 MiB") && text.contains("+ 1 connection x"), "{text}");
    }
}
