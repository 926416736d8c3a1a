//! The way of a connection's bytes: through memory of ours, or past it through a pipe.
//!
//! Where nobody looks at the bytes, echoing bulk costs little but copies. `splice(2)` moves the pages
//! that hold them from the socket into a pipe and from there back to the socket. Bytes in the pipe are
//! received and not sent in every account; how many fit is the pipe's size.

/// Limits of splicing in one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpliceLimits {
    /// Most pipes at the same time; 0 is no splicing.
    pub(crate) pipes: usize,
    /// A receive of at least so many bytes is bulk.
    pub(crate) bulk: usize,
}

impl SpliceLimits {
    /// Everything is copied.
    pub(crate) const NONE: Self = Self { pipes: 0, bulk: Self::BULK };
    /// Copying fewer bytes costs about what the system calls of splicing do.
    pub(crate) const BULK: usize = 16 << 10;
    /// Most pipes of a worker, two descriptors each.
    pub(crate) const MAX_PIPES: usize = 64;
}

/// Which way the bytes of one connection go.
#[derive(Debug, Default)]
pub(super) struct Splicing {
    way: Way,
    /// Receives in a row that speak for the other way.
    streak: u8,
    /// Bytes in the pipe.
    held: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Copied,
    Spliced,
    /// Nothing more goes into the pipe; what is in it goes out.
    Leaving,
}

/// After so many receives in bulk a connection is given a pipe.
const BULK_STREAK: u8 = 4;
/// After so many small ones it gives the pipe back.
const SMALL_STREAK: u8 = 8;

impl Splicing {
    /// Bytes in the pipe.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Returns whether a pipe would pay.
    pub(super) fn is_due(&self) -> bool {
        self.way == Way::Copied && self.streak >= BULK_STREAK
    }

    /// Returns whether everything is copied, and is to be.
    pub(super) fn is_copying(&self) -> bool {
        self.way == Way::Copied && !self.is_due()
    }

    /// Returns whether the connection has a pipe.
    pub(super) fn has_pipe(&self) -> bool {
        self.way != Way::Copied
    }

    /// Returns whether what arrives goes into the pipe.
    pub(super) fn takes_in(&self) -> bool {
        self.way == Way::Spliced
    }

    /// Returns whether the pipe can be given back.
    pub(super) fn is_over(&self) -> bool {
        self.way == Way::Leaving && self.held == 0
    }

    /// Bytes were received into memory.
    pub(super) fn received(&mut self, length: usize, limits: SpliceLimits) {
        let is_bulk = limits.pipes > 0 && length >= limits.bulk;
        self.streak = if is_bulk { self.streak.saturating_add(1) } else { 0 };
    }

    /// The connection has a pipe now.
    pub(super) fn begin(&mut self) {
        (self.way, self.streak) = (Way::Spliced, 0);
    }

    /// There is no pipe to be had now.
    pub(super) fn refuse(&mut self) {
        self.streak = 0;
    }

    /// Bytes went into the pipe.
    pub(super) fn took_in(&mut self, length: usize, limits: SpliceLimits) {
        self.held += length;
        self.streak = if length < limits.bulk { self.streak + 1 } else { 0 };
        if self.streak == SMALL_STREAK {
            self.leave();
        }
    }

    /// Bytes went out of the pipe.
    pub(super) fn gave_out(&mut self, length: usize) {
        self.held -= length;
    }

    /// Goes back to copying, once the pipe is empty.
    pub(super) fn leave(&mut self) {
        if self.way == Way::Spliced {
            (self.way, self.streak) = (Way::Leaving, 0);
        }
    }

    /// Gives up what is in the pipe, which is about to be closed; returns how much that was.
    pub(super) fn give_up(&mut self) -> usize {
        self.leave();
        std::mem::take(&mut self.held)
    }

    /// The pipe was given back.
    pub(super) fn end(&mut self) {
        assert!(self.is_over(), "a pipe is given back empty");
        self.way = Way::Copied;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SpliceLimits = SpliceLimits { pipes: 1, bulk: 100 };

    fn spliced() -> Splicing {
        let mut splicing = Splicing::default();
        (0..BULK_STREAK).for_each(|_| splicing.received(100, LIMITS));
        assert!(splicing.is_due() && !splicing.has_pipe());
        splicing.begin();
        splicing
    }

    #[test]
    fn bulk_in_a_row_is_spliced_and_small_messages_in_a_row_are_not() {
        let mut splicing = Splicing::default();
        for length in [100, 100, 100, 99, 100, 100, 100] {
            splicing.received(length, LIMITS);
            assert!(!splicing.is_due());
        }
        splicing.received(100, LIMITS);
        assert!(splicing.is_due());
        splicing.refuse();
        assert!(!splicing.is_due(), "it is not asked for again with every receive");
        let mut splicing = spliced();
        for length in [99, 99, 99, 99, 99, 99, 99, 100, 99, 99, 99, 99, 99, 99, 99] {
            splicing.took_in(length, LIMITS);
            assert!(splicing.takes_in());
        }
        splicing.took_in(1, LIMITS);
        assert!(!splicing.takes_in() && splicing.has_pipe());
    }

    #[test]
    fn a_pipe_is_given_back_when_it_is_empty() {
        let mut splicing = spliced();
        splicing.took_in(150, LIMITS);
        splicing.leave();
        splicing.gave_out(100);
        assert!(!splicing.is_over());
        splicing.gave_out(50);
        assert!(splicing.is_over());
        splicing.end();
        assert!(!splicing.has_pipe() && !splicing.is_due());
        let mut splicing = spliced();
        splicing.took_in(7, LIMITS);
        assert_eq!((splicing.give_up(), splicing.held(), splicing.is_over()), (7, 0, true));
    }

    #[test]
    fn without_pipes_everything_is_copied() {
        let mut splicing = Splicing::default();
        (0..100).for_each(|_| splicing.received(100, SpliceLimits { pipes: 0, ..LIMITS }));
        assert!(!splicing.is_due());
    }
}
