//! The life of one connection: open, ending, closed; every transition is in this file.
//!
//! ```text
//! Open ──end()──► Flushing ──fin_sent()──► Lingering ──peer's FIN, delivery──► Closed
//!   └─────────────────┴──────── close(), deadlines ─┴──────────────────────────┘
//! ```

use std::time::{Duration, Instant};

use super::{DrainLimits, Limits, earliest};
use crate::protocol::CloseReason;

/// Treatment of received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnReceive {
    /// Give them to the protocol.
    Deliver,
    /// Drop them.
    Drop,
}

/// Next duty of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send and receive, nothing else.
    Continue,
    /// Everything is sent: shut the sending side down, then call [`Lifecycle::fin_sent`].
    SendFin,
    /// Release everything.
    Close,
}

/// The kernel's account of the sending side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Bytes that the peer has acknowledged since the connection started.
    pub(crate) acknowledged: u64,
    /// Bytes in the kernel's send queue, sent or not, that are not acknowledged. Our FIN counts as
    /// one.
    pub(crate) queued: usize,
    /// The kernel will neither send nor receive anything more.
    pub(crate) is_over: bool,
}

/// Why a connection ended; the first cause counts, but for [`Finished`](Self::Finished).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The peer finished and has all its replies.
    Finished,
    /// It broke the protocol.
    Refused,
    /// There was no room for it.
    Busy,
    /// The peer reset it, or became unreachable.
    Reset,
    /// It did not answer keepalive probes.
    Unanswered,
    /// The kernel failed it for want of memory or another reason of this host's.
    Failed,
    /// Nothing happened for the idle timeout.
    Idle,
    /// The peer took nothing for the stall timeout.
    Stalled,
    /// It was silent while the server drained.
    Quiet,
    /// The server's patience ended: the drain deadline or a second signal.
    Abandoned,
    /// Memory ran out, and no connection kept more bytes for longer.
    Evicted,
}

/// The life of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Lifecycle {
    phase: Phase,
    cause: Option<Cause>,
    has_received: bool,
    peer_finished: bool,
    has_sent_fin: bool,
    /// The peer took nothing until our patience or memory ended.
    is_cut: bool,
    /// Bytes given to the protocol that it has not decided on: part of a frame.
    undecided: usize,
    /// Bytes to be sent and not yet known to be sent.
    unsent: usize,
    /// Control bytes at the end of what was to be sent: nobody sent us these.
    control_tail: usize,
    /// Bytes that arrived after the protocol had ended.
    late: usize,
    /// The high-water mark was reached and the low-water mark not since.
    throttled: bool,
    last_activity: Instant,
    progress: Progress,
    drain: Option<Box<Drain>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No more is answered; what was answered is being sent.
    Flushing {
        until: Option<Instant>,
        farewell: Farewell,
    },
    /// Our FIN is sent; input is dropped until the peer's.
    Lingering {
        since: Instant,
        farewell: Farewell,
    },
    Closed,
}

/// How to wait for the peer's FIN after ours. Closing before it with unread input would reset the
/// connection and destroy what the peer's side has not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Farewell {
    linger: Linger,
    /// Bytes of input that are dropped; what comes beyond is not read.
    allowance: usize,
}

/// For how long input is dropped, and what follows if the peer has not finished by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linger {
    /// Since our FIN. Then nothing more is read, so the window closes, until the peer has
    /// acknowledged everything.
    For(Duration),
    /// Then the connection is closed.
    Until(Instant),
}

/// Progress of the peer in taking what is sent.
///
/// Only the kernel knows whether the peer acknowledges anything, so it is asked several times
/// within the stall timeout, and before a peer counts as idle or silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    last: Instant,
    last_probe: Instant,
    acknowledged: Option<u64>,
    delivery: Delivery,
    probe_is_due: bool,
    /// The connection ends as idle or silent unless the probe finds progress.
    decides_the_end: bool,
}

/// State of the acknowledgement of everything that was sent. Until it is complete a connection is
/// not closed unless it has stalled: what the kernel keeps for a socket without an owner no limit
/// of ours bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// The kernel is to be asked.
    Unknown,
    Pending,
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drain {
    quiet: Duration,
    deadline: Instant,
    flush: Duration,
}

/// Probes within a stall timeout: a stalled peer is ended at most a quarter of it late.
const PROBES: u32 = 4;

/// How soon a connection is asked whether its peer has everything; then each time after a quarter of
/// the wait so far, so that one that takes long costs little.
const MIN_DELIVERY_PROBE_INTERVAL: Duration = Duration::from_millis(10);

impl Lifecycle {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Open,
            cause: None,
            has_received: false,
            peer_finished: false,
            has_sent_fin: false,
            is_cut: false,
            undecided: 0,
            unsent: 0,
            control_tail: 0,
            late: 0,
            throttled: false,
            last_activity: now,
            progress: Progress {
                last: now,
                last_probe: now,
                acknowledged: None,
                delivery: Delivery::Complete,
                probe_is_due: false,
                decides_the_end: false,
            },
            drain: None,
        }
    }

    /// Returns whether to have a receive outstanding.
    pub(crate) fn wants_input(&self) -> bool {
        let phase_wants = match self.phase {
            Phase::Open => !self.throttled,
            Phase::Flushing { farewell, .. } | Phase::Lingering { farewell, .. } => {
                farewell.allowance > 0
            }
            Phase::Closed => false,
        };
        phase_wants && !self.peer_finished
    }

    /// Returns whether the protocol is still to be asked.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Returns whether the high-water mark was reached and the low-water mark not since.
    pub(crate) fn is_throttled(&self) -> bool {
        self.throttled
    }

    /// Returns whether a byte that the kernel has not delivered counts as lost: a server that shuts
    /// down will not be there to see it delivered.
    pub(crate) fn answers_for_delivery(&self) -> bool {
        self.drain.is_some()
            && !matches!(
                self.cause,
                Some(Cause::Reset | Cause::Unanswered | Cause::Refused | Cause::Busy)
            )
    }

    /// Returns whether the peer is to be reset, so that what it does not take costs the kernel
    /// nothing.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns whether the peer sent anything.
    pub(crate) fn has_received(&self) -> bool {
        self.has_received
    }

    /// Returns whether our FIN went out.
    pub(crate) fn has_sent_fin(&self) -> bool {
        self.has_sent_fin
    }

    /// Why the connection ended, once it does.
    pub(crate) fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// So many of the last bytes that were sent, our FIN among them, are not acknowledged: how many
    /// of these the peer had sent.
    pub(crate) fn echo_among(&self, unacknowledged: usize) -> usize {
        unacknowledged.saturating_sub(usize::from(self.has_sent_fin) + self.control_tail)
    }

    /// Bytes that were to be sent and have not been.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Bytes of a frame that never was complete.
    pub(crate) fn undecided(&self) -> usize {
        self.undecided
    }

    /// Bytes that came too late to be answered.
    pub(crate) fn late(&self) -> usize {
        self.late
    }

    /// Returns what to do next besides sending and receiving.
    pub(crate) fn action(&self) -> Action {
        match self.phase {
            Phase::Open => Action::Continue,
            Phase::Flushing { .. } if self.unsent > 0 => Action::Continue,
            Phase::Flushing { .. } if self.peer_finished && !self.answers_for_delivery() => {
                match self.progress.delivery {
                    Delivery::Unknown => Action::Continue,
                    Delivery::Pending => Action::SendFin,
                    // Closing sends FIN as well.
                    Delivery::Complete => Action::Close,
                }
            }
            Phase::Flushing { .. } => Action::SendFin,
            Phase::Lingering { .. } if self.awaits_delivery() => Action::Continue,
            Phase::Lingering { .. } if self.wants_input() => Action::Continue,
            Phase::Lingering { .. } | Phase::Closed => Action::Close,
        }
    }

    /// Returns whether the kernel is to be asked what the peer acknowledged; the answer goes to
    /// [`probed`](Self::probed).
    pub(crate) fn take_probe(&mut self) -> bool {
        let is_last = matches!(self.phase, Phase::Flushing { .. } | Phase::Lingering { .. })
            && self.unsent == 0
            && self.peer_finished;
        let decides = is_last && self.progress.delivery == Delivery::Unknown;
        std::mem::take(&mut self.progress.probe_is_due) || decides
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let of_phase = match self.phase {
            Phase::Open => earliest(self.idle_deadline(limits), self.drain_deadline()),
            _ => earliest(self.ending_deadline(), self.linger_deadline()),
        };
        earliest(of_phase, self.probe_deadline(limits))
    }

    /// Bytes arrived.
    pub(crate) fn received(&mut self, now: Instant, length: usize) -> OnReceive {
        self.last_activity = now;
        self.has_received = true;
        match &mut self.phase {
            Phase::Open => {
                self.undecided += length;
                return OnReceive::Deliver;
            }
            Phase::Flushing { farewell, .. } | Phase::Lingering { farewell, .. } => {
                farewell.allowance = farewell.allowance.saturating_sub(length);
            }
            Phase::Closed => {}
        }
        self.late += length;
        OnReceive::Drop
    }

    /// We do not read: what the peer sent meanwhile nobody has seen, so it counts as active.
    pub(crate) fn not_read(&mut self, now: Instant) {
        self.last_activity = now;
    }

    /// The peer's FIN arrived.
    pub(crate) fn peer_finished(&mut self) {
        self.peer_finished = true;
        if matches!(self.phase, Phase::Lingering { .. }) {
            self.progress.delivery = Delivery::Unknown;
        }
    }

    /// The protocol decided on received bytes.
    pub(crate) fn decided(&mut self, length: usize) {
        self.undecided -= length;
    }

    /// The protocol asked for bytes of its own to be sent.
    pub(crate) fn queued_control(&mut self, now: Instant, length: usize) {
        let control_tail = self.control_tail + length;
        self.queued(now, length);
        self.control_tail = control_tail;
    }

    /// The protocol asked for received bytes to be sent back.
    pub(crate) fn queued(&mut self, now: Instant, length: usize) {
        self.control_tail = 0;
        self.await_sending(now, length);
    }

    /// So many of the bytes that were reported as sent are not.
    pub(crate) fn not_sent(&mut self, now: Instant, length: usize) {
        if length > 0 {
            self.await_sending(now, length);
        }
    }

    fn await_sending(&mut self, now: Instant, length: usize) {
        if self.unsent == 0 {
            self.progress.last = now;
        }
        self.progress.delivery = Delivery::Unknown;
        self.unsent += length;
    }

    /// Bytes were sent.
    pub(crate) fn sent(&mut self, now: Instant, length: usize) {
        if length > 0 {
            self.last_activity = now;
            self.progress.last = now;
        }
        self.unsent -= length;
    }

    /// Throttles by what waits to be sent, which costs this many bytes now.
    pub(crate) fn throttle(&mut self, backlog: usize, limits: &Limits) {
        let mark = if self.throttled { limits.low_water + 1 } else { limits.high_water };
        self.throttled = backlog >= mark;
    }

    /// The kernel answered a probe.
    pub(crate) fn probed(&mut self, now: Instant, probe: Probe, limits: &Limits) {
        let fin = usize::from(self.has_sent_fin);
        if probe.is_over && probe.queued > fin {
            // Nothing is outstanding that would report it, and what came before may have another
            // end.
            self.cause = Some(Cause::Reset);
            self.phase = Phase::Closed;
            return;
        }
        let is_delivered = probe.queued <= fin && self.unsent == 0;
        self.progress.delivery = if is_delivered { Delivery::Complete } else { Delivery::Pending };
        match self.progress.acknowledged.replace(probe.acknowledged) {
            Some(before) if before == probe.acknowledged => {}
            None if probe.queued <= fin => {}
            // Without an earlier answer nobody knows whether the peer takes anything.
            _ => {
                self.progress.last = now;
                self.last_activity = now;
            }
        }
        let is_pending = self.unsent > 0 || self.awaits_delivery();
        if is_pending && now >= self.progress.last + limits.stall_timeout {
            self.close(Cause::Stalled);
        } else if std::mem::take(&mut self.progress.decides_the_end) {
            self.end_if_due(now, limits);
        }
    }

    /// The protocol closed the connection.
    pub(crate) fn end(&mut self, reason: CloseReason, limits: &Limits) {
        let cause = match reason {
            CloseReason::Finished => Cause::Finished,
            CloseReason::Refused => Cause::Refused,
            CloseReason::Busy => Cause::Busy,
        };
        self.flush(cause, None, Farewell::to_a_refused_peer(limits));
    }

    /// Our FIN went out.
    pub(crate) fn fin_sent(&mut self, now: Instant) {
        if let Phase::Flushing { farewell, .. } = self.phase {
            self.phase = Phase::Lingering { since: now, farewell };
            self.has_sent_fin = true;
            self.progress.delivery = Delivery::Pending;
            self.progress.last = now;
        }
    }

    /// The connection is closed without ceremony.
    pub(crate) fn close(&mut self, cause: Cause) {
        // A peer that has finished may still not take, or not wait for, what is left.
        if matches!(self.cause, None | Some(Cause::Finished)) {
            self.cause = Some(cause);
        }
        self.is_cut |= matches!(cause, Cause::Stalled | Cause::Evicted);
        self.phase = Phase::Closed;
    }

    /// There was no room for the connection; the protocol is about to say so.
    pub(crate) fn refuse(&mut self, cause: Cause) {
        self.cause.get_or_insert(cause);
    }

    /// The server shuts down, since `started`.
    pub(crate) fn drain(&mut self, now: Instant, started: Instant, limits: &DrainLimits) {
        let deadline = started + limits.timeout;
        self.drain = Some(Box::new(Drain { quiet: limits.quiet, deadline, flush: limits.flush }));
        self.last_activity = now;
    }

    /// Acts on the deadlines that have passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant, limits: &Limits) {
        if has_passed(now, self.probe_deadline(limits)) {
            self.progress.last_probe = now;
            self.progress.probe_is_due = true;
        }
        if has_passed(now, self.ending_deadline()) {
            self.close(Cause::Abandoned);
        } else if has_passed(now, self.linger_deadline()) {
            self.end_of_linger();
        } else if has_passed(now, self.idle_deadline(limits))
            || has_passed(now, self.drain_deadline())
        {
            // Peers that take what the kernel still has for them are neither idle nor silent.
            self.progress.last_probe = now;
            self.progress.probe_is_due = true;
            self.progress.decides_the_end = true;
        }
    }

    fn end_if_due(&mut self, now: Instant, limits: &Limits) {
        if has_passed(now, self.idle_deadline(limits)) {
            self.flush(Cause::Idle, None, Farewell::to_a_refused_peer(limits));
        } else if has_passed(now, self.drain_deadline()) {
            self.end_of_drain(now);
        }
    }

    fn end_of_linger(&mut self) {
        match &mut self.phase {
            Phase::Lingering { farewell, .. } if matches!(farewell.linger, Linger::For(_)) => {
                farewell.allowance = 0;
            }
            _ => self.close(Cause::Abandoned),
        }
    }

    fn end_of_drain(&mut self, now: Instant) {
        let Some(drain) = self.drain.as_deref() else { return };
        let (cause, until) = if now < drain.deadline {
            (Cause::Quiet, drain.deadline)
        } else {
            (Cause::Abandoned, now + drain.flush)
        };
        let farewell = Farewell { linger: Linger::Until(until), allowance: usize::MAX };
        self.flush(cause, Some(until), farewell);
    }

    fn flush(&mut self, cause: Cause, until: Option<Instant>, farewell: Farewell) {
        if self.phase == Phase::Open {
            self.cause.get_or_insert(cause);
            self.phase = Phase::Flushing { until, farewell };
        }
    }

    /// When flushing or lingering ends, whatever is left.
    fn ending_deadline(&self) -> Option<Instant> {
        match self.phase {
            // Counted from when the drain's deadline was seen, which a process that stood still sees
            // late.
            Phase::Flushing { until: Some(until), .. } => Some(until),
            Phase::Flushing { until: None, .. }
            | Phase::Lingering { farewell: Farewell { linger: Linger::For(_), .. }, .. } => {
                self.drain.as_deref().map(|drain| drain.deadline + drain.flush)
            }
            Phase::Lingering { .. } | Phase::Open | Phase::Closed => None,
        }
    }

    fn linger_deadline(&self) -> Option<Instant> {
        let Phase::Lingering { since, farewell } = self.phase else { return None };
        match farewell.linger {
            Linger::For(limit) => (farewell.allowance > 0).then(|| since + limit),
            Linger::Until(time) => Some(time),
        }
    }

    fn idle_deadline(&self, limits: &Limits) -> Option<Instant> {
        let is_idle = self.phase == Phase::Open && self.unsent == 0 && self.drain.is_none();
        limits.idle_timeout.filter(|_| is_idle).map(|limit| self.last_activity + limit)
    }

    fn drain_deadline(&self) -> Option<Instant> {
        let drain = self.drain.as_deref().filter(|_| self.phase == Phase::Open)?;
        if self.unsent + self.undecided > 0 {
            return Some(drain.deadline);
        }
        Some(drain.deadline.min(self.last_activity + drain.quiet))
    }

    fn probe_deadline(&self, limits: &Limits) -> Option<Instant> {
        let interval = match self.phase {
            Phase::Open | Phase::Flushing { .. } if self.unsent > 0 => {
                limits.stall_timeout / PROBES
            }
            Phase::Lingering { since, .. } if self.awaits_delivery() => {
                let waited = self.progress.last_probe.saturating_duration_since(since);
                (waited / 4).clamp(
                    MIN_DELIVERY_PROBE_INTERVAL,
                    (limits.stall_timeout / PROBES).max(MIN_DELIVERY_PROBE_INTERVAL),
                )
            }
            _ => return None,
        };
        Some(self.progress.last.max(self.progress.last_probe) + interval)
    }

    /// All is sent, no more is read, and the peer has not acknowledged everything.
    fn awaits_delivery(&self) -> bool {
        let Phase::Lingering { farewell: Farewell { linger, allowance }, .. } = self.phase else {
            return false;
        };
        let is_awaited = self.peer_finished || (allowance == 0 && matches!(linger, Linger::For(_)));
        is_awaited && self.progress.delivery != Delivery::Complete
    }
}

fn has_passed(now: Instant, deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|time| time <= now)
}

impl Farewell {
    /// Long enough for the peer to read why, short enough not to serve it.
    fn to_a_refused_peer(limits: &Limits) -> Self {
        Self { linger: Linger::For(limits.refusal_linger), allowance: limits.refusal_allowance }
    }
}

#[cfg(test)]
mod tests;
