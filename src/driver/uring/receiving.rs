//! The receiving side of a connection: whether an operation is out, and of which kind.

use rustix::io::Errno;

/// How much one receive operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// One buffer: a peer that sends faster than it reads is stopped at the high-water mark.
    One,
    /// A buffer for everything that arrives, without being asked again: cheapest for small
    /// messages.
    Many,
}

/// Operation to submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Receive(Amount),
    Cancel,
}

#[derive(Debug)]
pub(super) struct Receiving {
    state: State,
    /// Receives in a row that were far from filling a buffer.
    small_in_a_row: u8,
    /// The kernel ended a lasting receive: on this socket it cannot go on with one.
    is_one_only: bool,
    /// The place in the queue of those that wait for a buffer, kept until one is found.
    pub(super) ticket: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Armed(Amount),
    Cancelling(Amount),
    /// Waits for a buffer.
    Parked,
}

/// A receive of at most this many bytes is small.
const SMALL: usize = 16 << 10;
/// After so many small receives in a row a peer is taken to send small messages.
const STREAK: u8 = 2;

impl Receiving {
    pub(super) fn new() -> Self {
        Self { state: State::Idle, small_in_a_row: 0, is_one_only: false, ticket: None }
    }

    /// Returns whether an operation is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.state, State::Armed(_) | State::Cancelling(_))
    }

    /// Returns whether an operation is in flight that nobody wants to end.
    pub(super) fn is_armed(&self) -> bool {
        matches!(self.state, State::Armed(_))
    }

    /// The operation ended, perhaps with an error; another may be armed.
    pub(super) fn ended(&mut self, error: Option<Errno>) {
        let was_asked_for = matches!(self.state, State::Cancelling(_));
        self.is_one_only |= error == Some(Errno::CANCELED) && !was_asked_for;
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

    /// A cancellation missed its target, which may still be out.
    pub(super) fn cancel_missed(&mut self) {
        if let State::Cancelling(amount) = self.state {
            self.state = State::Armed(amount);
        }
    }

    /// The operation brought this many bytes.
    pub(super) fn took(&mut self, length: usize) {
        let is_small = length <= SMALL;
        self.small_in_a_row = if is_small { self.small_in_a_row.saturating_add(1) } else { 0 };
        self.ticket = None;
    }

    /// Returns what to submit so that an operation of the right kind is in flight if input is
    /// wanted, and none otherwise. On a socket that never waits none lasts.
    pub(super) fn advance(&mut self, wants_input: bool, never_waits: bool) -> Option<Request> {
        let is_bulk = self.small_in_a_row < STREAK;
        match self.state {
            State::Idle if wants_input => {
                let amount = if is_bulk || self.is_one_only || never_waits {
                    Amount::One
                } else {
                    Amount::Many
                };
                self.state = State::Armed(amount);
                Some(Request::Receive(amount))
            }
            State::Armed(_) if !wants_input => self.cancel(),
            State::Armed(Amount::Many) if is_bulk => self.cancel(),
            _ => None,
        }
    }

    /// Ends the operation that is out, if it is not ending already.
    pub(super) fn cancel(&mut self) -> Option<Request> {
        let State::Armed(amount) = self.state else { return None };
        self.state = State::Cancelling(amount);
        Some(Request::Cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVE_ONE: Option<Request> = Some(Request::Receive(Amount::One));

    #[test]
    fn small_messages_get_a_lasting_receive_and_bulk_one_at_a_time() {
        let mut receiving = Receiving::new();
        for _ in 0..STREAK {
            assert_eq!(receiving.advance(true, false), RECEIVE_ONE);
            receiving.took(64);
            receiving.ended(None);
        }
        assert_eq!(receiving.advance(true, false), Some(Request::Receive(Amount::Many)));
        receiving.took(SMALL + 1);
        assert_eq!(receiving.advance(true, false), Some(Request::Cancel));
        assert_eq!(receiving.advance(true, false), None, "it is cancelled once");
        receiving.ended(Some(Errno::CANCELED));
        assert_eq!(receiving.advance(true, false), RECEIVE_ONE);
        assert!(!receiving.is_one_only, "it was asked for");
    }

    #[test]
    fn a_lasting_receive_that_the_kernel_ends_is_the_last_one() {
        let mut receiving = Receiving::new();
        (0..STREAK).for_each(|_| receiving.took(64));
        assert_eq!(receiving.advance(true, false), Some(Request::Receive(Amount::Many)));
        receiving.ended(Some(Errno::CANCELED));
        for _ in 0..5 {
            assert_eq!(receiving.advance(true, false), RECEIVE_ONE);
            receiving.took(64);
            receiving.ended(None);
        }
    }

    #[test]
    fn a_parked_receive_waits_for_its_buffer() {
        let mut receiving = Receiving::new();
        receiving.advance(true, false);
        receiving.park();
        assert_eq!(receiving.advance(true, false), None);
        assert!(!receiving.is_in_flight());
        receiving.unpark();
        assert_eq!(receiving.advance(true, false), RECEIVE_ONE);
    }

    #[test]
    fn a_cancellation_that_missed_is_asked_for_again() {
        let mut receiving = Receiving::new();
        receiving.advance(true, false);
        assert_eq!(receiving.cancel(), Some(Request::Cancel));
        assert!(receiving.is_in_flight() && !receiving.is_armed());
        receiving.cancel_missed();
        assert_eq!(receiving.cancel(), Some(Request::Cancel));
        receiving.ended(None);
        receiving.cancel_missed();
        assert_eq!(receiving.cancel(), None, "it had ended");
    }
}
