//! Who is let in, and as what.

use std::net::IpAddr;
use std::sync::Arc;

use crate::lifecycle::Admission;
use crate::metrics::Counters;

/// The door of one worker.
#[derive(Debug)]
pub(super) struct Door {
    admission: Arc<Admission>,
    /// Connections that were let in only to be told that there is no room.
    surplus: usize,
}

/// What a connection was let in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Admitted(Option<IpAddr>),
    /// Only to be told that there is no room.
    Surplus,
}

/// Surplus connections that are told so at the same time; more are closed without a word.
const SURPLUS_LANE: usize = 64;

impl Door {
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        Self { admission, surplus: 0 }
    }

    /// Finds a place for a connection that was accepted from this address; `None` if it is to be
    /// closed at once.
    pub(super) fn enter(
        &mut self,
        address: Option<IpAddr>,
        counters: &mut Counters,
    ) -> Option<Place> {
        counters.accepted += 1;
        if self.admission.admit(address) {
            return Some(Place::Admitted(address));
        }
        counters.refused += 1;
        if self.surplus == SURPLUS_LANE {
            counters.closed += 1;
            return None;
        }
        self.surplus += 1;
        Some(Place::Surplus)
    }

    /// A connection is gone: its place is free.
    pub(super) fn leave(&mut self, place: Place) {
        match place {
            Place::Admitted(address) => self.admission.release(address),
            Place::Surplus => self.surplus -= 1,
        }
    }
}
