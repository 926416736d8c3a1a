//! The receiving side of a connection: whether an operation is out, and of which kind.

use std::time::{Duration, Instant};

use super::outbox::Submission;
use crate::sys::Token;

/// How much one receive operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// One buffer: a peer that sends faster than it reads is stopped at the high-water mark.
    One,
    /// A buffer for everything that arrives, without being asked again: cheapest for small
    /// messages. In one turn it may take 32 buffers before anybody looks
    /// (`MULTISHOT_MAX_RETRY` in the kernel's `io_uring/net.c`).
    Many,
}

#[derive(Debug)]
pub(super) struct Receiving {
    state: State,
    /// Receives in a row that were far from filling a buffer.
    small_in_a_row: u8,
    /// Since when the peer has not been read.
    paused_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Armed(Amount),
    Cancelling,
    /// Waits for a buffer in the session's queue.
    Parked,
}

/// A receive of at most this many bytes is small.
const SMALL: usize = 16 << 10;
/// After so many small receives in a row a peer is taken to send small messages.
const STREAK: u8 = 2;

impl Receiving {
    pub(super) fn new() -> Self {
        Self { state: State::Idle, small_in_a_row: 0, paused_since: None }
    }

    /// Whether an operation is out.
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.state, State::Armed(_) | State::Cancelling)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// The operation ended; another may be armed.
    pub(super) fn ended(&mut self) {
        self.state = State::Idle;
    }

    /// The operation ended for want of a buffer.
    pub(super) fn park(&mut self) {
        self.state = State::Parked;
    }

    /// A buffer may be there.
    pub(super) fn unpark(&mut self) {
        if self.state == State::Parked {
            self.state = State::Idle;
        }
    }

    /// The operation brought this many bytes.
    pub(super) fn took(&mut self, length: usize) {
        let is_small = length <= SMALL;
        self.small_in_a_row = if is_small { self.small_in_a_row.saturating_add(1) } else { 0 };
    }

    /// What to submit so that an operation of the right kind is out if input is wanted, and none
    /// otherwise. `token` names it.
    pub(super) fn advance(&mut self, token: Token, wants_input: bool) -> Option<Submission> {
        let is_bulk = self.small_in_a_row < STREAK;
        match self.state {
            State::Idle if wants_input => {
                let amount = if is_bulk { Amount::One } else { Amount::Many };
                self.state = State::Armed(amount);
                Some(Submission::Receive(token, amount))
            }
            State::Armed(_) if !wants_input => self.cancel(token),
            State::Armed(Amount::Many) if is_bulk => self.cancel(token),
            _ => None,
        }
    }

    /// Ends the operation that is out, if it is not ending already.
    pub(super) fn cancel(&mut self, token: Token) -> Option<Submission> {
        if !matches!(self.state, State::Armed(_)) {
            return None;
        }
        self.state = State::Cancelling;
        Some(Submission::Cancel(token))
    }

    /// Keeps account of the time in which the peer is not read; returns a pause that just ended.
    pub(super) fn take_pause(&mut self, now: Instant) -> Option<Duration> {
        if matches!(self.state, State::Armed(_)) {
            return self.paused_since.take().map(|since| now.saturating_duration_since(since));
        }
        self.paused_since.get_or_insert(now);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Operation;

    fn token() -> Token {
        Token::new(Operation::Receive, 0, 0)
    }

    #[test]
    fn small_messages_get_a_lasting_receive_and_bulk_one_at_a_time() {
        let mut receiving = Receiving::new();
        for _ in 0..STREAK {
            let submission = receiving.advance(token(), true);
            assert_eq!(submission, Some(Submission::Receive(token(), Amount::One)));
            receiving.took(64);
            receiving.ended();
        }
        let submission = receiving.advance(token(), true);
        assert_eq!(submission, Some(Submission::Receive(token(), Amount::Many)));
        receiving.took(SMALL + 1);
        assert_eq!(receiving.advance(token(), true), Some(Submission::Cancel(token())));
        assert_eq!(receiving.advance(token(), true), None, "it is cancelled once");
        receiving.ended();
        let submission = receiving.advance(token(), true);
        assert_eq!(submission, Some(Submission::Receive(token(), Amount::One)));
    }

    #[test]
    fn a_parked_receive_waits_and_its_pause_is_told_at_its_end() {
        let start = Instant::now();
        let mut receiving = Receiving::new();
        receiving.advance(token(), true);
        receiving.park();
        assert_eq!(receiving.advance(token(), true), None);
        assert_eq!(receiving.take_pause(start), None);
        assert!(receiving.is_paused() && !receiving.is_in_flight());
        receiving.unpark();
        receiving.advance(token(), true);
        let pause = Duration::from_millis(5);
        assert_eq!(receiving.take_pause(start + pause), Some(pause));
        assert!(!receiving.is_paused());
    }
}
