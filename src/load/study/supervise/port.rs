//! Ports: one that is free, who has one, whether somebody answers there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::sockets::{PortUse, use_of_port};

/// On loopback a connection succeeds or is refused at once, unless the accept queue is full.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);

/// An address of the loopback interface that nobody listens on.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

pub(super) fn takes_connections(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_ok_and(|stream| {
        // Where nobody listens, the kernel may choose the very port to connect from, and the
        // connection leads to itself.
        stream.local_addr().is_ok_and(|own| own != address)
    })
}

/// Returns whether a server could not have had this address.
pub(super) fn is_taken(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Who listens there, where the kernel shows it.
pub(super) fn owner(address: SocketAddr) -> Option<String> {
    match use_of_port(address)? {
        PortUse::Listener(_, owner) => Some(owner.to_string()),
        PortUse::Connection(_) | PortUse::EndedConnection => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_until_somebody_listens() {
        let address = free_address().unwrap();
        assert!(!takes_connections(address));
        let listener = TcpListener::bind(address).unwrap();
        assert!(takes_connections(address) && is_taken(address));
        drop(listener);
        assert!(!takes_connections(address));
    }
}
