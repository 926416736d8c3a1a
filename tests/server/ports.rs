//! Whose a port is: one server's, unless it shares; and had again as soon as it is free.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use ringback::server::DriverKind;
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::support::tools::{has_tool, is_root};
use crate::support::{Program, connect, exchange, run};

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
fn a_restart_finds_its_port_free_right_after_a_drain() {
    for (before, after) in [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")] {
        let serve = |address: &str, workers| {
            let arguments = ["serve", address, "--workers", workers, "--drain-timeout", "1s"];
            Program::start(&arguments, 1)
        };
        let program = serve("127.0.0.1:0", before);
        let address = program.addresses[0];
        // The server ends their connections, so it is on its side that they wait: for the peer's
        // FIN, or that it is over (FIN_WAIT2, TIME_WAIT).
        let mut clients: Vec<_> = (0..10).map(|_| connect(address)).collect();
        program.signal(Signal::TERM);
        let (status, lines) = program.wait();
        assert_eq!(status.code(), Some(0), "{lines}");
        clients.truncate(5);
        let again = serve(&address.to_string(), after);
        assert_eq!(exchange(connect(again.addresses[0]), b"back"), b"back");
        drop(clients);
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

/// The message of a server that is refused this address.
fn refusal(address: SocketAddr, arguments: &[&str]) -> String {
    let (code, text) = run(&[&["serve", &address.to_string()], arguments].concat());
    assert_eq!(code, Some(69), "{text}");
    assert!(text.contains(&format!("cannot listen on {address}: ")), "{text}");
    assert!(text.contains("the port is in use: "), "{text}");
    text
}

#[test]
fn who_listens_on_a_port_is_named_and_what_was_given_is_not_proposed() {
    let uid = rustix::process::geteuid().as_raw();
    let program = Program::start(&["serve", "127.0.0.1:0", "--workers", "1"], 1);
    let address = program.addresses[0];
    let owner = format!("ringback (process {} of user {uid}) listens on {address}", program.id());
    let text = refusal(address, &[]);
    assert!(text.contains(&owner) && text.contains("start both with --share-port"), "{text}");
    let text = refusal(address, &["--share-port"]);
    assert!(text.contains(&owner) && text.contains("it does not share its port"), "{text}");
}

#[test]
fn an_outgoing_connection_that_has_the_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let outgoing = TcpStream::connect(listener.local_addr().expect("bound")).expect("queued");
    let address = outgoing.local_addr().expect("connected");
    for arguments in [&[][..], &["--share-port"]] {
        let text = refusal(address, arguments);
        let connection = format!("has an outgoing connection from port {}", address.port());
        assert!(text.contains(&format!("(process {} of user ", std::process::id())), "{text}");
        assert!(text.contains(&connection) && !text.contains("--share-port"), "{text}");
    }
}

/// Listens as user 65534 on a free port, says which, and waits for the end of its input.
const LISTENER_OF_ANOTHER_USER: &str = "\
import os, socket, sys
os.setuid(65534)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(('127.0.0.1', 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
";

#[test]
fn a_port_of_another_user_cannot_be_shared_and_that_is_said() {
    if !is_root() || !has_tool("python3") {
        return;
    }
    let mut other = Command::new("python3")
        .args(["-c", LISTENER_OF_ANOTHER_USER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut line = String::new();
    let stdout = other.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it says its port");
    let port: u16 = line.trim().parse().expect("a port");
    let text = refusal(SocketAddr::from(([127, 0, 0, 1], port)), &["--share-port"]);
    assert!(text.contains(&format!("(process {} of user 65534) listens", other.id())), "{text}");
    assert!(text.contains("only processes of one user can share a port"), "{text}");
    drop(other.stdin.take());
    assert!(other.wait().expect("it is a child").success());
}
