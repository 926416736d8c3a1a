//! Lines on what workers count: the first of a kind at once, then one in ten seconds.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::metrics::{Counters, Snapshot};

/// How often a kind of event is logged at most.
const INTERVAL: Duration = Duration::from_secs(10);

/// A kind of event, and what to say of a number of them.
struct Kind {
    count: fn(&Counters) -> u64,
    /// True if an operator can do something about it.
    is_warning: bool,
    text: &'static str,
}

const fn warning(text: &'static str, count: fn(&Counters) -> u64) -> Kind {
    Kind { count, is_warning: true, text }
}

const fn note(text: &'static str, count: fn(&Counters) -> u64) -> Kind {
    Kind { count, is_warning: false, text }
}

/// Events that are logged.
const KINDS: [Kind; 9] = [
    warning(
        "connections refused: as many are open as may be; raise --max-connections (or ulimit -n)",
        |counters| counters.refused_in_all,
    ),
    warning("connections refused by --max-connections-per-ip", |counters| {
        counters.refused_of_address
    }),
    warning("pauses of accepting: descriptors or memory ran out; raise ulimit -n", |counters| {
        counters.accept_pauses
    }),
    warning("connections evicted: too much waited for them; raise --memory", |counters| {
        counters.evicted
    }),
    warning("connections failed by the kernel: is the host out of memory?", |counters| {
        counters.failures
    }),
    note("receives waited for a free buffer", |counters| counters.buffer_waits),
    note("connections broke the protocol", |counters| counters.protocol_errors),
    note("connections stalled: their peers took nothing for --stall-timeout", |counters| {
        counters.stall_timeouts
    }),
    note("connections ended: their peers did not answer keepalive probes", |counters| {
        counters.keepalive_timeouts
    }),
];

/// How much of each kind has been logged, and when that was.
#[derive(Debug, Default)]
pub(super) struct Summary {
    logged: [u64; KINDS.len()],
    last: [Option<Instant>; KINDS.len()],
}

impl Summary {
    /// Logs what is due.
    pub(super) fn log(&mut self, now: Instant, snapshots: &[Snapshot]) {
        for (line, is_warning) in self.due(now, snapshots) {
            if is_warning { warn!("{line}") } else { info!("{line}") }
        }
    }

    fn due(&mut self, now: Instant, snapshots: &[Snapshot]) -> Vec<(String, bool)> {
        let mut lines = Vec::new();
        for (index, kind) in KINDS.iter().enumerate() {
            let total: u64 =
                snapshots.iter().map(|snapshot| (kind.count)(&snapshot.counters)).sum();
            let new = total - self.logged[index];
            let may_log =
                self.last[index].is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL);
            if new > 0 && may_log {
                self.logged[index] = total;
                self.last[index] = Some(now);
                lines.push((format!("{new} {}", kind.text), kind.is_warning));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_errors(errors: u64) -> [Snapshot; 2] {
        let mut snapshots = [Snapshot::default(); 2];
        snapshots[1].counters.protocol_errors = errors;
        snapshots
    }

    #[test]
    fn the_first_is_logged_at_once_and_the_others_together_ten_seconds_later() {
        let start = Instant::now();
        let mut summary = Summary::default();
        let mut at = |seconds, errors| {
            let due = summary.due(start + Duration::from_secs(seconds), &with_errors(errors));
            due.into_iter().map(|(line, _)| line).collect::<Vec<_>>()
        };
        assert!(at(0, 0).is_empty());
        assert_eq!(at(1, 1), ["1 connections broke the protocol"]);
        assert!(at(2, 500).is_empty());
        assert!(at(10, 1000).is_empty());
        assert_eq!(at(11, 1001), ["1000 connections broke the protocol"]);
        assert!(at(60, 1001).is_empty(), "nothing is new");
        assert_eq!(at(61, 1002), ["1 connections broke the protocol"]);
    }
}
