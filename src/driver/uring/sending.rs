//! The sending side of a connection: whether a send is out, and whether the socket is full.

use rustix::io::Errno;

use super::watch::Watch;
use crate::sys::Notify;

/// Operation to submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    WatchWritable,
    Cancel,
}

/// A send takes what the socket has room for, at once. One that took less leaves the socket full,
/// until the kernel reports otherwise.
#[derive(Debug, Default)]
pub(super) struct Sending {
    in_flight: Option<Notify>,
    is_full: bool,
    /// Room was reported since the send in flight was submitted: before or after it was carried
    /// out.
    had_room: bool,
    /// The poll for writing: armed when the socket is full for the first time, and kept.
    watch: Watch,
}

impl Sending {
    pub(super) fn may_send(&self) -> bool {
        self.in_flight.is_none() && !self.is_full
    }

    /// Returns whether the socket took less than it was given, and has reported no room since.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Returns whether a send is in flight whose end no wait sees.
    pub(super) fn is_silent(&self) -> bool {
        self.in_flight == Some(Notify::OnFailure)
    }

    /// Returns whether any operation is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some() || self.watch.is_in_flight()
    }

    /// A send was submitted.
    pub(super) fn submitted(&mut self, notify: Notify) {
        self.in_flight = Some(notify);
        self.had_room = false;
    }

    /// The send of `length` bytes ended.
    pub(super) fn ended(&mut self, length: usize, result: Result<usize, Errno>) {
        self.in_flight = None;
        let is_short = match result {
            Ok(sent) => sent < length,
            Err(error) => error == Errno::AGAIN,
        };
        self.is_full = is_short && !self.had_room;
    }

    /// The watch reported.
    pub(super) fn handle_writable(&mut self, more: bool, result: Result<bool, Errno>) {
        self.watch.reported(more);
        // What is wrong with the socket the next send tells.
        if result != Ok(false) {
            self.is_full = false;
            self.had_room = true;
        }
    }

    /// Tries once more without having been told: under memory pressure the kernel may turn a send
    /// away that it could take later, without an edge (`tcp_mem` in `tcp(7)`).
    pub(super) fn try_again(&mut self) {
        self.is_full = false;
    }

    /// A cancellation missed its target, which may still be out.
    pub(super) fn cancel_missed(&mut self) {
        self.watch.cancel_missed();
    }

    /// Returns what to submit so that room is reported.
    pub(super) fn advance(&mut self) -> Option<Request> {
        (self.is_full && self.watch.arm()).then_some(Request::WatchWritable)
    }

    /// Ends the watch, if it is not ending already. A send ends by itself.
    pub(super) fn cancel(&mut self) -> Option<Request> {
        self.watch.cancel().then_some(Request::Cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Sending {
        let mut sending = Sending::default();
        sending.submitted(Notify::Always);
        sending.ended(10, Ok(9));
        sending
    }

    #[test]
    fn a_full_socket_is_watched_until_it_has_room() {
        for result in [Ok(9), Ok(0), Err(Errno::AGAIN)] {
            let mut sending = Sending::default();
            assert!(sending.may_send() && !sending.is_in_flight());
            sending.submitted(Notify::Always);
            assert!(!sending.may_send() && sending.is_in_flight());
            sending.ended(10, result);
            assert!(!sending.may_send());
            assert_eq!(sending.advance(), Some(Request::WatchWritable));
            assert_eq!(sending.advance(), None, "it is watched once");
            sending.handle_writable(true, Ok(false));
            assert!(!sending.may_send(), "a spurious report");
            sending.handle_writable(true, Ok(true));
            assert!(sending.may_send() && sending.is_in_flight());
            assert_eq!(sending.advance(), None);
        }
    }

    #[test]
    fn a_whole_send_and_one_that_failed_leave_nothing_to_watch() {
        for result in [Ok(10), Err(Errno::PIPE)] {
            let mut sending = Sending::default();
            sending.submitted(Notify::Always);
            sending.ended(10, result);
            assert!(sending.may_send() && !sending.is_in_flight());
            assert_eq!((sending.advance(), sending.cancel()), (None, None));
        }
    }

    #[test]
    fn room_that_is_reported_before_the_end_of_a_short_send_counts() {
        let mut sending = full();
        sending.advance();
        sending.handle_writable(true, Ok(true));
        sending.submitted(Notify::Always);
        sending.handle_writable(true, Ok(true));
        sending.ended(10, Ok(1));
        assert!(sending.may_send());
    }

    #[test]
    fn a_watch_that_ended_is_armed_anew_while_the_socket_is_full() {
        let mut sending = full();
        sending.advance();
        sending.handle_writable(false, Ok(false));
        assert_eq!(sending.advance(), Some(Request::WatchWritable));
        sending.handle_writable(false, Err(Errno::NOMEM));
        assert!(sending.may_send() && !sending.is_in_flight());
    }

    #[test]
    fn a_cancellation_that_missed_is_asked_for_again() {
        let mut sending = full();
        sending.advance();
        assert_eq!(sending.cancel(), Some(Request::Cancel));
        assert_eq!(sending.cancel(), None);
        sending.cancel_missed();
        assert_eq!(sending.cancel(), Some(Request::Cancel));
        sending.handle_writable(false, Err(Errno::CANCELED));
        assert!(!sending.is_in_flight());
    }
}
