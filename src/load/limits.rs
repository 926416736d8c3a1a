//! The limit on open descriptors.

use rlimit::Resource;

/// The process may not open as many descriptors as the run needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the run needs {needed} open files, but the limit is {limit}: use fewer --connections, \
     or raise the hard limit (ulimit -Hn, LimitNOFILE=)"
)]
pub struct DescriptorLimitError {
    /// Descriptors that the run needs.
    pub needed: u64,
    /// The hard limit.
    pub limit: u64,
}

/// Sees to it that this process may have so many descriptors open, by raising the soft limit
/// towards the hard one.
///
/// # Errors
///
/// When the hard limit is lower; nothing changes then.
pub fn allow_descriptors(needed: u64) -> Result<(), DescriptorLimitError> {
    // A limit that the kernel does not tell shows when it is met.
    let Ok((soft, hard)) = Resource::NOFILE.get() else { return Ok(()) };
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(DescriptorLimitError { needed, limit: hard });
    }
    let raised = Resource::NOFILE.set(hard, hard);
    raised.map_err(|_| DescriptorLimitError { needed, limit: soft })
}
