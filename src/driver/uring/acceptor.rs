//! The listeners of a worker: which of them have an accept outstanding.

use crate::lifecycle::{AcceptMode, Accepting};

#[derive(Debug)]
pub(super) struct Acceptor {
    listeners: Vec<Accept>,
}

/// A listener's multishot accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accept {
    Idle,
    Armed,
    Cancelling,
    Closed,
}

/// Operation to submit for a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Accept,
    Cancel,
    /// Accept who waits in the queue, then close: at any rate, or only once nobody is left.
    Close {
        at_any_rate: bool,
    },
    /// Leave who waits in the queue to others.
    Leave,
}

impl Acceptor {
    pub(super) fn new(listeners: usize) -> Self {
        Self { listeners: vec![Accept::Idle; listeners] }
    }

    /// The numbers of all listeners.
    pub(super) fn numbers(&self) -> std::ops::Range<u32> {
        0..self.listeners.len() as u32
    }

    pub(super) fn is_closed(&self) -> bool {
        self.listeners.iter().all(|accept| *accept == Accept::Closed)
    }

    /// The accept of this listener ended; another may be armed.
    pub(super) fn ended(&mut self, number: u32) {
        self.listeners[number as usize] = Accept::Idle;
    }

    /// A cancellation missed its target, which may still be out.
    pub(super) fn cancel_missed(&mut self, number: u32) {
        let accept = &mut self.listeners[number as usize];
        if *accept == Accept::Cancelling {
            *accept = Accept::Armed;
        }
    }

    pub(super) fn closed(&mut self, number: u32) {
        self.listeners[number as usize] = Accept::Closed;
    }

    /// Returns the request that the state of a listener calls for.
    pub(super) fn advance(&mut self, number: u32, accepting: &Accepting) -> Option<Request> {
        let accept = &mut self.listeners[number as usize];
        match (*accept, accepting.accept_mode()) {
            (Accept::Idle, AcceptMode::Open) => {
                *accept = Accept::Armed;
                Some(Request::Accept)
            }
            (Accept::Idle, AcceptMode::Closing { at_any_rate }) => {
                Some(Request::Close { at_any_rate })
            }
            (Accept::Idle, AcceptMode::Leaving) => Some(Request::Leave),
            (
                Accept::Armed,
                AcceptMode::Closing { .. } | AcceptMode::ClosingPaused | AcceptMode::Leaving,
            ) => {
                *accept = Accept::Cancelling;
                Some(Request::Cancel)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_listener_closes_once_its_accept_has_ended() {
        let now = Instant::now();
        let (mut acceptor, mut accepting) = (Acceptor::new(1), Accepting::default());
        assert_eq!(acceptor.advance(0, &accepting), Some(Request::Accept));
        assert_eq!(acceptor.advance(0, &accepting), None);
        accepting.close(now, Duration::ZERO, Duration::from_secs(1));
        assert_eq!(acceptor.advance(0, &accepting), Some(Request::Cancel));
        assert_eq!(acceptor.advance(0, &accepting), None);
        acceptor.cancel_missed(0);
        assert_eq!(acceptor.advance(0, &accepting), Some(Request::Cancel));
        acceptor.ended(0);
        acceptor.cancel_missed(0);
        let close = Some(Request::Close { at_any_rate: false });
        assert_eq!(acceptor.advance(0, &accepting), close);
        acceptor.closed(0);
        assert!(acceptor.is_closed() && acceptor.advance(0, &accepting).is_none());
    }

    #[test]
    fn an_inherited_listener_is_left_once_its_accept_has_ended() {
        let now = Instant::now();
        let (mut acceptor, mut accepting) = (Acceptor::new(1), Accepting::new(true));
        assert_eq!(acceptor.advance(0, &accepting), Some(Request::Accept));
        accepting.close(now, Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(acceptor.advance(0, &accepting), Some(Request::Cancel));
        acceptor.ended(0);
        assert_eq!(acceptor.advance(0, &accepting), Some(Request::Leave));
    }
}
