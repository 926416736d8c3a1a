//! Bugs that the simulation is known to catch.

/// A bug planted between the driver and the kernel. A simulation that runs clean under one of them
/// proves nothing, so every test run turns each on in turn and expects a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The bytes of a send are overwritten while it is in flight.
    RecycleBeforeSendCompletes,
    /// The driver never learns that a multishot receive ended.
    IgnoreTheEndOfAMultishot,
    /// The driver takes a short send for a whole one.
    DropTheRestOfAShortSend,
    /// A receive that found no buffer is never armed again.
    ForgetParkedConnections,
    /// The driver believes a cancelled operation over before it is.
    FreeBeforeTheCancelCompletes,
    /// A completion reaches the connection that took the slot after the one it was for.
    SkipTheGenerationCheck,
    /// A send goes out while another of the same connection is in flight.
    TwoSendsInFlight,
    /// Every seventh lease that is given up is lost.
    LeakALease,
    /// A buffer that is free is handed out twice.
    FreeABufferTwice,
    /// The driver never learns that a full socket has room.
    MissWritableSockets,
    /// The driver takes a cancellation that missed for one that did not.
    HideMissedCancels,
    /// Bytes that the peer had not acknowledged at the end do not count.
    ForgetUnacknowledgedBytes,
    /// Probes find nothing queued, whatever is.
    ProbeAnEmptyQueue,
    /// New handshakes are not held off before a listener is closed.
    HoldNothingOff,
    /// The queue of a listener that is to be closed is taken for empty.
    LeaveTheQueue,
    /// Peers that wait when a listener is closed do not count.
    ForgetWhoWaits,
    /// Peers that were accepted before the accept was cancelled, and are told of later, are dropped.
    DropLateAccepts,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::RecycleBeforeSendCompletes,
        Self::IgnoreTheEndOfAMultishot,
        Self::DropTheRestOfAShortSend,
        Self::ForgetParkedConnections,
        Self::FreeBeforeTheCancelCompletes,
        Self::SkipTheGenerationCheck,
        Self::TwoSendsInFlight,
        Self::LeakALease,
        Self::FreeABufferTwice,
        Self::MissWritableSockets,
        Self::HideMissedCancels,
        Self::ForgetUnacknowledgedBytes,
        Self::ProbeAnEmptyQueue,
        Self::HoldNothingOff,
        Self::LeaveTheQueue,
        Self::ForgetWhoWaits,
        Self::DropLateAccepts,
    ];

    /// Those that a driver can have which is told what is ready.
    pub const OF_COPYING: [Self; 8] = [
        Self::RecycleBeforeSendCompletes,
        Self::DropTheRestOfAShortSend,
        Self::MissWritableSockets,
        Self::ForgetUnacknowledgedBytes,
        Self::ProbeAnEmptyQueue,
        Self::HoldNothingOff,
        Self::LeaveTheQueue,
        Self::ForgetWhoWaits,
    ];

    /// Parts of the failures by which the simulation catches this one.
    pub fn symptoms(self) -> &'static [&'static str] {
        match self {
            Self::RecycleBeforeSendCompletes => &["differ from what was sent", "malformed"],
            Self::IgnoreTheEndOfAMultishot | Self::ForgetParkedConnections => &["stuck"],
            Self::DropTheRestOfAShortSend => &["differ from what was sent", "malformed"],
            Self::FreeBeforeTheCancelCompletes => {
                &["freed before its last completion", "freed with an operation in flight"]
            }
            Self::SkipTheGenerationCheck => &["one receive in flight", "freed"],
            Self::TwoSendsInFlight => &["one send in flight"],
            Self::LeakALease => &["never came back"],
            Self::FreeABufferTwice => &["given out twice"],
            Self::MissWritableSockets | Self::HideMissedCancels => &["stuck"],
            Self::ForgetUnacknowledgedBytes => &["counted as lost"],
            Self::ProbeAnEmptyQueue => &["no reset"],
            Self::HoldNothingOff => &["while peers connect"],
            Self::LeaveTheQueue | Self::ForgetWhoWaits => &["were never accepted"],
            Self::DropLateAccepts => &["were accepted"],
        }
    }
}
