//! Counters of a worker.

use std::fmt;

use crate::lifecycle::{Cause, Decision, Exceeded, Lifecycle};
use crate::protocol::{ErrorCode, Tally};
use crate::units::counted;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// Totals of a worker, or of all workers added up.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Counters {
            /// Numbers of all counters.
            pub(crate) const WORDS: usize = 0 $(+ size_of::<$type>() / size_of::<u64>())*;

            /// All counters, in one order.
            pub(crate) fn words(&self) -> [u64; Self::WORDS] {
                let mut words = [0; Self::WORDS];
                let mut rest = &mut words[..];
                $(rest = self.$name.write(rest);)*
                debug_assert!(rest.is_empty());
                words
            }

            /// The counters with these [`words`](Self::words).
            pub(crate) fn of_words(words: &[u64; Self::WORDS]) -> Self {
                let mut counters = Self::default();
                let mut rest = &words[..];
                $(rest = counters.$name.read(rest);)*
                debug_assert!(rest.is_empty());
                counters
            }
        }
    };
}

/// One counter, or several of a kind.
trait Words {
    fn write<'a>(&self, to: &'a mut [u64]) -> &'a mut [u64];

    fn read<'a>(&mut self, from: &'a [u64]) -> &'a [u64];
}

impl Words for u64 {
    fn write<'a>(&self, to: &'a mut [u64]) -> &'a mut [u64] {
        let (first, rest) = to.split_first_mut().expect("there are as many words as counters");
        *first = *self;
        rest
    }

    fn read<'a>(&mut self, from: &'a [u64]) -> &'a [u64] {
        let (first, rest) = from.split_first().expect("there are as many words as counters");
        *self = *first;
        rest
    }
}

impl<const N: usize> Words for [u64; N] {
    fn write<'a>(&self, to: &'a mut [u64]) -> &'a mut [u64] {
        self.iter().fold(to, |to, word| word.write(to))
    }

    fn read<'a>(&mut self, from: &'a [u64]) -> &'a [u64] {
        self.iter_mut().fold(from, |from, word| word.read(from))
    }
}

counters! {
    /// Connections accepted, the refused ones included.
    accepted: u64,
    /// Connections closed: their peer finished, and has all its replies.
    finished: u64,
    /// Connections closed: their peer ended them before it sent anything, as health checks do.
    probes: u64,
    /// Connections closed: their peer reset them, or became unreachable.
    resets: u64,
    /// Connections closed: the kernel failed them for want of memory or another reason of this
    /// host's.
    failures: u64,
    /// Connections closed: they broke the protocol, frame timeouts included.
    protocol_errors: u64,
    /// Connections closed by the idle timeout.
    idle_timeouts: u64,
    /// Connections closed by the stall timeout.
    stall_timeouts: u64,
    /// Connections closed because memory ran out while they waited.
    evicted: u64,
    /// Connections closed because their peer did not answer keepalive probes.
    keepalive_timeouts: u64,
    /// Connections closed because there was no room for them.
    refused: u64,
    /// Connections closed by the shutdown: silent while it drained, or ended by it.
    ended_by_shutdown: u64,
    /// Connections refused by the limit on all of them.
    refused_in_all: u64,
    /// Connections refused by the limit on those of one address.
    refused_of_address: u64,
    /// Connections that the shutdown ended before they were finished.
    abandoned: u64,
    /// Connections that still waited to be accepted when the shutdown ended.
    unaccepted: u64,
    /// Bytes received from peers.
    bytes_received: u64,
    /// Bytes handed to the kernel for peers.
    bytes_sent: u64,
    /// Bytes received in time that the shutdown kept from their peer.
    lost_bytes: u64,
    /// Bytes of frames that never were complete, or came after one that was refused.
    partial_bytes: u64,
    /// Bytes that arrived after the end of their connection was decided.
    late_bytes: u64,
    /// ECHO frames answered.
    echo_frames: u64,
    /// PING frames answered.
    ping_frames: u64,
    /// Protocol errors of peers, in the order of [`ErrorCode::ALL`]; the last, busy, is our own and
    /// counted where connections are refused or evicted.
    protocol_errors_by_code: [u64; ErrorCode::ALL.len()],
    /// Times that accepting paused because descriptors or memory ran out.
    accept_pauses: u64,
    /// Times that a receive found no free buffer and its connection had to wait for one.
    buffer_waits: u64,
    /// Times that a connection in bulk was given a pipe, so that its bytes were no longer copied.
    pipes: u64,
    /// Calls of `splice(2)` that moved bytes.
    splices: u64,
    /// Turns of the worker's loop: at least one a second.
    turns: u64,
    /// Entries submitted to the ring; native driver only, as the three that follow.
    ring_submissions: u64,
    /// Completions that the ring delivered.
    ring_completions: u64,
    /// Calls of `io_uring_enter(2)`.
    ring_enters: u64,
    /// Completions that found their queue full and had to wait in the kernel.
    ring_overflows: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        let (own, others) = (self.words(), other.words());
        *self = Self::of_words(&std::array::from_fn(|index| own[index] + others[index]));
    }
}

impl Counters {
    /// Returns whether the shutdown kept something from its peer that it should have had.
    pub fn has_losses(&self) -> bool {
        self.lost_bytes > 0 || self.unaccepted > 0
    }

    /// Connections closed, for whatever reason.
    pub fn closed(&self) -> u64 {
        let Self { finished, probes, resets, failures, protocol_errors, idle_timeouts, .. } = self;
        let Self { stall_timeouts, evicted, keepalive_timeouts, refused, .. } = self;
        let by_peers = finished + probes + resets + failures + protocol_errors;
        let by_limits = idle_timeouts + stall_timeouts + evicted + keepalive_timeouts + refused;
        by_peers + by_limits + self.ended_by_shutdown
    }

    /// Counts a connection that was accepted; without a permit it is closed at once.
    pub(crate) fn count_accepted(&mut self, decision: Decision) {
        self.accepted += 1;
        match decision.exceeded {
            Some(Exceeded::InAll) => self.refused_in_all += 1,
            Some(Exceeded::OfAddress) => self.refused_of_address += 1,
            None => {}
        }
        self.refused += u64::from(decision.permit.is_none());
    }

    /// Counts what a protocol core has seen.
    pub(crate) fn count_frames(&mut self, tally: Tally) {
        self.echo_frames += u64::from(tally.echo_frames);
        self.ping_frames += u64::from(tally.ping_frames);
        if let Some(code) = tally.error {
            self.protocol_errors_by_code[usize::from(code.to_wire()) - 1] += 1;
        }
    }

    /// Counts a connection that is over, with the bytes of its echo that were not handed to its
    /// peer's side.
    pub(crate) fn count_end(&mut self, connection: &Lifecycle, undelivered: usize) {
        self.partial_bytes += connection.undecided() as u64;
        let cause = connection.cause().expect("a connection that is over has a cause");
        *self.closed_by(cause, connection.has_received()) += 1;
        if connection.answers_for_delivery() {
            let was_unfinished = connection.undecided() + connection.late() > 0;
            let is_abandoned =
                undelivered > 0 || (connection.cause() == Some(Cause::Abandoned) && was_unfinished);
            self.abandoned += u64::from(is_abandoned);
            self.lost_bytes += undelivered as u64;
            self.late_bytes += connection.late() as u64;
        }
    }

    fn closed_by(&mut self, cause: Cause, has_received: bool) -> &mut u64 {
        match cause {
            Cause::Finished | Cause::Reset if !has_received => &mut self.probes,
            Cause::Finished => &mut self.finished,
            Cause::Reset => &mut self.resets,
            Cause::Failed => &mut self.failures,
            Cause::Refused => &mut self.protocol_errors,
            Cause::Idle => &mut self.idle_timeouts,
            Cause::Stalled => &mut self.stall_timeouts,
            Cause::Evicted => &mut self.evicted,
            Cause::Unanswered => &mut self.keepalive_timeouts,
            Cause::Busy => &mut self.refused,
            Cause::Quiet | Cause::Abandoned => &mut self.ended_by_shutdown,
        }
    }
}

/// The last line of a server that was shut down.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { abandoned, bytes_received, bytes_sent, lost_bytes, .. } = self;
        let finished = self.closed() - abandoned;
        write!(
            f,
            "finished: {}, {} received, {bytes_sent} sent; abandoned: {}, {} lost",
            counted(finished, "connection"),
            counted(*bytes_received, "byte"),
            counted(*abandoned, "connection"),
            counted(*lost_bytes, "byte"),
        )?;
        for (count, what) in [
            (self.unaccepted, "connections never accepted"),
            (self.late_bytes, "bytes came too late"),
            (self.partial_bytes, "bytes of incomplete or refused frames"),
            (self.resets, "connections reset"),
            (self.failures, "connections failed by the kernel"),
            (self.protocol_errors, "broke the protocol"),
            (self.refused, "refused for want of room"),
            (self.keepalive_timeouts, "did not answer keepalive probes"),
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
