//! Whose a port is: one server's, unless it shares; and had again as soon as it is free.

mod support;

use std::io;
use std::net::{SocketAddr, TcpListener};

use ringback::server::DriverKind;
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use support::{Program, connect, exchange, run};

const ADDRESSES: [&str; 4] = ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"];

/// Another process of this user that would share the port.
fn join(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The address by which a server on this one is reached from its host.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => [127, 0, 0, 1].into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[test]
fn nobody_joins_the_port_of_a_single_worker() {
    for address in ADDRESSES {
        let program = Program::start(&["serve", address, "--workers", "1"], 1);
        let refused = join(program.addresses[0]).expect_err("the port is taken");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{address}: {refused}");
    }
}

#[test]
fn whoever_joins_the_port_of_many_workers_gets_no_connection() {
    for address in ADDRESSES {
        let program = Program::start(&["serve", address, "--workers", "4"], 1);
        // A kernel that refuses it is as good.
        let joined = join(program.addresses[0]).ok();
        for _ in 0..64 {
            let stream = connect(reachable(program.addresses[0]));
            assert_eq!(exchange(stream, b"ours"), b"ours", "{address}");
        }
        let accepted = joined.map(|listener| listener.accept().map(drop));
        assert!(accepted.is_none_or(|result| result.is_err()), "{address}");
    }
}

#[test]
fn a_port_that_is_shared_can_be_joined() {
    for workers in ["1", "2"] {
        let arguments = ["--share-port", "--workers", workers];
        let program = Program::start(&[&["serve", "127.0.0.1:0"][..], &arguments].concat(), 1);
        let address = program.addresses[0];
        let joined = join(address).expect("the port is shared");
        // A connection goes to the one or the other by chance: 64 never to the same.
        let peers: Vec<_> = (0..64).map(|_| connect(address)).collect();
        joined.accept().expect("some come here");
        drop(peers);
        let next = Program::start(&[&["serve", &address.to_string()][..], &arguments].concat(), 1);
        assert_eq!(next.addresses, [address]);
    }
}

#[test]
fn a_server_that_was_killed_can_be_started_again_at_once() {
    for driver in DriverKind::ALL {
        let serve =
            |address: &str| Program::start(&["serve", address, "--driver", driver.name()], 1);
        let mut program = serve("127.0.0.1:0");
        let address = program.addresses[0];
        assert_eq!(exchange(connect(address), b"before"), b"before");
        program.signal(Signal::KILL);
        assert_eq!(program.exit_code(), None);
        let again = serve(&address.to_string());
        assert_eq!(exchange(connect(again.addresses[0]), b"after"), b"after");
    }
}

#[test]
fn a_port_in_use_is_refused_whoever_has_it() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let ours = Program::start(&["serve", "127.0.0.1:0", "--workers", "2"], 1);
    for address in [other.local_addr().expect("bound"), ours.addresses[0]] {
        let (code, text) = run(&["serve", &address.to_string()]);
        assert_eq!(code, Some(69), "{text}");
        assert!(text.contains(&format!("cannot listen on {address}")), "{text}");
        assert!(text.contains("the port is in use"), "{text}");
    }
}
