//! The outcome of a measurement, decided once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The outcome of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Valid, and everything asserted holds.
    Passed,
    /// Valid, and an assertion does not hold.
    Missed,
    /// Not valid for nothing but the generator's lateness: response times are longer than they
    /// would have been, never shorter.
    GeneratorLimited,
    /// Not valid since the host kept the server or the generator from running, or had no
    /// descriptors or ports for the generator's connections.
    HostAtFault,
    /// Not valid since too few samples support an asserted percentile; the generator may have been
    /// late as well.
    TooFewSamples,
    /// Not valid: the server failed, fell behind, or missed an assertion in a run that has other
    /// flaws.
    ServerAtFault,
    /// Not valid since logs that were added up are not those of one run: parts are missing, twice
    /// there or without a result, were measured at different times, or received what the server did
    /// not send.
    NotWhole,
    /// Of logs that were added up, one of which does not say how its run came out.
    Unknown,
    /// A comparison that decides nothing where it was asked to.
    Inconclusive,
    /// Ended before its time, whatever else is wrong with it.
    Incomplete,
}

impl Outcome {
    /// Returns whether the numbers may be used.
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Passed | Self::Missed | Self::Inconclusive)
    }

    /// Returns whether the numbers are known to be of no use.
    pub(crate) fn is_invalid(self) -> bool {
        !self.is_valid() && !matches!(self, Self::Incomplete | Self::Unknown)
    }

    /// Returns whether the measurement says nothing of the server, so that another may.
    pub fn is_worth_repeating(self) -> bool {
        matches!(self, Self::GeneratorLimited | Self::HostAtFault | Self::TooFewSamples)
    }

    /// The exit code of a program that has delivered a report of this outcome.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Passed | Self::Unknown => 0,
            Self::Missed => 3,
            Self::GeneratorLimited
            | Self::HostAtFault
            | Self::TooFewSamples
            | Self::ServerAtFault
            | Self::NotWhole => 4,
            Self::Incomplete => 5,
            Self::Inconclusive => 6,
        }
    }

    /// The word of a report's verdict.
    pub(crate) fn verdict(self) -> &'static str {
        match self {
            Self::Incomplete => "INCOMPLETE",
            Self::Unknown => "UNKNOWN",
            _ if self.is_invalid() => "INVALID",
            _ => "VALID",
        }
    }
}
