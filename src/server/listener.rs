//! Listening sockets, one for each worker and address, sharing their ports among ourselves only.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::keepalive::Keepalive;
use super::refusal::explain_listen;
use super::{Notice, StartError};
use crate::address::format_socket_address;
use crate::driver::BACKLOG;
use crate::sys::sockopt;

/// Options in which the sockets of servers differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct SocketOptions {
    pub(super) share_port: bool,
    pub(super) send_buffer: Option<usize>,
    pub(super) keepalive: Option<Keepalive>,
}

impl SocketOptions {
    /// Sets them on a listener: the sockets that it accepts inherit them.
    pub(super) fn apply(self, listener: &SockRef<'_>) -> io::Result<()> {
        listener.set_tcp_nodelay(true)?;
        // Every byte comes back, urgent ones too.
        listener.set_out_of_band_inline(true)?;
        // A listener that outlives its servers may have it from an earlier one.
        listener.set_keepalive(self.keepalive.is_some())?;
        if let Some(keepalive) = self.keepalive {
            listener.set_tcp_keepalive(&keepalive.option())?;
        }
        if let Some(bytes) = self.send_buffer {
            listener.set_send_buffer_size(bytes)?;
        }
        Ok(())
    }
}

pub(super) struct Listeners {
    /// In the order asked for, ports resolved.
    pub(super) local_addresses: Vec<SocketAddr>,
    /// For each worker one listener on every address.
    pub(super) of_workers: Vec<Vec<TcpListener>>,
}

impl Listeners {
    /// Duplicates the sockets, for workers.
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
    notices: &mut Vec<Notice>,
) -> Result<Listeners, StartError> {
    let mut local_addresses = Vec::with_capacity(addresses.len());
    let mut of_workers: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for &address in addresses {
        let error = |source| {
            let reason = explain_listen(&source, address, options.share_port);
            StartError::Listen { address, reason, source }
        };
        let group = retry_while_in_use(|| listen_in_group(address, workers, options, notices));
        let mut group = group.map_err(error)?;
        local_addresses.push(group[0].local_addr().map_err(error)?);
        for (of_worker, listener) in of_workers.iter_mut().zip(group.drain(..)) {
            of_worker.push(listener);
        }
    }
    Ok(Listeners { local_addresses, of_workers })
}

/// The kernel closes the sockets of a ring only a while after its process was killed, so a restart
/// finds its port taken, briefly.
fn retry_while_in_use<T>(mut listen: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    /// Ten times as long as that was seen to take.
    const MAX_RETRIES: usize = 20;
    const RETRY_INTERVAL: Duration = Duration::from_millis(5);
    for _ in 0..MAX_RETRIES {
        match listen() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::sleep(RETRY_INTERVAL),
            listening_or_refused => return listening_or_refused,
        }
    }
    listen()
}

/// The sockets of all workers on one address. With `share_port` they join those that others have
/// there. Without it others of this user are refused by a single socket, and given nothing beside
/// several; but on one address of those that a wildcard stands for the kernel prefers who listens
/// there alone.
fn listen_in_group(
    address: SocketAddr,
    workers: usize,
    options: SocketOptions,
    notices: &mut Vec<Notice>,
) -> io::Result<Vec<TcpListener>> {
    let group = open_group(address, workers, options)?;
    if options.share_port {
        // Of a server that does not share its port, to which this one was told to be added.
        let _ = sockopt::distribute_over_all(group[0].as_fd());
    } else if workers > 1
        && let Err(error) = sockopt::distribute_over_first(group[0].as_fd(), workers as u32)
    {
        notices.push(Notice::Warning(format!(
            "other processes of this user can take connections to {}: {error}",
            format_socket_address(address),
        )));
    }
    Ok(group)
}

/// The first socket binds and listens alone, so that a port somebody else has is refused even if
/// they share it. Where there are others of ours, only then does it admit them, and with them,
/// since the kernel knows no difference, every process of this user.
fn open_group(
    address: SocketAddr,
    workers: usize,
    options: SocketOptions,
) -> io::Result<Vec<TcpListener>> {
    let first = socket_for(address, options)?;
    if options.share_port {
        first.set_reuse_port(true)?;
    }
    first.bind(&address.into())?;
    first.listen(BACKLOG.into())?;
    if workers > 1 {
        first.set_reuse_port(true)?;
    }
    let first = TcpListener::from(first);
    let resolved = first.local_addr()?;
    let mut group = vec![first];
    for _ in 1..workers {
        let socket = socket_for(address, options)?;
        socket.set_reuse_port(true)?;
        socket.bind(&resolved.into())?;
        socket.listen(BACKLOG.into())?;
        group.push(TcpListener::from(socket));
    }
    Ok(group)
}

fn socket_for(address: SocketAddr, options: SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Over our own connections in TIME_WAIT a restart must succeed.
    socket.set_reuse_address(true)?;
    options.apply(&SockRef::from(&socket))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    const OPTIONS: SocketOptions =
        SocketOptions { share_port: false, send_buffer: None, keepalive: None };

    fn count_accepted(listener: &TcpListener) -> usize {
        listener.set_nonblocking(true).expect("an option can be set");
        std::iter::from_fn(|| listener.accept().ok()).count()
    }

    #[test]
    fn every_worker_gets_its_share_of_connections() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let address = address.parse().expect("an address");
            let group =
                listen_in_group(address, 4, OPTIONS, &mut Vec::new()).expect("a port is free");
            let address = group[0].local_addr().expect("bound");
            let peers: Vec<_> =
                (0..400).map(|_| TcpStream::connect(address).expect("queued")).collect();
            let shares: Vec<_> = group.iter().map(count_accepted).collect();
            assert_eq!(shares.iter().sum::<usize>(), peers.len());
            // By chance, so by more than six standard deviations less is a fault.
            assert!(shares.iter().all(|share| (45..=155).contains(share)), "{shares:?}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_tried_again_and_given_up() {
        let in_use = || io::Error::from(io::ErrorKind::AddrInUse);
        let mut tries = 0;
        let freed = retry_while_in_use(|| {
            tries += 1;
            if tries < 4 { Err(in_use()) } else { Ok(tries) }
        });
        assert_eq!(freed.expect("it is free at last"), 4);
        let refused = retry_while_in_use(|| Err::<(), _>(in_use()));
        assert_eq!(refused.expect_err("it stays taken").kind(), io::ErrorKind::AddrInUse);
    }
}
