//! The `framed` wire format a second time, written from the design's table.
//!
//! Never calls `protocol`: bytes are taken one by one, and so is the checksum computed.

/// Bytes of a header.
pub const HEADER: usize = 20;
/// Kind of a frame that is returned byte for byte.
pub const ECHO: u8 = 1;
/// Kind of a frame that is answered by a PONG.
pub const PING: u8 = 2;
/// Kind of the answer to a PING.
pub const PONG: u8 = 3;
/// Kind of a server's request to finish.
pub const GOAWAY: u8 = 4;
/// Kind of a server's complaint.
pub const ERROR: u8 = 5;

/// The fields of a header, with whatever values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Offset 0; `RB` in a valid header.
    pub magic: [u8; 2],
    /// Offset 2; 1 in a valid header.
    pub version: u8,
    /// Offset 3.
    pub kind: u8,
    /// Offset 4: bytes of payload.
    pub length: u32,
    /// Offset 8.
    pub sequence: u64,
    /// Offset 16.
    pub checksum: u32,
}

impl Fields {
    /// A valid header for this payload.
    pub fn valid(kind: u8, sequence: u64, payload: &[u8]) -> Self {
        let length = payload.len() as u32;
        let mut fields = Self { magic: *b"RB", version: 1, kind, length, sequence, checksum: 0 };
        fields.checksum = fields.right_checksum(payload);
        fields
    }

    /// The first 20 bytes as a header; `None` while there are fewer.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER {
            return None;
        }
        let integer = |from: usize, to: usize| {
            bytes[from..to].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        Some(Self {
            magic: [bytes[0], bytes[1]],
            version: bytes[2],
            kind: bytes[3],
            length: integer(4, 8) as u32,
            sequence: integer(8, 16),
            checksum: integer(16, 20) as u32,
        })
    }

    /// The header's 20 bytes.
    pub fn write(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..2].copy_from_slice(&self.magic);
        bytes[2] = self.version;
        bytes[3] = self.kind;
        bytes[4..8].copy_from_slice(&self.length.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[16..].copy_from_slice(&self.checksum.to_be_bytes());
        bytes
    }

    /// The checksum that this header should carry before `payload`.
    pub fn right_checksum(&self, payload: &[u8]) -> u32 {
        crc32c(self.write()[..16].iter().chain(payload))
    }
}

/// A valid frame, header and payload.
pub fn frame(kind: u8, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Fields::valid(kind, sequence, payload).write().to_vec();
    bytes.extend(payload);
    bytes
}

/// CRC-32C (Castagnoli), reflected, one byte at a time.
pub fn crc32c<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u32 {
    let next = |remainder: u32, byte: &u8| {
        REMAINDERS[usize::from(remainder as u8 ^ byte)] ^ (remainder >> 8)
    };
    !bytes.into_iter().fold(!0, next)
}

/// The remainder of each byte, computed one bit at a time.
const REMAINDERS: [u32; 256] = {
    let mut remainders = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let divides = remainder & 1 == 1;
            remainder >>= 1;
            if divides {
                remainder ^= 0x82F6_3B78;
            }
            bit += 1;
        }
        remainders[byte] = remainder;
        byte += 1;
    }
    remainders
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32C and the test vectors of RFC 3720, B.4.
    #[test]
    fn crc32c_matches_published_vectors() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46DD_794E);
    }
}
