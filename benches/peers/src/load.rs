//! The load of a closed loop, for the programs that measure: what it is, its connections, its cost.

use std::error::Error;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::connection::{receive_some, send_some};

const LARGEST_MESSAGE_BYTES: usize = 16 << 20;

/// A closed loop: one message in flight on each connection.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many connections.
    pub connections: usize,
    /// Bytes of a message.
    pub size: usize,
    /// How long it is measured.
    pub duration: Duration,
}

impl Load {
    /// It runs for so long before it is measured.
    pub const WARMUP: Duration = Duration::from_millis(500);

    /// Reads CONNECTIONS SIZE SECONDS.
    pub fn parse([connections, size, seconds]: [&str; 3]) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            connections: parse_count("connections", connections, usize::MAX)?,
            size: parse_count("size", size, LARGEST_MESSAGE_BYTES)?,
            duration: parse_seconds(seconds)?,
        })
    }
}

/// The client's side of a connection.
pub struct Client {
    socket: TcpStream,
    /// Of the message in flight, bytes that the kernel has not taken.
    unsent: usize,
    /// Of its reply, bytes that have not come.
    awaited: usize,
}

impl Client {
    /// The client's side of a socket that is connected.
    pub fn new(socket: TcpStream) -> Result<Self, Box<dyn Error>> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, unsent: 0, awaited: 0 })
    }

    /// Its socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Returns whether the kernel has not taken all of the message in flight.
    pub fn is_sending(&self) -> bool {
        self.unsent > 0
    }

    /// Sends the next message, as far as the kernel takes it.
    pub fn send_next(&mut self, message: &[u8]) -> Result<(), Errno> {
        (self.unsent, self.awaited) = (message.len(), message.len());
        self.flush(message)
    }

    /// Sends the rest of the message in flight, as far as the kernel takes it.
    pub fn flush(&mut self, message: &[u8]) -> Result<(), Errno> {
        let rest = &message[message.len() - self.unsent..];
        self.unsent -= send_some(&self.socket, rest)?;
        Ok(())
    }

    /// Receives once; returns whether the reply is complete with that.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<bool, Box<dyn Error>> {
        let length = match receive_some(&self.socket, buffer)? {
            None => return Ok(false),
            Some(0) => return Err("the server closed a connection".into()),
            Some(length) => length,
        };
        let awaited = self.awaited.checked_sub(length);
        self.awaited = awaited.ok_or("the server sent more than it was asked for")?;
        Ok(self.awaited == 0)
    }
}

/// Messages of a thread and their cost, from its start on.
pub struct Meter {
    started: Instant,
    cpu: Duration,
    messages: u64,
}

impl Meter {
    /// Counts from here on, when there have been so many messages.
    pub fn start(messages: u64) -> Self {
        Self { started: Instant::now(), cpu: cpu_time(), messages }
    }

    /// Returns how many messages there were when there have been so many by now, in how many
    /// seconds, and nanoseconds of CPU for each.
    pub fn read(&self, messages: u64) -> Result<(u64, f64, f64), Box<dyn Error>> {
        let (seconds, cpu) = (self.started.elapsed().as_secs_f64(), cpu_time() - self.cpu);
        match messages - self.messages {
            0 => Err("no message came back".into()),
            messages => Ok((messages, seconds, cpu.as_nanos() as f64 / messages as f64)),
        }
    }
}

/// CPU time of this thread since its start.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Reads a number from 1 to `most`.
pub fn parse_count(what: &str, text: &str, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(format!("{what} {text:?} is not a number from 1 to {most}")),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().unwrap_or(0.0);
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("seconds {text:?} is not a number above 0")),
    }
}
