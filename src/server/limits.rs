//! What the host lets this process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft descriptor limit to the hard one; returns what holds then.
pub(super) fn raise_descriptor_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // A soft limit that cannot be raised is one that holds.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let current = getrlimit(Resource::Nofile).current.or(current);
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How many connections leave room for everything else that needs a descriptor: standard streams,
/// signals and shutdown, what the workers have of their own and their listeners, and surplus
/// connections that are told that there is no room.
pub(super) fn connections_within(descriptors: usize, of_workers: usize) -> usize {
    const STREAMS_AND_SIGNALS: usize = 16;
    let surplus = (descriptors / 8).min(64);
    let reserve = STREAMS_AND_SIGNALS + of_workers + surplus;
    descriptors.saturating_sub(reserve).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_leaves_at_least_one_connection() {
        assert_eq!(connections_within(10, 4), 1);
        assert_eq!(connections_within(1024, 12), 1024 - 16 - 12 - 64);
        assert!(connections_within(usize::MAX, 2) > 1 << 40);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise_descriptor_limit();
        let hard = getrlimit(Resource::Nofile).maximum;
        assert_eq!(limit as u64, hard.unwrap_or(u64::MAX));
    }
}
