//! Systemd: the sockets it gives a service, and the notifications it takes.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sys;

/// Where notifications go, as systemd names it.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The sockets of a socket unit, unless there is none (`sd_listen_fds(3)`). To be called once, before
/// anything is opened.
///
/// # Errors
///
/// When the variables that announce them make no sense.
pub fn inherited_listeners() -> io::Result<Vec<TcpListener>> {
    let descriptors = sd_notify::listen_fds().map_err(|error| {
        let why = format!(
            "the sockets that LISTEN_FDS and LISTEN_PID announce are not there: {error}: pass as \
             many, from descriptor 3 on, or unset both"
        );
        io::Error::new(error.kind(), why)
    })?;
    Ok(descriptors.map(|descriptor| TcpListener::from(sys::take_inherited(descriptor))).collect())
}

/// A connection to whoever supervises the service.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
    /// Messages that come once and were not taken yet, the oldest first.
    pending: Mutex<VecDeque<String>>,
}

impl Notifier {
    /// Connects, where somebody wants to be notified: no socket can be had once a sandbox is closed.
    ///
    /// # Errors
    ///
    /// Names the socket that cannot be reached.
    pub fn connect() -> io::Result<Option<Self>> {
        let Some(name) = std::env::var_os(SOCKET).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            let bytes = name.as_encoded_bytes();
            match bytes.strip_prefix(b"@") {
                Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
                None => socket.connect(&name)?,
            }
            // A supervisor that does not read is not waited for.
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = connect().map_err(|error: io::Error| {
            let name = name.to_string_lossy();
            io::Error::new(error.kind(), format!("cannot notify {SOCKET}={name}: {error}"))
        })?;
        let (watchdog, pending) = (sd_notify::watchdog_enabled(), Mutex::default());
        Ok(Some(Self { socket, watchdog, pending }))
    }

    /// How often the supervisor wants to be told that all is well, if it does.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends a message that is followed by others of its kind (`sd_notify(3)`); returns whether it was
    /// taken.
    pub fn send(&self, message: &str) -> bool {
        self.socket.send(message.as_bytes()).is_ok()
    }

    /// Sends a message that comes once, now or with a later [`retry`](Self::retry).
    pub fn send_once(&self, message: &str) {
        self.pending().push_back(message.to_owned());
        self.retry();
    }

    /// Sends what was not taken before, for want of room in the queue of who reads it.
    pub fn retry(&self) {
        let mut pending = self.pending();
        while pending.front().is_some_and(|message| self.send(message)) {
            pending.pop_front();
        }
    }

    fn pending(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
