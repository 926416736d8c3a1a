//! The header of a frame: where its fields are, how it is written and checked.
//!
//! Never sees a stream or a connection: one header at a time.

use super::error::{ErrorCode, ProtocolError};

/// Bytes of a header.
pub const HEADER_LEN: usize = 20;
/// Longest payload of PING and PONG in bytes.
pub const MAX_PING: usize = 64;
/// Longest text of an ERROR in bytes; two bytes of code stand before it.
pub const MAX_ERROR_TEXT: usize = 200;
/// Highest `max_frame` that can be configured: 16 MiB.
pub const MAX_FRAME_CEILING: u32 = 16 << 20;

pub(crate) const ERROR_CODE_LEN: usize = 2;
pub(crate) const MAX_ERROR: usize = ERROR_CODE_LEN + MAX_ERROR_TEXT;

const MAGIC: [u8; 2] = *b"RB";
const VERSION: u8 = 1;

/// Byte positions inside a header. Integers are big-endian.
mod field {
    use std::ops::Range;

    pub(super) const MAGIC: Range<usize> = 0..2;
    pub(super) const VERSION: usize = 2;
    pub(super) const KIND: usize = 3;
    pub(super) const LENGTH: Range<usize> = 4..8;
    pub(super) const SEQUENCE: Range<usize> = 8..16;
    pub(super) const CHECKSUM: Range<usize> = 16..20;
    /// The part of the header that the checksum covers.
    pub(super) const CHECKED: Range<usize> = 0..16;
}

/// Purpose of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Returned byte for byte.
    Echo = 1,
    /// Answered by a PONG with the same sequence and payload.
    Ping = 2,
    /// Answer to a PING.
    Pong = 3,
    /// The server is draining; its sequence is that of the last verified frame.
    GoAway = 4,
    /// The server ends the connection; the payload is the reason.
    Error = 5,
}

impl Kind {
    fn from_wire(byte: u8) -> Option<Self> {
        [Self::Echo, Self::Ping, Self::Pong, Self::GoAway, Self::Error]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }

    fn max_payload(self, max_frame: u32) -> u32 {
        match self {
            Self::Echo => max_frame,
            Self::Ping => max_frame.min(MAX_PING as u32),
            Self::Pong => MAX_PING as u32,
            Self::GoAway => 0,
            Self::Error => MAX_ERROR as u32,
        }
    }
}

/// Which end of a connection reads a frame; it decides which kinds may arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Server,
    Client,
}

impl Reader {
    fn expects(self, kind: Kind) -> bool {
        match self {
            Self::Server => matches!(kind, Kind::Echo | Kind::Ping),
            Self::Client => kind != Kind::Ping,
        }
    }
}

/// A header that passed its checks, or one about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Purpose of the frame.
    pub kind: Kind,
    /// Length of the payload in bytes.
    pub length: u32,
    /// Chosen by the sender of a request, returned unchanged.
    pub sequence: u64,
    /// CRC-32C of the first 16 header bytes and the payload.
    pub checksum: u32,
}

impl Header {
    /// The header for `payload`, its checksum computed.
    ///
    /// # Panics
    ///
    /// When the payload is longer than [`MAX_FRAME_CEILING`]: no peer would read it.
    pub fn new(kind: Kind, sequence: u64, payload: &[u8]) -> Self {
        assert!(payload.len() <= MAX_FRAME_CEILING as usize, "payload above the ceiling");
        let mut header = Self { kind, length: payload.len() as u32, sequence, checksum: 0 };
        let seed = checksum_of_header(&header.encode());
        header.checksum = extend_checksum(seed, payload);
        header
    }

    /// The header as it is sent.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[field::MAGIC].copy_from_slice(&MAGIC);
        bytes[field::VERSION] = VERSION;
        bytes[field::KIND] = self.kind as u8;
        bytes[field::LENGTH].copy_from_slice(&self.length.to_be_bytes());
        bytes[field::SEQUENCE].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[field::CHECKSUM].copy_from_slice(&self.checksum.to_be_bytes());
        bytes
    }

    /// Checks magic, version, kind and length, in this order. The checksum can only be judged
    /// when the payload is complete.
    pub(crate) fn parse(
        bytes: &[u8; HEADER_LEN],
        reader: Reader,
        max_frame: u32,
    ) -> Result<Self, ProtocolError> {
        if bytes[field::MAGIC] != MAGIC {
            return Err(ProtocolError { code: ErrorCode::BadMagic, sequence: 0 });
        }
        let sequence = u64::from_be_bytes(array(&bytes[field::SEQUENCE]));
        let error = |code| ProtocolError { code, sequence };
        if bytes[field::VERSION] != VERSION {
            return Err(error(ErrorCode::UnsupportedVersion));
        }
        let kind =
            Kind::from_wire(bytes[field::KIND]).ok_or_else(|| error(ErrorCode::UnknownKind))?;
        if !reader.expects(kind) {
            return Err(error(ErrorCode::UnexpectedKind));
        }
        let length = u32::from_be_bytes(array(&bytes[field::LENGTH]));
        if length > kind.max_payload(max_frame) {
            return Err(error(ErrorCode::FrameTooLarge));
        }
        let checksum = u32::from_be_bytes(array(&bytes[field::CHECKSUM]));
        Ok(Self { kind, length, sequence, checksum })
    }
}

/// CRC-32C of the checked part of a header, to be extended by the payload.
pub(crate) fn checksum_of_header(bytes: &[u8; HEADER_LEN]) -> u32 {
    crc32c::crc32c(&bytes[field::CHECKED])
}

/// Continues a CRC-32C over more bytes.
pub(crate) fn extend_checksum(checksum: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(checksum, bytes)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("a field range has the width of its integer")
}
