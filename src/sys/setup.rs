//! Making a ring: its sizes, the mode that this kernel offers, and why there is none.

use std::io;

use io_uring::IoUring;
use rustix::io::Errno;

use super::refusal::{HostContext, Refusal};

/// Sizes of a worker's ring and of its pool of receive buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSize {
    /// Submissions that can wait for the next system call; a power of two.
    pub submissions: u32,
    /// Completions that the kernel can post before it has to keep them aside; a power of two,
    /// more than the submissions.
    pub completions: u32,
    /// Receive buffers; a power of two, at most 32768.
    pub buffers: u16,
    /// Bytes of each receive buffer.
    pub buffer_size: u32,
}

impl Default for RingSize {
    /// Sizes that measured well: a buffer holds the bulk of a fast peer, and there are enough for
    /// everything that arrives in one turn.
    fn default() -> Self {
        Self { submissions: 1024, completions: 8192, buffers: 256, buffer_size: 64 << 10 }
    }
}

impl RingSize {
    /// A receive takes two entries, which must reach the kernel together.
    const MIN_SUBMISSIONS: u32 = 2;

    /// Returns whether the kernel can make such a ring.
    pub(crate) fn is_possible(&self) -> bool {
        self.buffers.is_power_of_two()
            && self.buffers <= 1 << 15
            && self.buffer_size > 0
            && self.submissions.is_power_of_two()
            && self.submissions >= Self::MIN_SUBMISSIONS
            && self.completions.is_power_of_two()
            && self.submissions < self.completions
    }

    /// Bytes of memory that kernels from 6.14 on count as locked: the queues and the ring of buffer
    /// entries, each in whole pages, as seen with 6.18.
    pub(crate) fn locked_memory(&self) -> usize {
        const PAGE: usize = 4096;
        /// Heads, tails and flags of the queues.
        const HEADER: usize = 64;
        let queues = HEADER + self.completions as usize * 16 + self.submissions as usize * 4;
        let parts = [queues, self.submissions as usize * 64, usize::from(self.buffers) * 16];
        parts.iter().map(|bytes| bytes.next_multiple_of(PAGE)).sum()
    }

    /// Bytes of memory: the buffers and their ring of entries (16 bytes each), submissions of 64
    /// bytes with their index, completions of 16 bytes twice (the kernel's queue and our copy).
    pub fn memory(&self) -> usize {
        usize::from(self.buffers) * (self.buffer_size as usize + 16)
            + self.submissions as usize * 68
            + self.completions as usize * 32
    }
}

/// Why there is no ring, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RingError {
    #[error("io_uring_setup: {errno}: {}", explain(*errno))]
    Setup { errno: Errno },
    #[error("this kernel's io_uring lacks {0}: boot Linux 6.0 or newer")]
    Lacks(&'static str),
    #[error("receive buffers: {errno}: {}", explain(*errno))]
    Buffers { errno: Errno },
    #[error("the ring cannot be restricted: {errno}: {}", explain(*errno))]
    Restrictions { errno: Errno },
}

impl RingError {
    /// The error that the kernel answered, or would have.
    pub(super) fn errno(&self) -> Errno {
        match self {
            Self::Setup { errno } | Self::Buffers { errno } | Self::Restrictions { errno } => {
                *errno
            }
            Self::Lacks(_) => Errno::INVAL,
        }
    }
}

fn explain(errno: Errno) -> Refusal {
    Refusal::explain(errno, &HostContext::detect())
}

/// When the kernel handles completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Inside our own system calls (6.1).
    Deferred,
    /// Whenever our thread enters the kernel.
    Cooperative,
}

/// Tries the cheapest mode first. Both need SINGLE_ISSUER, which came with 6.0 as multishot receive
/// did. The ring is to be [restricted](super::sandbox::restrict), which enables it.
pub(super) fn build(size: RingSize) -> Result<(IoUring, Mode), RingError> {
    let mut builder = IoUring::builder();
    builder.setup_submit_all().setup_single_issuer().setup_cqsize(size.completions);
    // Lets a worker that polls see in memory when there is something to enter the kernel for.
    builder.setup_taskrun_flag();
    builder.setup_r_disabled();
    let mut cooperative = builder.clone();
    cooperative.setup_coop_taskrun();
    builder.setup_defer_taskrun();
    let deferred = builder.build(size.submissions).map(|uring| (uring, Mode::Deferred));
    deferred
        .or_else(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => {
                cooperative.build(size.submissions).map(|uring| (uring, Mode::Cooperative))
            }
            _ => Err(error),
        })
        .map_err(|error| RingError::Setup { errno: errno_of(error) })
}

/// Errors of other than the kernel's making count as an argument it would not take.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
pub(super) fn errno_of(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
}
