//! Readiness of a socket whose bytes are spliced: a splice does not wait in the ring, it is tried
//! when a poll reports that it may get somewhere.

use super::watch::Watch;

#[derive(Debug, Default)]
pub(super) struct Readiness {
    pub(super) watch: Watch,
    pub(super) may_take_in: bool,
    pub(super) may_give_out: bool,
}

impl Readiness {
    /// Both ways may lead somewhere.
    pub(super) fn begin(&mut self) {
        (self.may_take_in, self.may_give_out) = (true, true);
    }

    /// The poll reported.
    pub(super) fn handle_ready(&mut self, more: bool) {
        self.watch.reported(more);
        self.begin();
    }
}
