//! A non-blocking connection, for the peers that ask the kernel when it is ready.

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

/// One connection. It has no buffer of its own: what was received is sent at once, and only what
/// the kernel did not take is kept. While something is kept, nothing is received.
pub struct Connection {
    socket: OwnedFd,
    /// Received and not yet sent, from `sent` on.
    kept: Vec<u8>,
    sent: usize,
}

/// State of a connection after it was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does.
    Open,
    /// The peer finished and has everything, or the connection failed.
    Closed,
}

/// The next connection that waits on a non-blocking listener, if there is one.
pub fn accept(listener: &TcpListener) -> Result<Option<Connection>, Errno> {
    loop {
        match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(socket) => return Ok(Some(Connection { socket, kept: Vec::new(), sent: 0 })),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

impl Connection {
    /// Returns whether it waits to write; otherwise it waits to read.
    pub fn is_sending(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Does once what it waits for, as far as that goes without waiting.
    pub fn serve(&mut self, buffer: &mut [u8]) -> Fate {
        let outcome = if self.is_sending() { self.flush() } else { self.echo(buffer) };
        outcome.unwrap_or(Fate::Closed)
    }

    fn echo(&mut self, buffer: &mut [u8]) -> Result<Fate, Errno> {
        let (length, _) = match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Fate::Open),
            Ok((0, _)) => return Ok(Fate::Closed),
            received => received?,
        };
        let received = &buffer[..length];
        let sent = self.send(received)?;
        self.kept.extend_from_slice(&received[sent..]);
        Ok(Fate::Open)
    }

    fn flush(&mut self) -> Result<Fate, Errno> {
        self.sent += self.send(&self.kept[self.sent..])?;
        if self.sent == self.kept.len() {
            (self.kept, self.sent) = (Vec::new(), 0);
        }
        Ok(Fate::Open)
    }

    /// How much of `bytes` the kernel took.
    fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            sent => sent,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
