//! Notifications to the service manager over the life of a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stage::{Stage, Stages};
use crate::cli::systemd::Notifier;
use crate::metrics::Snapshot;

/// How often the status is brought up to date at most.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Tells the service manager what becomes of the server.
#[derive(Debug)]
pub(super) struct Notices {
    notifier: Arc<Notifier>,
    /// How long the server may take to stop.
    patience: Duration,
    is_stopping: bool,
    status: Option<(Instant, String)>,
    fed: Option<Instant>,
}

impl Notices {
    pub(super) fn new(notifier: Arc<Notifier>, patience: Duration) -> Self {
        Self { notifier, patience, is_stopping: false, status: None, fed: None }
    }

    /// Sends what is due.
    pub(super) fn send(&mut self, now: Instant, stages: &Stages, snapshots: &[Snapshot]) {
        self.notifier.retry();
        let stage = stages.stage();
        if stage >= Stage::Leaving && !std::mem::replace(&mut self.is_stopping, true) {
            let patience = self.patience.as_micros();
            self.notifier.send_once(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={patience}"));
        }
        self.send_status(now, stage, snapshots);
        let interval = self.notifier.watchdog().map(|timeout| timeout / 2);
        let is_due = |interval| self.fed.is_none_or(|fed| now - fed >= interval);
        if interval.is_some_and(is_due) && stages.resting_worker(now).is_none() {
            self.fed = self.notifier.send("WATCHDOG=1").then_some(now).or(self.fed);
        }
    }

    fn send_status(&mut self, now: Instant, stage: Stage, snapshots: &[Snapshot]) {
        let connections: u64 = snapshots.iter().map(Snapshot::active).sum();
        let status = format!("STATUS={}, {connections} connections", stage.name());
        let is_due = self.status.as_ref().is_none_or(|(time, last)| {
            *last != status && now.saturating_duration_since(*time) >= STATUS_INTERVAL
        });
        if is_due && self.notifier.send(&status) {
            self.status = Some((now, status));
        }
    }
}
