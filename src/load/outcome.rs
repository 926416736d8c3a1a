//! How a measurement, or a series of them, came out: decided here for every command.

/// What decides an outcome.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Evidence {
    /// The user ended it before its time.
    pub(super) was_interrupted: bool,
    /// It is not what it claims to be.
    pub(super) is_invalid: bool,
    /// Something that was asserted does not hold.
    pub(super) is_missed: bool,
    /// It decides nothing, and was asked to.
    pub(super) is_inconclusive: bool,
}

/// How a measurement, or a series of them, came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Valid, and everything asserted holds.
    Passed,
    /// Valid, and something that was asserted does not hold.
    Missed,
    /// Valid, and decides nothing where it was asked to.
    Inconclusive,
    /// Not what it claims to be.
    Invalid,
    /// Ended before its time, whatever else is wrong with it.
    Incomplete,
}

impl Outcome {
    pub(super) fn of(evidence: Evidence) -> Self {
        match evidence {
            Evidence { was_interrupted: true, .. } => Self::Incomplete,
            Evidence { is_invalid: true, .. } => Self::Invalid,
            Evidence { is_missed: true, .. } => Self::Missed,
            Evidence { is_inconclusive: true, .. } => Self::Inconclusive,
            Evidence { .. } => Self::Passed,
        }
    }

    /// The word of the report's verdict.
    pub(super) fn verdict(self) -> &'static str {
        match self {
            Self::Passed | Self::Missed | Self::Inconclusive => "VALID",
            Self::Invalid => "INVALID",
            Self::Incomplete => "INCOMPLETE",
        }
    }
}
