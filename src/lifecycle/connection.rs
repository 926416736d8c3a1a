//! The life of one connection: open, ending, closed; every transition is in this file.
//!
//! ```text
//! Open ──end()──► Ending ──fin_sent()──► Ending, lingering ──► Closed
//!   └───────────────┴───────── fail(), deadlines ───────────────┘
//! ```

use std::time::{Duration, Instant};

use crate::protocol::CloseReason;

/// Limits of every connection of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Receiving stops when this many bytes wait to be sent.
    pub(crate) high_water: usize,
    /// Receiving resumes when no more than this many bytes wait to be sent.
    pub(crate) low_water: usize,
    /// How long a refused peer's input is discarded after our FIN, so that a reset does not
    /// destroy the ERROR it has not read yet.
    pub(crate) refusal_linger: Duration,
    /// How many bytes of a refused peer's input are discarded.
    pub(crate) refusal_allowance: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            high_water: 256 << 10,
            low_water: 64 << 10,
            refusal_linger: Duration::from_secs(1),
            refusal_allowance: 256 << 10,
        }
    }
}

/// How a server that shuts down treats the connections it still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DrainLimits {
    /// A connection that was silent this long with nothing pending is finished.
    pub(crate) quiet: Duration,
    /// After this long nothing more is received.
    pub(crate) timeout: Duration,
    /// What was received by then has this long to be sent.
    pub(crate) flush: Duration,
}

impl Default for DrainLimits {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            flush: Duration::from_secs(1),
        }
    }
}

/// What to do with received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Give them to the protocol.
    Deliver,
    /// Drop them.
    Ignore,
}

/// What a driver has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing beyond sending and receiving.
    Continue,
    /// Everything is sent: shut the sending side down, then call [`Lifecycle::fin_sent`].
    SendFin,
    /// Release everything.
    Close,
}

/// The life of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Lifecycle {
    phase: Phase,
    peer_finished: bool,
    peer_failed: bool,
    /// Bytes given to the protocol that it has not decided on: part of a frame.
    undecided: usize,
    /// Bytes to be sent and not yet known to be sent.
    unsent: usize,
    /// The high-water mark was reached and the low-water mark not since.
    throttled: bool,
    last_activity: Instant,
    drain: Option<Drain>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No more is answered. Input is ignored while the allowance lasts.
    Ending {
        fin_sent: bool,
        allowance: usize,
        linger: Linger,
        deadline: Option<Instant>,
    },
    Closed,
}

/// How long to wait for the peer's FIN after ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linger {
    For(Duration),
    UntilDeadline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drain {
    quiet: Duration,
    deadline: Instant,
    flush: Duration,
}

impl Lifecycle {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Open,
            peer_finished: false,
            peer_failed: false,
            undecided: 0,
            unsent: 0,
            throttled: false,
            last_activity: now,
            drain: None,
        }
    }

    /// Whether to have a receive outstanding.
    pub(crate) fn wants_input(&self) -> bool {
        let phase_wants = match self.phase {
            Phase::Open => !self.throttled,
            Phase::Ending { allowance, .. } => allowance > 0,
            Phase::Closed => false,
        };
        phase_wants && !self.peer_finished
    }

    /// Whether the protocol is still to be asked.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Bytes that were still to be sent when the server ended the connection; 0 if its peer did.
    pub(crate) fn lost(&self) -> usize {
        if self.peer_failed { 0 } else { self.unsent }
    }

    /// What to do next besides sending and receiving.
    pub(crate) fn step(&self) -> Step {
        match self.phase {
            Phase::Open => Step::Continue,
            Phase::Closed => Step::Close,
            Phase::Ending { .. } if self.unsent > 0 => Step::Continue,
            Phase::Ending { .. } if self.peer_finished => Step::Close,
            Phase::Ending { fin_sent: false, .. } => Step::SendFin,
            Phase::Ending { allowance: 0, .. } => Step::Close,
            Phase::Ending { .. } => Step::Continue,
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (self.phase, self.drain) {
            (Phase::Ending { deadline, .. }, None) => deadline,
            (Phase::Ending { deadline, .. }, Some(drain)) => {
                let last = drain.deadline + drain.flush;
                Some(deadline.map_or(last, |deadline| deadline.min(last)))
            }
            (Phase::Open, Some(drain)) if self.unsent + self.undecided > 0 => Some(drain.deadline),
            (Phase::Open, Some(drain)) => {
                Some(drain.deadline.min(self.last_activity + drain.quiet))
            }
            (Phase::Open, None) | (Phase::Closed, _) => None,
        }
    }

    /// Bytes arrived.
    pub(crate) fn received(&mut self, now: Instant, length: usize) -> Fate {
        self.last_activity = now;
        match &mut self.phase {
            Phase::Open => {
                self.undecided += length;
                Fate::Deliver
            }
            Phase::Ending { allowance, .. } => {
                *allowance = allowance.saturating_sub(length);
                Fate::Ignore
            }
            Phase::Closed => Fate::Ignore,
        }
    }

    /// The peer's FIN arrived.
    pub(crate) fn peer_finished(&mut self) {
        self.peer_finished = true;
    }

    /// The protocol decided on received bytes.
    pub(crate) fn decided(&mut self, length: usize) {
        self.undecided -= length;
    }

    /// The protocol asked for bytes to be sent.
    pub(crate) fn queued(&mut self, length: usize, limits: &Limits) {
        self.unsent += length;
        self.throttled |= self.unsent >= limits.high_water;
    }

    /// Bytes were sent.
    pub(crate) fn sent(&mut self, now: Instant, length: usize, limits: &Limits) {
        self.last_activity = now;
        self.unsent -= length;
        self.throttled &= self.unsent > limits.low_water;
    }

    /// The protocol closed the connection.
    pub(crate) fn end(&mut self, reason: CloseReason, limits: &Limits) {
        let allowance = match reason {
            CloseReason::Finished => 0,
            CloseReason::Failed(_) => limits.refusal_allowance,
        };
        self.begin_ending(allowance, Linger::For(limits.refusal_linger), None);
    }

    /// Our FIN went out.
    pub(crate) fn fin_sent(&mut self, now: Instant) {
        if let Phase::Ending { fin_sent, linger, deadline, .. } = &mut self.phase {
            *fin_sent = true;
            if let Linger::For(limit) = linger {
                *deadline = Some(now + *limit);
            }
        }
    }

    /// The socket failed: reset by the peer, broken pipe and the like.
    pub(crate) fn fail(&mut self) {
        self.peer_failed = true;
        self.phase = Phase::Closed;
    }

    /// The server ends without waiting.
    pub(crate) fn abandon(&mut self) {
        self.phase = Phase::Closed;
    }

    /// The server shuts down.
    pub(crate) fn drain(&mut self, now: Instant, limits: &DrainLimits) {
        self.drain = Some(Drain {
            quiet: limits.quiet,
            deadline: now + limits.timeout,
            flush: limits.flush,
        });
        self.last_activity = now;
    }

    /// Acts on the deadline if it has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match (self.phase, self.drain) {
            (Phase::Open, Some(drain)) if now < drain.deadline => {
                self.begin_ending(usize::MAX, Linger::UntilDeadline, Some(drain.deadline));
            }
            (Phase::Open, Some(drain)) => {
                self.begin_ending(0, Linger::UntilDeadline, Some(now + drain.flush));
            }
            _ => self.phase = Phase::Closed,
        }
    }

    fn begin_ending(&mut self, allowance: usize, linger: Linger, deadline: Option<Instant>) {
        if self.phase == Phase::Open {
            self.phase = Phase::Ending { fin_sent: false, allowance, linger, deadline };
        }
    }
}
