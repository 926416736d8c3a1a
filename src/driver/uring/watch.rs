//! A poll of a socket that reports again and again, until it is cancelled.

/// State of the poll.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Watch {
    #[default]
    Idle,
    Armed,
    Cancelling,
}

impl Watch {
    pub(super) fn is_in_flight(self) -> bool {
        self != Self::Idle
    }

    /// Returns whether to submit it, so that it is armed.
    pub(super) fn arm(&mut self) -> bool {
        let is_idle = *self == Self::Idle;
        if is_idle {
            *self = Self::Armed;
        }
        is_idle
    }

    /// It reported; with `more` it goes on.
    pub(super) fn reported(&mut self, more: bool) {
        if !more {
            *self = Self::Idle;
        }
    }

    /// Returns whether to submit a cancellation: the poll is out and not ending already.
    pub(super) fn cancel(&mut self) -> bool {
        let is_armed = *self == Self::Armed;
        if is_armed {
            *self = Self::Cancelling;
        }
        is_armed
    }

    /// A cancellation missed its target, which may still be out.
    pub(super) fn cancel_missed(&mut self) {
        if *self == Self::Cancelling {
            *self = Self::Armed;
        }
    }
}
