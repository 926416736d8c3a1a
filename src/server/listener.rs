//! Listening sockets, one for each worker and address, sharing their ports among ourselves only.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::sys;

/// The kernel lowers it to `net.core.somaxconn`.
pub(crate) const BACKLOG: i32 = 4096;

/// What is not the same for every server.
#[derive(Debug, Clone, Copy)]
pub(super) struct SocketOptions {
    pub(super) share_port: bool,
    pub(super) send_buffer: Option<usize>,
}

pub(super) struct Listeners {
    /// In the order asked for, ports resolved.
    pub(super) local_addresses: Vec<SocketAddr>,
    /// For each worker one listener on every address.
    pub(super) of_workers: Vec<Vec<TcpListener>>,
}

impl Listeners {
    /// The same sockets once more, for workers.
    pub(super) fn try_clone(&self) -> io::Result<Vec<Vec<TcpListener>>> {
        let of_worker = |listeners: &Vec<TcpListener>| {
            listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()
        };
        self.of_workers.iter().map(of_worker).collect()
    }
}

/// Listens on every address once for each worker, in the order of the workers: that is the order
/// in which the kernel numbers the sockets of a group.
pub(super) fn listen(
    addresses: &[SocketAddr],
    workers: usize,
    options: SocketOptions,
) -> Result<Listeners, StartError> {
    let mut local_addresses = Vec::with_capacity(addresses.len());
    let mut of_workers: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for &address in addresses {
        let error = |source| StartError::Listen { address, source };
        let mut group = listen_in_group(address, workers, options).map_err(error)?;
        local_addresses.push(group[0].local_addr().map_err(error)?);
        for (of_worker, listener) in of_workers.iter_mut().zip(group.drain(..)) {
            of_worker.push(listener);
        }
    }
    Ok(Listeners { local_addresses, of_workers })
}

/// What to do about a failure to listen.
pub(super) fn explain(error: &io::Error) -> String {
    let hint = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            "the port is in use, perhaps by another ringback: stop it, listen on another port, \
             or share this one (--share-port) for an overlapping restart"
        }
        Some(libc::EADDRNOTAVAIL) => "no interface of this host has that address",
        Some(libc::EACCES) => {
            "ports below net.ipv4.ip_unprivileged_port_start (1024) need CAP_NET_BIND_SERVICE"
        }
        _ => return sys::explain_resources(error),
    };
    format!("{error}: {hint}")
}

/// The first socket binds and listens alone, so that a port somebody else has is refused even if
/// they share it. Only then does it admit ours. With `share_port` it joins them
/// instead.
fn listen_in_group(
    address: SocketAddr,
    sockets: usize,
    options: SocketOptions,
) -> io::Result<Vec<TcpListener>> {
    let first = socket_for(address, options)?;
    if options.share_port {
        first.set_reuse_port(true)?;
    }
    first.bind(&address.into())?;
    first.listen(BACKLOG)?;
    first.set_reuse_port(true)?;
    let first = TcpListener::from(first);
    let resolved = first.local_addr()?;
    let mut group = vec![first];
    for _ in 1..sockets {
        let socket = socket_for(address, options)?;
        socket.set_reuse_port(true)?;
        socket.bind(&resolved.into())?;
        socket.listen(BACKLOG)?;
        group.push(TcpListener::from(socket));
    }
    Ok(group)
}

/// Accepted sockets inherit the options.
fn socket_for(address: SocketAddr, options: SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Over our own connections in TIME_WAIT a restart must succeed.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    // Every byte comes back, urgent ones too.
    socket.set_out_of_band_inline(true)?;
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
