//! Errors of a peer, as they are named on the wire.

use std::fmt;

/// The code of an ERROR frame, a big-endian `u16` at the start of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// The frame does not begin with `RB`.
    BadMagic = 1,
    /// The version is not 1.
    UnsupportedVersion = 2,
    /// The kind is 0 or above 5.
    UnknownKind = 3,
    /// The payload is longer than the limit of its kind.
    FrameTooLarge = 4,
    /// The CRC-32C does not match header and payload.
    ChecksumMismatch = 5,
    /// The peer sent FIN inside a frame.
    Truncated = 6,
    /// A frame took longer than the frame timeout to arrive.
    FrameTimeout = 7,
    /// The kind exists but may not be sent in this direction.
    UnexpectedKind = 8,
    /// The server has no room for this connection.
    Busy = 9,
}

impl ErrorCode {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 9] = [
        Self::BadMagic,
        Self::UnsupportedVersion,
        Self::UnknownKind,
        Self::FrameTooLarge,
        Self::ChecksumMismatch,
        Self::Truncated,
        Self::FrameTimeout,
        Self::UnexpectedKind,
        Self::Busy,
    ];

    /// The code with this number on the wire, if there is one.
    pub fn from_wire(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.to_wire() == number)
    }

    /// The number of this code on the wire.
    pub fn to_wire(self) -> u16 {
        self as u16
    }

    /// The name for programs, such as a label of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadMagic => "bad_magic",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnknownKind => "unknown_kind",
            Self::FrameTooLarge => "frame_too_large",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::Truncated => "truncated",
            Self::FrameTimeout => "frame_timeout",
            Self::UnexpectedKind => "unexpected_kind",
            Self::Busy => "busy",
        }
    }

    /// The text of the ERROR frame: cause and fix for the person who debugs the peer. Every text
    /// is shorter than [`MAX_ERROR_TEXT`](super::MAX_ERROR_TEXT).
    pub fn text(self) -> &'static str {
        match self {
            Self::BadMagic => "bad magic: a frame starts with the bytes 0x52 0x42",
            Self::UnsupportedVersion => "unsupported version: this server speaks version 1",
            Self::UnknownKind => "unknown kind: send ECHO (1) or PING (2)",
            Self::FrameTooLarge => {
                "frame too large: PING carries at most 64 bytes, ECHO at most the server's --max-frame"
            }
            Self::ChecksumMismatch => {
                "checksum mismatch: CRC-32C (Castagnoli) covers header bytes 0..16, then the payload"
            }
            Self::Truncated => "truncated: the stream ended inside a frame",
            Self::FrameTimeout => "frame timeout: the frame took too long to arrive",
            Self::UnexpectedKind => "unexpected kind: only a server sends PONG, GOAWAY and ERROR",
            Self::Busy => "busy: the server has no room for this connection, try again later",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why a connection was ended by the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{code} (error {}, sequence {sequence})", code.to_wire())]
pub struct ProtocolError {
    /// The error.
    pub code: ErrorCode,
    /// Sequence of the offending frame; 0 where its header never was complete or not a header.
    pub sequence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::MAX_ERROR_TEXT;

    #[test]
    fn codes_have_the_numbers_of_the_wire_format() {
        let numbers = ErrorCode::ALL.map(ErrorCode::to_wire);
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_wire(code.to_wire()), Some(code));
        }
        for unknown in [0, 10, 256, u16::MAX] {
            assert_eq!(ErrorCode::from_wire(unknown), None);
        }
    }

    #[test]
    fn every_text_is_its_own_and_fits() {
        for (index, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert!((1..=MAX_ERROR_TEXT).contains(&code.text().len()), "{code:?}");
            assert!(ErrorCode::ALL[..index].iter().all(|other| other.text() != code.text()));
        }
    }
}
