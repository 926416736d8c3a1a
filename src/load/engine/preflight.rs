//! One message on one connection before the load: does an echo server listen there at all?
//!
//! The answer only has to look like what was sent: as many bytes, or most of them. A server that
//! alters them is left to the run, whose verdict tells it. Nothing of this is in the run's totals.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::load::config::sizes::SizeDraw;
use crate::load::config::{Config, Protocol};
use crate::load::engine::connect::{POLL_INTERVAL, connect_first, wait_for};
use crate::load::engine::wire::RECEIVE_CHUNK;
use crate::load::error::RunError;
use crate::load::format::printable;
use crate::load::random::SplitMix64;
use crate::protocol::{FramedClient, Header, Kind, Reply};

const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long the server may take to close, so that it has room for the run's connections.
const CLOSE_LIMIT: Duration = Duration::from_millis(250);

pub(crate) fn check(config: &Config) -> Result<(), RunError> {
    let target = || config.target.name.clone();
    let interrupted = || RunError::Interrupted { doing: "connecting" };
    let connected = connect_first(&config.target.addresses, &config.sources, &config.interrupt);
    let (_, socket, _) = connected.map_err(|source| match config.interrupt.is_raised() {
        true => interrupted(),
        false => RunError::Connect { target: target(), source },
    })?;
    let no_echo =
        |why| RunError::NoEcho { target: target(), protocol: config.protocol.name(), why };
    let mut exchange = Exchange::new(socket, config.protocol, message(config));
    let limit = ANSWER_LIMIT.min(config.timeout);
    let deadline = Instant::now() + limit;
    while !exchange.is_answered() {
        if config.interrupt.is_raised() {
            return Err(interrupted());
        }
        if Instant::now() >= deadline {
            return Err(no_echo(exchange.silence(limit)));
        }
        exchange.wait(deadline).map_err(no_echo)?;
    }
    exchange.close();
    Ok(())
}

/// The first message of a connection of the run, with other bytes.
pub(crate) fn message(config: &Config) -> Vec<u8> {
    /// No stream of the run's own.
    const STREAM: u64 = 0x7072_6566_6c69_6768;
    let length = SizeDraw::new(config.seed, 0).next(&config.sizes);
    let mut random = SplitMix64::new(config.seed ^ STREAM);
    let payload: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    match config.protocol {
        Protocol::Raw => payload,
        Protocol::Framed => [&Header::new(Kind::Echo, 1, &payload).encode()[..], &payload].concat(),
    }
}

struct Exchange {
    socket: TcpStream,
    protocol: Protocol,
    message: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    /// Bytes of the answer that are those that were sent.
    same: usize,
}

impl Exchange {
    fn new(socket: TcpStream, protocol: Protocol, message: Vec<u8>) -> Self {
        Self { socket, protocol, message, sent: 0, answer: Vec::new(), same: 0 }
    }

    fn is_answered(&self) -> bool {
        self.answer.len() >= self.message.len()
    }

    /// Waits for the socket, then sends and receives what it takes and has. Fails, in words, where
    /// the exchange ends early.
    fn wait(&mut self, deadline: Instant) -> Result<(), String> {
        let wanted = match self.sent < self.message.len() {
            true => PollFlags::IN | PollFlags::OUT,
            false => PollFlags::IN,
        };
        let timeout = deadline.saturating_duration_since(Instant::now()).min(POLL_INTERVAL);
        wait_for(&mut [PollFd::new(&self.socket, wanted)], timeout)
            .map_err(|error| self.failed(error))?;
        if self.sent < self.message.len() {
            self.send()?;
        }
        self.receive()
    }

    fn send(&mut self) -> Result<(), String> {
        match send(&self.socket, &self.message[self.sent..], SendFlags::NOSIGNAL) {
            Ok(sent) => self.sent += sent,
            Err(Errno::AGAIN) => {}
            // What the server said before it closed is still to be read.
            Err(Errno::PIPE | Errno::CONNRESET) => self.sent = self.message.len(),
            Err(error) => return Err(self.failed(error)),
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), String> {
        let mut buffer = [0; RECEIVE_CHUNK];
        match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => {
                let (after, hint) = (self.after(), hint(self.protocol, &self.answer));
                return Err(format!("it closed the connection {after}{hint}"));
            }
            Ok((length, _)) => self.take(&buffer[..length]),
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        }
        match self.is_echo() {
            true => Ok(()),
            false => {
                let hint = hint(self.protocol, &self.answer);
                Err(format!("it answered {}{hint}", quote(&self.answer)))
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let expected = self.message.iter().skip(self.answer.len());
        self.same += bytes.iter().zip(expected).filter(|(got, sent)| got == sent).count();
        self.answer.extend_from_slice(bytes);
    }

    /// Returns whether as many bytes came as were sent, or most of those that came are the same.
    /// Few say nothing yet.
    fn is_echo(&self) -> bool {
        const TELLING_BYTES: usize = 4;
        let (seen, all) = (self.answer.len(), self.message.len());
        seen == all || (seen < TELLING_BYTES && seen < all) || self.same * 2 >= seen.min(all)
    }

    /// Gives the server time to forget the connection.
    fn close(mut self) {
        let deadline = Instant::now() + CLOSE_LIMIT;
        // It fails only where the connection has ended.
        let _ = self.socket.shutdown(Shutdown::Write);
        self.sent = self.message.len();
        // Until its FIN; what it says yet is the run's matter.
        while Instant::now() < deadline && self.wait(deadline).is_ok() {}
    }

    fn silence(&self, limit: Duration) -> String {
        let all = self.message.len();
        match self.answer.len() {
            0 => format!("it did not answer a message of {all} bytes within {limit:?}"),
            some => format!(
                "it answered {some} of {all} bytes within {limit:?}, {}",
                quote(&self.answer)
            ),
        }
    }

    fn failed(&self, error: Errno) -> String {
        format!("the connection failed {}: {}", self.after(), io::Error::from(error))
    }

    fn after(&self) -> String {
        match self.answer.as_slice() {
            [] => "without an answer".to_owned(),
            answer => format!("after it had answered {}", quote(answer)),
        }
    }
}

/// The beginning of an answer, as a literal of one line.
fn quote(answer: &[u8]) -> String {
    const MAX_SHOWN: usize = 48;
    let (shown, more) = match answer.get(..MAX_SHOWN) {
        Some(beginning) if beginning.len() < answer.len() => (beginning, "..."),
        _ => (answer, ""),
    };
    format!("\"{}\"{more}", shown.escape_ascii())
}

fn hint(protocol: Protocol, answer: &[u8]) -> String {
    match protocol {
        Protocol::Framed => refusal(answer),
        Protocol::Raw => None,
    }
    .unwrap_or_else(|| foreign_protocol(answer).to_owned())
}

/// A server that speaks the framed protocol says why it ends a connection.
fn refusal(answer: &[u8]) -> Option<String> {
    let mut client = FramedClient::new(1);
    client.handle_input(answer).ok()?;
    match client.poll_reply()? {
        Reply::Error(error) => {
            Some(format!(", which is ERROR {}: {}", error.number(), printable(&error.text())))
        }
        Reply::GoAway { .. } => Some(", which is GOAWAY: the server drains".to_owned()),
        Reply::Echo { .. } | Reply::Pong { .. } => None,
    }
}

fn foreign_protocol(answer: &[u8]) -> &'static str {
    const FRAME: &[u8] = b"RB\x01";
    /// The first bytes of an alert and of a handshake record (RFC 8446, 5.1).
    const TLS: [&[u8]; 2] = [b"\x15\x03", b"\x16\x03"];
    if answer.starts_with(FRAME) {
        ", which is the framed protocol: use --protocol framed"
    } else if answer.starts_with(b"HTTP/") {
        ", which is HTTP"
    } else if answer.starts_with(b"SSH-") {
        ", which is SSH"
    } else if TLS.iter().any(|record| answer.starts_with(record)) {
        ", which is TLS"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;
    use crate::load::config::Target;
    use crate::load::config::sizes::Sizes;
    use crate::load::interrupt::Interrupt;
    use crate::protocol::ErrorCode;

    /// A server of one connection, and what it had received in the end.
    fn serve(
        handle: impl FnOnce(&mut TcpStream) -> io::Result<()> + Send + 'static,
    ) -> (Config, JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = Config::new(Target::at(listener.local_addr().unwrap()));
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = handle(&mut socket);
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest);
            rest.len()
        });
        (config, server)
    }

    fn why(config: &Config) -> String {
        match check(config) {
            Err(RunError::NoEcho { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_echo_server_sees_one_message_on_one_connection() {
        for (protocol, size) in [
            (Protocol::Raw, 64),
            (Protocol::Framed, 64),
            (Protocol::Raw, 1),
            (Protocol::Raw, 8 << 20),
        ] {
            let frame = if protocol == Protocol::Framed { size + 20 } else { size };
            let (config, server) = serve(move |socket| {
                let mut reader = socket.try_clone()?;
                let echoed = io::copy(&mut Read::take(&mut reader, frame as u64), socket)?;
                assert_eq!(echoed, frame as u64);
                Ok(())
            });
            let config = Config { protocol, sizes: Sizes::fixed(size).unwrap(), ..config };
            assert!(check(&config).is_ok(), "{protocol:?} {size}");
            assert_eq!(server.join().unwrap(), 0, "and nothing more");
        }
    }

    #[test]
    fn a_server_that_alters_a_byte_is_left_to_the_run() {
        let (config, _server) = serve(|socket| {
            let mut message = [0; 64];
            socket.read_exact(&mut message)?;
            message[63] ^= 1;
            socket.write_all(&message)
        });
        assert!(check(&config).is_ok());
    }

    #[test]
    fn who_is_no_echo_server_is_told_by_the_answer() {
        let cases: [(&[u8], &str); 5] = [
            (b"SSH-2.0-OpenSSH_9.6\r\n", "\"SSH-2.0-OpenSSH_9.6\\r\\n\", which is SSH"),
            (b"HTTP/1.1 400 Bad Request\r\n", ", which is HTTP"),
            (b"\x15\x03\x01\0\x02\x02\x46", ", which is TLS"),
            (b"RB\x01\x05\0\0\0\0", "use --protocol framed"),
            (b"220 mail.example \x1b[31m ESMTP", "\"220 mail.example \\x1b[31m ESMTP\""),
        ];
        for (answer, words) in cases {
            let (config, _server) = serve(move |socket| socket.write_all(answer));
            let why = why(&config);
            assert!(why.starts_with("it answered \"") && why.contains(words), "{why}");
        }
    }

    #[test]
    fn a_refusal_in_the_framed_protocol_is_told_in_its_words() {
        let payload = [&ErrorCode::Busy.to_wire().to_be_bytes()[..], b"no room"].concat();
        let header = Header::new(Kind::Error, 0, &payload).encode();
        let refusal = [&header[..], &payload].concat();
        let (config, _server) = serve(move |socket| socket.write_all(&refusal));
        let why = why(&Config { protocol: Protocol::Framed, ..config });
        let number = ErrorCode::Busy.to_wire();
        assert!(why.ends_with(&format!(", which is ERROR {number}: no room")), "{why}");
    }

    #[test]
    fn silence_and_an_early_end_are_told() {
        let (config, server) = serve(|_| Ok(()));
        let config = Config { timeout: Duration::from_millis(100), ..config };
        assert_eq!(why(&config), "it did not answer a message of 64 bytes within 100ms");
        server.join().unwrap();
        let (config, _server) = serve(|socket| socket.shutdown(Shutdown::Write));
        assert_eq!(why(&config), "it closed the connection without an answer");
    }

    #[test]
    fn an_interrupt_ends_it() {
        let (config, _server) = serve(|_| Ok(()));
        let interrupt = Interrupt::default();
        let config = Config { interrupt: interrupt.clone(), ..config };
        let checking =
            thread::spawn(move || matches!(check(&config), Err(RunError::Interrupted { .. })));
        interrupt.raise();
        let is_interrupted = checking.join().unwrap();
        assert!(is_interrupted);
    }
}
