//! Events of a connection that are worth counting.

use super::ErrorCode;

/// Frames and errors that a connection has seen since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// ECHO frames answered.
    pub echo_frames: u32,
    /// PING frames answered.
    pub ping_frames: u32,
    /// The error with which the peer ended the connection.
    pub error: Option<ErrorCode>,
}
