//! Systemd: the sockets it gives a service, and the notifications it takes.

use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
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
    let descriptors = sd_notify::listen_fds()?;
    Ok(descriptors.map(|descriptor| TcpListener::from(sys::take_inherited(descriptor))).collect())
}

/// A connection to whoever supervises the service.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
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
        Ok(Some(Self { socket, watchdog: sd_notify::watchdog_enabled() }))
    }

    /// How often the supervisor wants to be told that all is well, if it does.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends assignments, a line each (`sd_notify(3)`). One that is not taken is lost: the next comes
    /// soon.
    pub fn send(&self, assignments: &[&str]) {
        let _ = self.socket.send(assignments.join("\n").as_bytes());
    }
}
