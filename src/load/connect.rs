//! Makes the run's connections before the clock starts, many at a time.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::interrupt::Interrupt;

/// How long no connection may succeed before the rest are given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before looking whether the run was interrupted.
const LOOK: Duration = Duration::from_millis(50);
/// Handshakes under way at once, below the shortest usual listen backlog (128).
const IN_PROGRESS_LIMIT: usize = 64;

/// What became of the attempts.
pub(super) struct Connected {
    /// Where the connections lead.
    pub(super) address: SocketAddr,
    /// Non-blocking, without Nagle's delay.
    pub(super) sockets: Vec<TcpStream>,
    /// Attempts that failed.
    pub(super) failures: usize,
    /// Why the first of them did.
    pub(super) first_failure: Option<io::Error>,
}

/// Makes `count` connections to the first of these addresses that takes one.
///
/// # Errors
///
/// When none takes one; the error is the last address's. Later failures are counted instead, an
/// interrupt's too.
pub(super) fn connect_all(
    addresses: &[SocketAddr],
    count: usize,
    interrupt: &Interrupt,
) -> io::Result<Connected> {
    let (address, first) = connect_first(addresses, interrupt)?;
    let mut connected =
        Connected { address, sockets: vec![first], failures: 0, first_failure: None };
    let mut in_progress: Vec<Socket> = Vec::new();
    let mut remaining = count - 1;
    let mut deadline = Instant::now() + CONNECT_TIMEOUT;
    while remaining > 0 || !in_progress.is_empty() {
        while remaining > 0 && in_progress.len() < IN_PROGRESS_LIMIT {
            remaining -= 1;
            match start(address) {
                Ok(socket) => in_progress.push(socket),
                Err(error) => connected.fail(1, error),
            }
        }
        let now = Instant::now();
        if now >= deadline || interrupt.is_raised() {
            connected.fail(in_progress.len() + remaining, timed_out());
            break;
        }
        for socket in take_decided(&mut in_progress, (deadline - now).min(LOOK))? {
            match finish(socket) {
                Ok(socket) => {
                    connected.sockets.push(socket);
                    deadline = Instant::now() + CONNECT_TIMEOUT;
                }
                Err(error) => connected.fail(1, error),
            }
        }
    }
    Ok(connected)
}

impl Connected {
    fn fail(&mut self, attempts: usize, error: io::Error) {
        self.failures += attempts;
        self.first_failure.get_or_insert(error);
    }
}

fn connect_first(
    addresses: &[SocketAddr],
    interrupt: &Interrupt,
) -> io::Result<(SocketAddr, TcpStream)> {
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match connect_one(*address, interrupt) {
            Ok(socket) => return Ok((*address, socket)),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

fn connect_one(address: SocketAddr, interrupt: &Interrupt) -> io::Result<TcpStream> {
    let mut in_progress = vec![start(address)?];
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    while Instant::now() < deadline && !interrupt.is_raised() {
        if let Some(socket) = take_decided(&mut in_progress, LOOK)?.pop() {
            return finish(socket);
        }
    }
    Err(timed_out())
}

fn start(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket),
    }
}

/// Waits for handshakes to be decided, either way, and takes those out that are.
fn take_decided(in_progress: &mut Vec<Socket>, timeout: Duration) -> io::Result<Vec<Socket>> {
    let mut polled: Vec<PollFd<'_>> =
        in_progress.iter().map(|socket| PollFd::new(socket, PollFlags::OUT)).collect();
    let timeout =
        Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut is_decided =
        polled.iter().map(|entry| !entry.revents().is_empty()).collect::<Vec<_>>().into_iter();
    Ok(in_progress.extract_if(.., |_| is_decided.next().unwrap_or(false)).collect())
}

fn finish(socket: Socket) -> io::Result<TcpStream> {
    match socket.take_error()? {
        Some(error) => Err(error),
        None => prepare(socket.into()),
    }
}

fn prepare(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn timed_out() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no handshake completed for {} s", CONNECT_TIMEOUT.as_secs()),
    )
}
