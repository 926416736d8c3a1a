//! Counters of a worker.

use std::fmt;

use crate::lifecycle::{Cause, Lifecycle, Permit};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals of a worker, or of all workers added up.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl std::ops::AddAssign for Counters {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Connections accepted, the refused ones included.
    accepted,
    /// Connections closed, for whatever reason.
    closed,
    /// Connections for which there was no room.
    refused,
    /// Connections that the peer reset, or whose peer became unreachable.
    resets,
    /// Connections that the kernel failed for want of memory or another reason of this host's.
    failures,
    /// Connections ended because they broke the protocol, frame timeouts included.
    protocol_errors,
    /// Connections ended by the idle timeout.
    idle_timeouts,
    /// Connections ended by the stall timeout.
    stall_timeouts,
    /// Connections ended because memory ran out while they waited.
    evicted,
    /// Connections that the shutdown ended before they were finished.
    abandoned,
    /// Connections that still waited to be accepted when the shutdown ended.
    unaccepted,
    /// Bytes received from peers.
    bytes_received,
    /// Bytes handed to the kernel for peers.
    bytes_sent,
    /// Bytes received in time that the shutdown kept from their peer.
    lost_bytes,
    /// Bytes of frames that never were complete, or came after one that was refused.
    partial_bytes,
    /// Bytes that arrived after the end of their connection was decided.
    late_bytes,
    /// Times that accepting paused because descriptors or memory ran out.
    accept_pauses,
    /// Times that a receive found no free buffer and its connection had to wait for one.
    buffer_waits,
}

impl Counters {
    /// Returns whether the shutdown kept something from its peer that it should have had.
    pub fn has_losses(&self) -> bool {
        self.lost_bytes > 0 || self.unaccepted > 0
    }

    /// Counts a connection that was accepted; without a permit it is closed at once.
    pub(crate) fn count_accepted(&mut self, permit: Option<Permit>) {
        self.accepted += 1;
        self.refused += u64::from(!matches!(permit, Some(Permit::Admitted(_))));
        self.closed += u64::from(permit.is_none());
    }

    /// Counts a connection that is over, with the bytes of its echo that were not handed to its
    /// peer's side.
    pub(crate) fn count_end(&mut self, connection: &Lifecycle, undelivered: usize) {
        self.closed += 1;
        self.partial_bytes += connection.undecided() as u64;
        match connection.cause() {
            Some(Cause::Reset) => self.resets += 1,
            Some(Cause::Failed) => self.failures += 1,
            Some(Cause::Refused) => self.protocol_errors += 1,
            Some(Cause::Idle) => self.idle_timeouts += 1,
            Some(Cause::Stalled) => self.stall_timeouts += 1,
            // Evictions and refusals are counted where they are decided.
            _ => {}
        }
        if connection.answers_for_delivery() {
            let was_unfinished = connection.undecided() + connection.late() > 0;
            let is_abandoned =
                undelivered > 0 || (connection.cause() == Some(Cause::Abandoned) && was_unfinished);
            self.abandoned += u64::from(is_abandoned);
            self.lost_bytes += undelivered as u64;
            self.late_bytes += connection.late() as u64;
        }
    }
}

/// The last line of a server that was shut down.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { abandoned, bytes_received, bytes_sent, lost_bytes, .. } = self;
        let finished = self.closed - abandoned;
        write!(
            f,
            "finished: {finished} connections, {bytes_received} bytes received, {bytes_sent} sent; \
             abandoned: {abandoned} connections, {lost_bytes} bytes lost"
        )?;
        for (count, what) in [
            (self.unaccepted, "connections never accepted"),
            (self.late_bytes, "bytes came too late"),
            (self.partial_bytes, "bytes of incomplete or refused frames"),
            (self.resets, "connections reset"),
            (self.failures, "connections failed by the kernel"),
            (self.protocol_errors, "broke the protocol"),
            (self.refused, "refused for want of room"),
            (self.evicted, "ended for want of memory"),
            (self.stall_timeouts, "stalled"),
            (self.idle_timeouts, "idle"),
            (self.accept_pauses, "pauses of accepting"),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        Ok(())
    }
}
