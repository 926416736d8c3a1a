//! Readiness: one thread, level-triggered epoll, `epoll-echo ADDR [CPU]`.
//!
//! One hot buffer for all connections: what was received is sent at once, and only what the kernel
//! did not take is kept. A connection with something kept is not read from until that is sent.

use std::error::Error;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

const BUFFER_BYTES: usize = 64 << 10;
const EVENTS: usize = 512;
/// No connection has this descriptor.
const LISTENER: u64 = u64::MAX;

fn main() -> ExitCode {
    ringback_peers::run(|listener| Server::new(listener)?.run())
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By the number of their descriptor.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    /// Received and not yet sent, from `sent` on.
    kept: Vec<u8>,
    sent: usize,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Fate {
    Open,
    Closed,
}

impl Server {
    fn new(listener: TcpListener) -> Result<Self, Box<dyn Error>> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let buffer = vec![0; BUFFER_BYTES];
        Ok(Self { epoll, listener, connections: Vec::new(), buffer })
    }

    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        loop {
            let (ready, _) = match epoll::wait(&self.epoll, &mut events, None) {
                Err(Errno::INTR) => continue,
                ready => ready?,
            };
            for event in ready {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    descriptor => self.serve(descriptor as usize)?,
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), Box<dyn Error>> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match accept_with(&self.listener, flags) {
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                socket => socket?,
            };
            set_tcp_nodelay(&socket, true)?;
            let descriptor = socket.as_raw_fd() as usize;
            let data = EventData::new_u64(descriptor as u64);
            epoll::add(&self.epoll, &socket, data, EventFlags::IN)?;
            if descriptor >= self.connections.len() {
                self.connections.resize_with(descriptor + 1, || None);
            }
            self.connections[descriptor] = Some(Connection { socket, kept: Vec::new(), sent: 0 });
        }
    }

    /// A connection may be read from or, if something is kept, written to.
    fn serve(&mut self, descriptor: usize) -> Result<(), Errno> {
        let Some(connection) = &mut self.connections[descriptor] else { return Ok(()) };
        let waited = connection.is_waiting();
        let fate = if waited { connection.flush() } else { connection.echo(&mut self.buffer) };
        if fate == Ok(Fate::Open) {
            if connection.is_waiting() != waited {
                let interest = if waited { EventFlags::IN } else { EventFlags::OUT };
                let data = EventData::new_u64(descriptor as u64);
                epoll::modify(&self.epoll, &connection.socket, data, interest)?;
            }
        } else {
            // Closing the descriptor takes it out of the epoll set.
            self.connections[descriptor] = None;
        }
        Ok(())
    }
}

impl Connection {
    fn is_waiting(&self) -> bool {
        !self.kept.is_empty()
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
