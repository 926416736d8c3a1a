//! How one connection is started, and how it came out. Never waits.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::address::{Address, interfaces};
use crate::load::error::ConfigError;
use crate::load::record::failure::Failure;
use crate::sys::sockopt::bind_address_without_port;

#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    target: SocketAddr,
    /// Of the target's family; the kernel chooses where there are none.
    sources: Vec<Address>,
}

/// A link-local address needs its interface; any other is not this host's.
fn remedy(source_address: Address) -> String {
    if source_address.lacks_zone() {
        return format!(
            "a link-local address needs its interface: write {source_address}%NAME; {}",
            interfaces()
        );
    }
    "use addresses of this host (ip addr)".to_owned()
}

/// Sees to it that connections to these addresses can come from those.
///
/// # Errors
///
/// Names the first source that is not this host's, or that no target shares its family with.
pub fn check_sources(sources: &[Address], targets: &[SocketAddr]) -> Result<(), ConfigError> {
    for &source_address in sources {
        let is_of_family = |target: &SocketAddr| target.is_ipv4() == source_address.ip().is_ipv4();
        if let Some(target) = targets.first()
            && !targets.iter().any(is_of_family)
        {
            return Err(ConfigError(format!(
                "cannot connect from {source_address} to {}: one is IPv4, the other IPv6; use \
                 addresses of the target's family",
                target.ip(),
            )));
        }
        open(source_address.ip()).and_then(|socket| bind_to(&socket, source_address)).map_err(
            |error| {
                let remedy = remedy(source_address);
                ConfigError(format!("cannot connect from {source_address}: {error}; {remedy}"))
            },
        )?;
    }
    Ok(())
}

impl Dialer {
    /// A dialer to this target from those of the sources that are of its family. `None` where
    /// there are sources and none is.
    pub(crate) fn new(target: SocketAddr, sources: &[Address]) -> Option<Self> {
        let is_of_family = |source: &Address| source.ip().is_ipv4() == target.is_ipv4();
        let suiting: Vec<Address> = sources.iter().copied().filter(is_of_family).collect();
        (sources.is_empty() || !suiting.is_empty()).then_some(Self { target, sources: suiting })
    }

    pub(crate) fn target(&self) -> SocketAddr {
        self.target
    }

    /// Sends the SYN of connection number `number`; the sources take turns. When the socket can
    /// be written, or has failed, [`finish`] tells how it came out.
    pub(crate) fn begin(&self, number: usize) -> Result<Socket, Failure> {
        let socket = open(self.target.ip()).map_err(|error| Failure::of(&error))?;
        if !self.sources.is_empty() {
            bind_to(&socket, self.sources[number % self.sources.len()])
                .map_err(|error| Failure::of(&error))?;
        }
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                Err(Failure::of(&error))
            }
            _ => Ok(socket),
        }
    }
}

/// The connection, non-blocking and without Nagle's delay, or why there is none. One that leads
/// from a socket to itself is refused, as nobody listens there.
pub(crate) fn finish(socket: Socket) -> Result<TcpStream, Failure> {
    if let Some(error) = socket.take_error().map_err(|error| Failure::of(&error))? {
        return Err(Failure::of(&error));
    }
    if is_own_peer(&socket) {
        return Err(Failure::Errno(Errno::CONNREFUSED.raw_os_error()));
    }
    socket.set_tcp_nodelay(true).map_err(|error| Failure::of(&error))?;
    Ok(socket.into())
}

/// Returns whether a SYN to a port without a listener met its own socket, which the kernel had
/// given just that port: a simultaneous open (RFC 9293, 3.5) with nobody else.
fn is_own_peer(socket: &Socket) -> bool {
    let ends = socket.local_addr().ok().zip(socket.peer_addr().ok());
    ends.is_some_and(|(local, peer)| local.as_socket() == peer.as_socket())
}

/// Returns whether the SYN was neither taken nor refused yet.
pub(crate) fn is_unanswered(socket: &Socket) -> bool {
    let error = Errno::NOTCONN.raw_os_error();
    socket.peer_addr().is_err_and(|found| found.raw_os_error() == Some(error))
}

fn open(family: IpAddr) -> io::Result<Socket> {
    let domain = if family.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

/// The port is chosen when the connection is made, so that it need be unique only together with
/// the target: many addresses have many times 28,232 ports.
fn bind_to(socket: &Socket, source: Address) -> io::Result<()> {
    bind_address_without_port(socket.as_fd())?;
    socket.bind(&source.with_port(0).into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn source(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn sources_are_checked_before_anything_is_sent() {
        let targets = ["127.0.0.1:1".parse().unwrap()];
        assert!(check_sources(&[source("127.0.0.2"), source("127.9.9.9")], &targets).is_ok());
        let error =
            check_sources(&[source("127.0.0.2"), source("192.0.2.1")], &targets).unwrap_err();
        assert!(error.to_string().starts_with("cannot connect from 192.0.2.1: "), "{error}");
        let error = check_sources(&[source("::1")], &targets).unwrap_err();
        assert!(error.to_string().contains("use addresses of the target's family"), "{error}");
        let error = check_sources(&[source("fe80::1")], &[]).unwrap_err();
        assert!(error.to_string().contains("write fe80::1%NAME; name one of"), "{error}");
    }

    #[test]
    fn connections_are_dealt_over_the_sources_of_the_family() {
        for (listen, sources) in [
            ("127.0.0.1:0", ["127.0.0.2", "::1", "127.0.0.3"]),
            ("[::1]:0", ["127.0.0.2", "::1", "127.0.0.3"]),
        ] {
            let Ok(listener) = TcpListener::bind(listen) else { continue };
            let dialer = Dialer::new(listener.local_addr().unwrap(), &sources.map(source)).unwrap();
            for number in 0..4 {
                let socket = dialer.begin(number).unwrap();
                let (_, peer) = listener.accept().unwrap();
                finish(socket).unwrap();
                let expected = match listen {
                    "[::1]:0" => "::1",
                    _ => ["127.0.0.2", "127.0.0.3"][number % 2],
                };
                assert_eq!(peer.ip(), ip(expected));
            }
        }
        assert!(Dialer::new("127.0.0.1:1".parse().unwrap(), &[source("::1")]).is_none());
    }

    #[test]
    fn a_socket_that_meets_itself_is_refused() {
        for address in ["127.0.0.1", "::1"] {
            let socket = open(ip(address)).unwrap();
            if socket.bind(&SocketAddr::new(ip(address), 0).into()).is_err() {
                continue;
            }
            let own = socket.local_addr().unwrap();
            let _ = socket.connect(&own);
            assert_eq!(socket.peer_addr().unwrap().as_socket(), own.as_socket());
            let refused = Failure::Errno(Errno::CONNREFUSED.raw_os_error());
            assert_eq!(finish(socket).unwrap_err(), refused);
        }
    }
}
