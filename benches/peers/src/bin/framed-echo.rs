//! Multiplexed, of whole frames: level-triggered epoll, and the checksum of every frame verified
//! before it goes back, `framed-echo ADDR [CPUS]`.
//!
//! It speaks of ringback's framed protocol what a load of valid ECHO frames needs, and closes a
//! connection with any other. A buffer for each connection: a frame that has not come whole stays
//! where it was received.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use ringback_peers::{BUFFER_BYTES, Echo, Fate, multiplexed, receive_some, send_some};
use rustix::io::Errno;

const HEADER_BYTES: usize = 20;
/// Of the header and payload, all that the checksum does not cover lies between these.
const CHECKSUM: std::ops::Range<usize> = 16..20;
/// Magic, version, and kind of an ECHO.
const ECHO: &[u8] = &[b'R', b'B', 1, 1];
/// The protocol's ceiling.
const MAX_PAYLOAD_BYTES: usize = 16 << 20;

fn main() -> ExitCode {
    ringback_peers::run(multiplexed::serve::<Framed>)
}

struct Framed {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// The buffer holds, in this order: what was sent, frames that were verified, bytes received.
    sent: usize,
    verified: usize,
    received: usize,
}

impl Echo for Framed {
    fn new(socket: OwnedFd) -> Result<Self, Errno> {
        let buffer = vec![0; BUFFER_BYTES];
        Ok(Self { socket, buffer, sent: 0, verified: 0, received: 0 })
    }

    fn is_sending(&self) -> bool {
        self.sent < self.verified
    }

    fn serve(&mut self, _: &mut [u8]) -> Fate {
        self.echo().unwrap_or(Fate::Closed)
    }
}

impl Framed {
    fn echo(&mut self) -> Result<Fate, Errno> {
        if !self.is_sending() {
            match receive_some(&self.socket, &mut self.buffer[self.received..])? {
                None => return Ok(Fate::Open),
                Some(0) => return Ok(Fate::Closed),
                Some(length) => self.received += length,
            }
            self.verify()?;
        }
        if self.is_sending() {
            self.sent += send_some(&self.socket, &self.buffer[self.sent..self.verified])?;
        }
        if !self.is_sending() {
            self.make_room();
        }
        Ok(Fate::Open)
    }

    /// Goes over the frames that have come whole.
    fn verify(&mut self) -> Result<(), Errno> {
        while let Some(length) = frame_length(&self.buffer[self.verified..self.received])? {
            let end = self.verified + length;
            if end > self.received {
                break;
            }
            let frame = &self.buffer[self.verified..end];
            if checksum(frame).to_be_bytes() != frame[CHECKSUM] {
                return Err(Errno::BADMSG);
            }
            self.verified = end;
        }
        Ok(())
    }

    /// Moves the frame that has not come whole to the front of a buffer that will hold it.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.verified..self.received, 0);
        (self.sent, self.verified, self.received) = (0, 0, self.received - self.verified);
        if let Ok(Some(length)) = frame_length(&self.buffer[..self.received]) {
            let length = length.max(BUFFER_BYTES);
            if length > self.buffer.len() {
                self.buffer.resize(length, 0);
            }
        }
    }
}

/// Bytes of the frame that these begin with, header included, once the header is there.
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, Errno> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [_, _, _, _, a, b, c, d, ..] = *header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !header.starts_with(ECHO) || length > MAX_PAYLOAD_BYTES {
        return Err(Errno::BADMSG);
    }
    Ok(Some(HEADER_BYTES + length))
}

fn checksum(frame: &[u8]) -> u32 {
    let header = crc32c::crc32c(&frame[..CHECKSUM.start]);
    crc32c::crc32c_append(header, &frame[CHECKSUM.end..])
}

impl AsFd for Framed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
