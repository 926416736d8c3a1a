//! When a silent peer is asked whether it is still there.

use std::time::Duration;

use socket2::TcpKeepalive;

/// The longest time that the kernel takes (`MAX_TCP_KEEPIDLE`, `net/tcp.h`).
pub(super) const MAX_KEEPALIVE: Duration = Duration::from_secs(32_767);

/// Probes without an answer after which a peer is taken for gone (`TCP_KEEPCNT`): the first, and four
/// more.
const MAX_PROBES: u32 = 5;

/// Silence in whole seconds, as the kernel counts it (`tcp(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keepalive {
    /// Before the first probe (`TCP_KEEPIDLE`).
    idle_s: u64,
    /// Between probes (`TCP_KEEPINTVL`).
    interval_s: u64,
}

impl Keepalive {
    /// The first probe comes after `time`, rounded up, those after it a quarter of that apart.
    pub(super) fn after(time: Duration) -> Self {
        let idle_s = (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1);
        Self { idle_s, interval_s: (idle_s / 4).max(1) }
    }

    pub(super) fn option(self) -> TcpKeepalive {
        TcpKeepalive::new()
            .with_time(Duration::from_secs(self.idle_s))
            .with_interval(Duration::from_secs(self.interval_s))
            .with_retries(MAX_PROBES)
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn seconds_are_whole_and_never_none() {
        for (time_ms, idle_s, interval_s) in
            [(1, 1, 1), (1_000, 1, 1), (1_001, 2, 1), (7_000, 7, 1), (60_000, 60, 15)]
        {
            let expected = Keepalive { idle_s, interval_s };
            assert_eq!(Keepalive::after(Duration::from_millis(time_ms)), expected, "{time_ms} ms");
        }
    }

    #[test]
    fn the_kernel_takes_the_longest_and_nothing_longer() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor");
        let set = |time| socket.set_tcp_keepalive(&Keepalive::after(time).option());
        set(MAX_KEEPALIVE).expect("it is within the kernel's limit");
        assert_eq!(socket.tcp_keepalive_time().expect("set"), MAX_KEEPALIVE);
        assert_eq!(socket.tcp_keepalive_interval().expect("set"), Duration::from_secs(8_191));
        assert_eq!(socket.tcp_keepalive_retries().expect("set"), 5);
        set(MAX_KEEPALIVE + Duration::from_secs(1)).expect_err("it is beyond the limit");
    }
}
