//! A protocol of one's own on the native driver: the `PING` of Redis, inline and as an array (RESP).
//!
//! ```text
//! cargo run --release --example ping_server 127.0.0.1:6379
//! redis-benchmark -p 6379 -t ping_inline,ping_mbulk
//! ```

use std::error::Error;
use std::ops::Range;
use std::time::Instant;

use ringback::protocol::{
    CloseReason, Connection, InlineBytes, Input, Output, Protocol, StreamOffset,
};
use ringback::server::{Config, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:6379".to_owned()).parse()?;
    let server = Server::start(&Config::with_protocol(vec![address], Ping))?;
    eprintln!("listening on {}", server.local_addresses()[0]);
    server.wait()?;
    Ok(())
}

#[derive(Debug, Clone)]
struct Ping;

/// Nothing is kept of a command but its line, and what is left of its arguments.
#[derive(Debug, Default)]
struct PingConnection {
    line: Vec<u8>,
    /// Lengths and arguments of the array that are still to come, two lines each.
    lines_left: usize,
    /// The name of the command is the array's first argument.
    is_name_due: bool,
    decided: Range<StreamOffset>,
    replies: Vec<u8>,
    close: Option<CloseReason>,
}

#[derive(Debug, thiserror::Error)]
#[error("a line is longer than {MAX_LINE} bytes")]
struct LineTooLong;

/// As many as fit one [`InlineBytes`].
const MAX_REPLIES: usize = InlineBytes::CAPACITY / UNKNOWN.len();
const MAX_LINE: usize = 512;
const PONG: &[u8] = b"+PONG\r\n";
const UNKNOWN: &[u8] = b"-ERR unknown command\r\n";

impl Protocol for Ping {
    type Connection = PingConnection;

    fn connection(&self) -> PingConnection {
        PingConnection::default()
    }
}

impl Connection for PingConnection {
    type Error = LineTooLong;

    fn handle_input(&mut self, _: Instant, input: Input<'_>) -> Result<usize, LineTooLong> {
        match input {
            Input::Data(bytes) => return self.read(bytes),
            Input::Eof => self.close = Some(CloseReason::Finished),
            Input::Busy => self.close = Some(CloseReason::Busy),
            Input::Drain | Input::Timeout => {}
        }
        Ok(0)
    }

    fn poll_output(&mut self) -> Option<Output> {
        if !self.decided.is_empty() {
            let decided = self.decided.clone();
            self.decided.start = self.decided.end;
            return Some(Output::Discard(decided));
        }
        if !self.replies.is_empty() {
            let replies = InlineBytes::copy_of(&self.replies);
            self.replies.clear();
            return Some(Output::Emit(replies));
        }
        self.close.take().map(Output::Close)
    }
}

impl PingConnection {
    /// Reads lines until there are enough replies; returns how many bytes that took.
    fn read(&mut self, bytes: &[u8]) -> Result<usize, LineTooLong> {
        let (mut taken, mut replies) = (0, 0);
        while taken < bytes.len() && replies < MAX_REPLIES {
            self.line.push(bytes[taken]);
            taken += 1;
            self.decided.end += 1;
            if self.line.ends_with(b"\r\n") {
                let line = std::mem::take(&mut self.line);
                replies += usize::from(self.handle_line(&line[..line.len() - 2]));
            } else if self.line.len() > MAX_LINE {
                self.close = Some(CloseReason::Refused);
                return Err(LineTooLong);
            }
        }
        Ok(taken)
    }

    /// Handles a line without its end; returns whether that was answered.
    fn handle_line(&mut self, line: &[u8]) -> bool {
        if self.lines_left > 0 {
            self.lines_left -= 1;
            let is_length = self.lines_left % 2 == 1;
            if is_length || !std::mem::take(&mut self.is_name_due) {
                return false;
            }
        } else if let Some(count) = line.strip_prefix(b"*") {
            let count = str::from_utf8(count).ok().and_then(|text| text.parse::<usize>().ok());
            self.lines_left = 2 * count.unwrap_or(0).min(MAX_LINE);
            self.is_name_due = true;
            return false;
        }
        let is_ping = line.eq_ignore_ascii_case(b"PING");
        self.replies.extend_from_slice(if is_ping { PONG } else { UNKNOWN });
        true
    }
}
