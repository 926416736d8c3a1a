//! Readiness of a socket whose bytes are spliced: a splice does not wait in the ring, it is tried
//! when a poll reports that it may get somewhere.

use super::watch::Watch;

#[derive(Debug, Default)]
pub(super) struct Readiness {
    pub(super) watch: Watch,
    may_take_in: bool,
    may_give_out: bool,
    /// Nothing went into a pipe that held some: it may have been full.
    may_be_full: bool,
}

impl Readiness {
    /// Splicing begins: both ways are tried before they are waited for.
    pub(super) fn begin(&mut self) {
        (self.may_take_in, self.may_give_out, self.may_be_full) = (true, true, false);
    }

    pub(super) fn may_take_in(&self) -> bool {
        self.may_take_in
    }

    pub(super) fn may_give_out(&self) -> bool {
        self.may_give_out
    }

    /// The poll reported.
    pub(super) fn handle_ready(&mut self, more: bool) {
        self.watch.reported(more);
        self.begin();
    }

    /// Nothing went into the pipe, which holds so many bytes.
    pub(super) fn took_nothing_in(&mut self, held: usize) {
        self.may_take_in = false;
        self.may_be_full = held > 0;
    }

    /// Some bytes went out of the pipe, or none did.
    pub(super) fn gave_out(&mut self, some: bool) {
        self.may_give_out = some;
        if some && std::mem::take(&mut self.may_be_full) {
            self.may_take_in = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_led_nowhere_is_tried_again_when_something_changed() {
        let mut readiness = Readiness::default();
        readiness.begin();
        readiness.took_nothing_in(0);
        readiness.gave_out(false);
        assert!(!readiness.may_take_in() && !readiness.may_give_out());
        readiness.handle_ready(true);
        assert!(readiness.may_take_in() && readiness.may_give_out());
        readiness.took_nothing_in(0);
        readiness.gave_out(true);
        assert!(!readiness.may_take_in(), "nothing had arrived");
        readiness.took_nothing_in(1);
        readiness.gave_out(true);
        assert!(readiness.may_take_in(), "the pipe was full");
    }
}
