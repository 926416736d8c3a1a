//! A non-blocking connection, for the peers that ask the kernel when it is ready.

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

/// A server's side of a connection that is served when it is ready. It waits for one thing at a
/// time: to read, or, while something is kept for its peer, to write.
pub trait Echo: AsFd + Sized {
    /// The server's side of an accepted socket, which does not block.
    ///
    /// # Errors
    ///
    /// When the system lacks what it needs beside the socket.
    fn new(socket: OwnedFd) -> Result<Self, Errno>;

    /// Returns whether it waits to write; otherwise it waits to read.
    fn is_sending(&self) -> bool;

    /// Does once what it waits for, as far as that goes without waiting. `buffer` is free for use.
    fn serve(&mut self, buffer: &mut [u8]) -> Fate;
}

/// State of a connection after it was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Open,
    /// The peer finished and has everything, or the connection failed.
    Closed,
}

/// The next connection that waits on a non-blocking listener, if there is one.
pub fn accept<E: Echo>(listener: &TcpListener) -> Result<Option<E>, Errno> {
    loop {
        match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(socket) => return E::new(socket).map(Some),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// How much of `bytes` the kernel took.
pub fn send_some(socket: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    match send(socket, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        sent => sent,
    }
}

/// How much the kernel had for `buffer`; none yet is `None`, 0 is the end of the stream.
pub fn receive_some(socket: impl AsFd, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    match recv(socket, buffer, RecvFlags::empty()) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        received => received.map(|(length, _)| Some(length)),
    }
}

/// One connection. It has no buffer of its own: what was received is sent at once, and only what
/// the kernel did not take is kept. While something is kept, nothing is received.
pub struct Connection {
    socket: OwnedFd,
    /// Received and not yet sent, from `sent` on.
    kept: Vec<u8>,
    sent: usize,
}

impl Echo for Connection {
    fn new(socket: OwnedFd) -> Result<Self, Errno> {
        Ok(Self { socket, kept: Vec::new(), sent: 0 })
    }

    fn is_sending(&self) -> bool {
        !self.kept.is_empty()
    }

    fn serve(&mut self, buffer: &mut [u8]) -> Fate {
        let outcome = if self.is_sending() { self.flush() } else { self.echo(buffer) };
        outcome.unwrap_or(Fate::Closed)
    }
}

impl Connection {
    fn echo(&mut self, buffer: &mut [u8]) -> Result<Fate, Errno> {
        let received = match receive_some(&self.socket, buffer)? {
            None => return Ok(Fate::Open),
            Some(0) => return Ok(Fate::Closed),
            Some(length) => &buffer[..length],
        };
        let sent = send_some(&self.socket, received)?;
        self.kept.extend_from_slice(&received[sent..]);
        Ok(Fate::Open)
    }

    fn flush(&mut self) -> Result<Fate, Errno> {
        self.sent += send_some(&self.socket, &self.kept[self.sent..])?;
        if self.sent == self.kept.len() {
            (self.kept, self.sent) = (Vec::new(), 0);
        }
        Ok(Fate::Open)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
