//! The limit on open descriptors.

use rustix::process::{Resource, getrlimit, setrlimit};

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
    let mut limit = getrlimit(Resource::Nofile);
    // None is no limit.
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    if let Some(hard) = limit.maximum
        && hard < needed
    {
        return Err(DescriptorLimitError { needed, limit: hard });
    }
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(|_| DescriptorLimitError {
        needed,
        limit: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
    })
}
