//! Cuts a stream into verified frames.
//!
//! Keeps at most one header and the first `CAPTURE` bytes of a control frame's payload; an ECHO's
//! payload is only summed. A frame may arrive in any number of pieces.

use super::error::{ErrorCode, ProtocolError};
use super::frame::{HEADER_LEN, Header, Kind, Reader, checksum_of_header, extend_checksum};

#[derive(Debug, Clone)]
pub(crate) struct FrameReader<const CAPTURE: usize> {
    reader: Reader,
    max_frame: u32,
    state: State,
    captured: [u8; CAPTURE],
}

#[derive(Debug, Clone, Copy)]
enum State {
    Header { bytes: [u8; HEADER_LEN], filled: usize },
    Payload { header: Header, filled: u32, checksum: u32 },
}

impl State {
    const START: Self = Self::Header { bytes: [0; HEADER_LEN], filled: 0 };
}

/// Result of reading a piece of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All bytes were taken and the frame is not complete.
    NeedMore,
    /// A frame is complete and its checksum is right.
    Frame(Header),
    /// The frame is refused; the last byte taken is the one that decided it.
    Refused(ProtocolError),
}

impl<const CAPTURE: usize> FrameReader<CAPTURE> {
    pub(crate) fn new(reader: Reader, max_frame: u32) -> Self {
        Self { reader, max_frame, state: State::START, captured: [0; CAPTURE] }
    }

    /// Returns whether some bytes of a frame have arrived, but not all.
    pub(crate) fn is_inside_frame(&self) -> bool {
        !matches!(self.state, State::Header { filled: 0, .. })
    }

    /// Sequence of the frame that is arriving, 0 while its header is incomplete.
    pub(crate) fn sequence(&self) -> u64 {
        match self.state {
            State::Header { .. } => 0,
            State::Payload { header, .. } => header.sequence,
        }
    }

    /// The payload of the control frame that [`Progress::Frame`] just announced.
    pub(crate) fn captured(&self, header: &Header) -> &[u8] {
        &self.captured[..header.length as usize]
    }

    /// Takes bytes up to the end of the current frame; returns how many, and what they made.
    pub(crate) fn read(&mut self, input: &[u8]) -> (usize, Progress) {
        if let Some((taken, header)) = self.read_whole(input) {
            return (taken, Progress::Frame(header));
        }
        let mut taken = 0;
        if let State::Header { bytes, filled } = &mut self.state {
            taken = input.len().min(HEADER_LEN - *filled);
            bytes[*filled..*filled + taken].copy_from_slice(&input[..taken]);
            *filled += taken;
            if *filled < HEADER_LEN {
                return (taken, Progress::NeedMore);
            }
            match Header::parse(bytes, self.reader, self.max_frame) {
                Ok(header) => {
                    let checksum = checksum_of_header(bytes);
                    self.state = State::Payload { header, filled: 0, checksum };
                }
                Err(error) => return (taken, Progress::Refused(error)),
            }
        }
        let (of_payload, progress) = self.read_payload(&input[taken..]);
        (taken + of_payload, progress)
    }

    /// A good frame that arrived in one piece, as most do: no state has to be kept of it.
    fn read_whole(&mut self, input: &[u8]) -> Option<(usize, Header)> {
        if self.is_inside_frame() {
            return None;
        }
        let bytes = input.first_chunk()?;
        let header = Header::parse(bytes, self.reader, self.max_frame).ok()?;
        let end = HEADER_LEN + header.length as usize;
        let payload = input.get(HEADER_LEN..end)?;
        if extend_checksum(checksum_of_header(bytes), payload) != header.checksum {
            return None;
        }
        if header.kind != Kind::Echo {
            self.captured[..payload.len()].copy_from_slice(payload);
        }
        Some((end, header))
    }

    fn read_payload(&mut self, input: &[u8]) -> (usize, Progress) {
        let State::Payload { header, filled, checksum } = &mut self.state else {
            unreachable!("called when the header is complete");
        };
        let taken = input.len().min((header.length - *filled) as usize);
        let piece = &input[..taken];
        *checksum = extend_checksum(*checksum, piece);
        if header.kind != Kind::Echo {
            let start = *filled as usize;
            self.captured[start..start + taken].copy_from_slice(piece);
        }
        *filled += taken as u32;
        if *filled < header.length {
            return (taken, Progress::NeedMore);
        }
        let (header, checksum) = (*header, *checksum);
        self.state = State::START;
        if checksum != header.checksum {
            let error =
                ProtocolError { code: ErrorCode::ChecksumMismatch, sequence: header.sequence };
            return (taken, Progress::Refused(error));
        }
        (taken, Progress::Frame(header))
    }
}
