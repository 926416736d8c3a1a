//! When a worker's listeners may accept: always, after a pause, or no more because they close.

use std::time::{Duration, Instant};

/// Decides for all listeners of a worker.
#[derive(Debug, Default)]
pub(crate) struct Accepting {
    /// Accepting pauses until then, or until a connection closes.
    paused_until: Option<Instant>,
    closing: Option<Closing>,
    is_finished: bool,
    /// The listeners outlive the server.
    is_inherited: bool,
}

/// Mode of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptMode {
    /// Accept whoever comes.
    Open,
    /// Accept nobody for now.
    Paused,
    /// Accept who waits in the queue, then close; with descriptors left over for that, or
    /// `at_any_rate`.
    Closing { at_any_rate: bool },
    /// Close, but there may be no descriptor for those who wait: try again later.
    ClosingPaused,
    /// Stop at once: the queue is somebody else's too, who accepts from it later.
    Leaving,
}

/// No new handshake begins; those under way have until `at` to reach the accept queue.
#[derive(Debug, Clone, Copy)]
struct Closing {
    at: Instant,
    /// Who has not been accepted by then, for want of descriptors, is left.
    at_the_latest: Instant,
    is_held_off: bool,
    is_due: bool,
    is_overdue: bool,
}

/// How long accepting pauses when descriptors or memory ran out and no connection closes.
const PAUSE: Duration = Duration::from_millis(100);

impl Accepting {
    /// Listeners that the process owns, or that whoever started it keeps.
    pub(crate) fn new(is_inherited: bool) -> Self {
        Self { is_inherited, ..Self::default() }
    }

    /// The mode of every listener that is not closed yet.
    pub(crate) fn accept_mode(&self) -> AcceptMode {
        let is_paused = self.paused_until.is_some();
        match self.closing {
            Some(_) if self.is_inherited => AcceptMode::Leaving,
            Some(Closing { is_due: true, is_overdue, .. }) if is_overdue || !is_paused => {
                AcceptMode::Closing { at_any_rate: is_overdue }
            }
            Some(Closing { is_due: true, .. }) => AcceptMode::ClosingPaused,
            _ if is_paused => AcceptMode::Paused,
            _ => AcceptMode::Open,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.is_finished {
            return None;
        }
        let closing = self.closing.and_then(|closing| match (closing.is_due, closing.is_overdue) {
            (false, _) => Some(closing.at),
            (true, false) => Some(closing.at_the_latest),
            (true, true) => None,
        });
        self.paused_until.into_iter().chain(closing).min()
    }

    /// Descriptors or memory ran out.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused_until = Some(now + PAUSE);
    }

    /// A connection closed, so there is room again.
    pub(crate) fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Stops accepting after `grace`, and leaves nobody waiting if that can be done within
    /// `limit`.
    pub(crate) fn close(&mut self, now: Instant, grace: Duration, limit: Duration) {
        let is_held_off = self.closing.is_some_and(|closing| closing.is_held_off);
        self.closing = Some(Closing {
            at: now + grace.min(limit),
            at_the_latest: now + limit,
            is_held_off,
            is_due: grace.is_zero() || limit.is_zero(),
            is_overdue: limit.is_zero(),
        });
    }

    /// Every listener is closed.
    pub(crate) fn finish(&mut self) {
        self.is_finished = true;
    }

    /// Returns whether every listener is closed.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Returns whether new handshakes are to be held off from now on: true once. Never on a listener
    /// that outlives the server, since its filter would too.
    pub(crate) fn take_hold_off(&mut self) -> bool {
        let Some(closing) = self.closing.as_mut().filter(|_| !self.is_inherited) else {
            return false;
        };
        !std::mem::replace(&mut closing.is_held_off, true)
    }

    /// Some deadline may have passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|time| time <= now) {
            self.paused_until = None;
        }
        if let Some(closing) = &mut self.closing {
            closing.is_due |= closing.at <= now;
            closing.is_overdue |= closing.at_the_latest <= now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_or_when_a_connection_closes() {
        let start = Instant::now();
        let mut accepting = Accepting::default();
        for end in [
            |it: &mut Accepting, now| it.handle_timeout(now),
            |it: &mut Accepting, _| {
                it.resume();
            },
        ] {
            accepting.pause(start);
            assert_eq!(accepting.accept_mode(), AcceptMode::Paused);
            assert_eq!(accepting.deadline(), Some(start + PAUSE));
            end(&mut accepting, start + PAUSE);
            assert_eq!((accepting.accept_mode(), accepting.deadline()), (AcceptMode::Open, None));
        }
    }

    #[test]
    fn closing_gives_handshakes_their_grace_and_waits_for_descriptors_up_to_its_limit() {
        let start = Instant::now();
        let (grace, limit) = (Duration::from_millis(200), Duration::from_secs(1));
        let mut accepting = Accepting::default();
        assert!(!accepting.take_hold_off());
        accepting.close(start, grace, limit);
        assert!(accepting.take_hold_off() && !accepting.take_hold_off());
        assert_eq!(accepting.accept_mode(), AcceptMode::Open);
        accepting.handle_timeout(start + grace);
        assert_eq!(accepting.accept_mode(), AcceptMode::Closing { at_any_rate: false });
        accepting.pause(start + grace);
        assert_eq!(accepting.accept_mode(), AcceptMode::ClosingPaused);
        accepting.pause(start + limit);
        accepting.handle_timeout(start + limit);
        assert_eq!(accepting.accept_mode(), AcceptMode::Closing { at_any_rate: true });
    }

    #[test]
    fn who_waits_at_an_inherited_listener_is_left_to_whoever_keeps_it() {
        let start = Instant::now();
        let mut accepting = Accepting::new(true);
        assert_eq!(accepting.accept_mode(), AcceptMode::Open);
        accepting.close(start, Duration::from_millis(200), Duration::from_secs(1));
        assert!(!accepting.take_hold_off());
        assert_eq!(accepting.accept_mode(), AcceptMode::Leaving);
        accepting.pause(start);
        assert_eq!(accepting.accept_mode(), AcceptMode::Leaving);
    }

    #[test]
    fn nothing_is_due_once_every_listener_is_closed() {
        let start = Instant::now();
        let mut accepting = Accepting::default();
        accepting.close(start, Duration::ZERO, Duration::from_secs(1));
        accepting.pause(start);
        assert!(accepting.deadline().is_some() && !accepting.is_finished());
        accepting.finish();
        assert!(accepting.deadline().is_none() && accepting.is_finished());
    }
}
