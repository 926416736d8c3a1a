//! Listeners that somebody else opened and keeps: those of socket activation.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::sockopt::{socket_acceptconn, socket_protocol, socket_type};
use rustix::net::{SocketType, ipproto};
use socket2::SockRef;

use super::StartError;
use super::listener::{Listeners, SocketOptions};

/// Deals listeners to workers: those on one address in turn, so that each worker has one of a group
/// and none is left without. Where a group is smaller than the number of workers they share.
pub(super) fn deal(
    inherited: Vec<TcpListener>,
    workers: usize,
    options: SocketOptions,
) -> Result<Listeners, StartError> {
    let mut groups: Vec<(SocketAddr, Vec<TcpListener>)> = Vec::new();
    for listener in inherited {
        let address = examine(&listener)?;
        options.apply(&SockRef::from(&listener))?;
        match groups.iter_mut().find(|(of_group, _)| *of_group == address) {
            Some((_, group)) => group.push(listener),
            None => groups.push((address, vec![listener])),
        }
    }
    let local_addresses = groups.iter().map(|(address, _)| *address).collect();
    let mut of_workers: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for (_, group) in groups {
        for (worker, own) in of_workers.iter_mut().enumerate().skip(group.len()) {
            own.push(group[worker % group.len()].try_clone()?);
        }
        for (index, listener) in group.into_iter().enumerate() {
            of_workers[index % workers].push(listener);
        }
    }
    Ok(Listeners { local_addresses, of_workers })
}

/// The address that a TCP listener listens on.
fn examine(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    let error = |source| StartError::Inherited { descriptor: listener.as_raw_fd(), source };
    let is_listener = is_tcp_listener(listener).map_err(|source| error(Some(source)))?;
    let address = listener.local_addr().ok().filter(|_| is_listener);
    address.ok_or_else(|| error(None))
}

fn is_tcp_listener(socket: impl AsFd) -> io::Result<bool> {
    Ok(socket_type(&socket)? == SocketType::STREAM
        && socket_protocol(&socket)? == Some(ipproto::TCP)
        && socket_acceptconn(&socket)?)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;

    use socket2::{Domain, Socket, Type};

    use super::*;

    const OPTIONS: SocketOptions =
        SocketOptions { share_port: false, send_buffer: None, keepalive: None };

    /// Listeners that share a port, as `ReusePort=yes` makes them.
    fn group(size: usize) -> Vec<TcpListener> {
        let mut address: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let listen = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_reuse_port(true).expect("an option can be set");
            socket.bind(&address.into()).expect("a port is free");
            socket.listen(16).expect("it is bound");
            let listener = TcpListener::from(socket);
            address = listener.local_addr().expect("it is bound");
            listener
        };
        (0..size).map(listen).collect()
    }

    fn count_of_each(inherited: Vec<TcpListener>, workers: usize) -> Vec<usize> {
        let listeners = deal(inherited, workers, OPTIONS).unwrap_or_else(|error| panic!("{error}"));
        listeners.of_workers.iter().map(Vec::len).collect()
    }

    #[test]
    fn each_worker_has_one_of_a_group_and_no_listener_is_left() {
        assert_eq!(count_of_each(group(2), 2), [1, 1]);
        assert_eq!(count_of_each(group(5), 2), [3, 2]);
        assert_eq!(count_of_each(group(1), 3), [1, 1, 1]);
        let two_addresses = group(2).into_iter().chain(group(1)).collect();
        assert_eq!(count_of_each(two_addresses, 2), [2, 2]);
    }

    #[test]
    fn what_is_no_listener_is_refused() {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let idle = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let directory = tempfile::tempdir().expect("there is room");
        let unix = UnixListener::bind(directory.path().join("socket")).expect("a name is free");
        let (pipe, _) = io::pipe().expect("a pipe can be had");
        for other in [OwnedFd::from(udp), idle.into(), unix.into(), pipe.into()] {
            let result = deal(vec![TcpListener::from(other)], 1, OPTIONS);
            let error = result.err().expect("it is none").to_string();
            assert!(error.contains("is no TCP listener"), "{error}");
        }
    }
}
