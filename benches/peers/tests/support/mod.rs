//! A peer that runs, and the bytes that it echoes.

#![allow(dead_code, unused_imports, reason = "no suite uses everything")]

#[path = "../../../../tests/support/noise.rs"]
mod noise;

pub use self::noise::noise;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Long enough for any machine: reaching it means that something hangs.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
pub const HEADER_BYTES: usize = 20;
/// Of the frames that are sent: more than a peer reads at once.
pub const FRAME_BYTES: usize = 100_000;

/// A peer on a free port, ended when dropped.
pub struct Peer {
    pub process: Child,
    pub address: SocketAddr,
    pub is_framed: bool,
}

impl Peer {
    pub fn start(program: &str) -> Self {
        Self::start_on(program, &[])
    }

    pub fn start_on(program: &str, cpus: &[&str]) -> Self {
        let mut process = Command::new(program)
            .arg("127.0.0.1:0")
            .args(cpus)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").expect(&line).trim().parse().unwrap();
        Self { process, address, is_framed: program.ends_with("framed-echo") }
    }

    /// The bytes as this peer echoes them: in frames of [`FRAME_BYTES`], if it wants frames.
    pub fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        if self.is_framed {
            bytes.chunks(FRAME_BYTES - HEADER_BYTES).flat_map(frame).collect()
        } else {
            bytes.to_vec()
        }
    }

    pub fn exchange(&self, mut stream: &TcpStream, bytes: &[u8]) {
        let message = self.encode(bytes);
        stream.write_all(&message).unwrap();
        let mut reply = vec![0; message.len()];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply, message);
    }

    /// A connection that fails instead of hanging.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream
    }

    pub fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// An ECHO of ringback's framed protocol, which tests/vectors of ringback describes.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = b"RB\x01\x01".to_vec();
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(7_u64.to_be_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&frame), payload);
    frame.extend(checksum.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A program that failed says why.
pub fn assert_explained(output: &Output, code: i32, word: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(word), "not {word:?} but {said}");
}
