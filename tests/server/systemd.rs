//! Socket activation and notification, as systemd does them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringback::server::DriverKind;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::support::http::Scrape;
use crate::support::tools::{has_tool, is_root};
use crate::support::{Program, TEST_TIMEOUT, connect, exchange, scale};

/// Listeners on one address, as a socket unit with `ReusePort=yes` holds them.
fn hold(sockets: usize, domain: Domain, address: &str) -> (Vec<TcpListener>, SocketAddr) {
    let mut address: SocketAddr = address.parse().expect("an address");
    let listen = |_| {
        let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
        socket.set_reuse_port(true).expect("an option can be set");
        if domain == Domain::IPV6 {
            socket.set_only_v6(false).expect("an option can be set");
        }
        socket.bind(&address.into()).expect("a port is free");
        socket.listen(4096).expect("it is bound");
        let listener = TcpListener::from(socket);
        address = listener.local_addr().expect("it is bound");
        listener
    };
    ((0..sockets).map(listen).collect(), address)
}

/// A command that becomes the server with these descriptors from number 3 on.
fn activated(sockets: &[impl AsFd], arguments: &[&str]) -> Command {
    /// Out of the way first: a source could be the place of another.
    const ASIDE: usize = 500;
    let mut script = String::new();
    for (place, socket) in (3..).zip(sockets) {
        fcntl_setfd(socket, FdFlags::empty()).expect("it is open");
        script += &format!("exec {}<&{}; ", ASIDE + place, socket.as_fd().as_raw_fd());
    }
    for place in 3..3 + sockets.len() {
        script += &format!("exec {place}<&{0} {0}<&-; ", ASIDE + place);
    }
    script += "export LISTEN_PID=$$ LISTEN_FDS=$1; shift; exec \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", &script, "bash", &sockets.len().to_string()]);
    command.args([env!("CARGO_BIN_EXE_ringback"), "serve"]).args(arguments);
    command
}

#[test]
fn inherited_sockets_take_the_place_of_addresses_and_are_dealt_to_all_workers() {
    if !has_tool("bash") {
        return;
    }
    for driver in DriverKind::ALL {
        for sockets in [1, 2, 5] {
            let (held, address) = hold(sockets, Domain::IPV4, "127.0.0.1:0");
            let options = ["203.0.113.1:1", "--workers", "2", "--driver", driver.name()];
            let options = [&options[..], &["--admin", "127.0.0.1:0"]].concat();
            let program = Program::spawn(&mut activated(&held, &options), 1);
            assert_eq!(program.addresses, [address], "{driver}");
            // So many that each socket of a group gets some.
            for _ in 0..60 {
                assert_eq!(exchange(connect(address), b"message"), b"message");
            }
            if sockets > 1 {
                let scrape = Scrape::of(program.admin());
                for worker in ["worker=\"0\"", "worker=\"1\""] {
                    let accepted = scrape.sum("ringback_connections_accepted_total", &[worker]);
                    assert!(accepted > 0.0, "{driver}, {sockets} sockets: {worker}");
                }
            }
            program.signal(Signal::TERM);
            let (status, text) = program.wait();
            assert_eq!(status.code(), Some(0), "{text}");
            let note = format!("note: {sockets} inherited sockets (LISTEN_FDS)");
            assert!(text.lines().any(|line| line.starts_with(&note)), "{text}");
        }
    }
}

#[test]
fn peers_of_a_dual_stack_socket_count_by_their_ipv4_address() {
    if !has_tool("bash") {
        return;
    }
    let (held, address) = hold(1, Domain::IPV6, "[::]:0");
    let options = ["--max-connections-per-ip", "2", "--workers", "1"];
    let program = Program::spawn(&mut activated(&held, &options), 1);
    let at = |ip: &str| SocketAddr::new(ip.parse().expect("an address"), address.port());
    let is_served = |stream: &mut TcpStream| {
        let mut echo = [0; 1];
        stream.write_all(b"x").is_ok() && stream.read_exact(&mut echo).is_ok()
    };
    let from = |own: &str| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(own.parse().expect("an address"), 0).into()).expect("ours");
        socket.connect(&at("127.0.0.1").into()).expect("it listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("an option can be set");
        stream
    };
    let mut first = [from("127.0.0.1"), from("127.0.0.1")];
    assert!(first.iter_mut().all(is_served));
    assert!(!is_served(&mut from("127.0.0.1")), "two from one address");
    // All of IPv4 is in one /64 of mapped addresses.
    assert!(is_served(&mut from("127.0.0.2")), "another address");
    drop(program);
}

#[test]
fn what_is_no_tcp_listener_is_refused() {
    if !has_tool("bash") {
        return;
    }
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let program = Program::spawn(&mut activated(&[udp], &[]), 0);
    let (status, text) = program.wait();
    assert_eq!(status.code(), Some(69), "{text}");
    assert!(text.contains("inherited descriptor 3 is no TCP listener"), "{text}");
}

#[test]
fn sockets_that_are_announced_and_missing_are_named() {
    // More than whoever started this test left open.
    for number in ["900", "-1", "many"] {
        let script = "export LISTEN_PID=$$ LISTEN_FDS=$1; exec \"$0\" serve 127.0.0.1:0";
        let output = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_ringback"), number])
            .output()
            .expect("the program starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{text}");
        assert!(text.contains("LISTEN_FDS and LISTEN_PID announce are not there"), "{text}");
    }
}

#[test]
fn a_restart_behind_kept_sockets_refuses_cuts_and_shortens_nobody() {
    if !has_tool("bash") {
        return;
    }
    for driver in DriverKind::ALL {
        let (held, address) = hold(2, Domain::IPV4, "127.0.0.1:0");
        let is_over = AtomicBool::new(false);
        let served = AtomicUsize::new(0);
        let options = ["--workers", "2", "--driver", driver.name()];
        let start = || Some(Program::spawn(&mut activated(&held, &options), 1));
        let mut server = start();
        thread::scope(|scope| {
            for client in 0..8_u8 {
                let (is_over, served) = (&is_over, &served);
                scope.spawn(move || {
                    let request = vec![client; 10_000];
                    while !is_over.load(Ordering::Relaxed) {
                        assert!(exchange(connect(address), &request) == request, "it is short");
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..scale(20, 100) {
                let before = served.load(Ordering::Relaxed);
                while served.load(Ordering::Relaxed) < before + 20 {
                    thread::yield_now();
                }
                let ending = server.take().expect("one serves");
                ending.signal(Signal::TERM);
                let (status, text) = ending.wait();
                assert_eq!(status.code(), Some(0), "{driver}: {text}");
                server = start();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        drop(server);
    }
}

#[test]
fn real_socket_activation_works() {
    if !has_tool("systemd-socket-activate") {
        return;
    }
    let free = |ip: &str| {
        let listener = TcpListener::bind(format!("{ip}:0")).expect("a port is free");
        listener.local_addr().expect("bound").to_string()
    };
    let (v4, v6) = (free("127.0.0.1"), free("[::1]"));
    let mut command = Command::new("systemd-socket-activate");
    command.args(["-l", &v4, "-l", &v6, env!("CARGO_BIN_EXE_ringback"), "serve"]);
    let program = Program::spawn(&mut command, 0);
    for address in [v4, v6] {
        // It starts the server when somebody comes.
        let stream = loop {
            match TcpStream::connect(&address) {
                Ok(stream) => break stream,
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        };
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("an option can be set");
        assert_eq!(exchange(stream, b"message"), b"message");
    }
    drop(program);
}

/// Notifications that a socket received until a text came.
fn received_until(socket: &UnixDatagram, text: &str) -> Vec<String> {
    socket.set_read_timeout(Some(TEST_TIMEOUT)).expect("an option can be set");
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let started = Instant::now();
    while !received.iter().any(|message: &String| message.contains(text)) {
        assert!(started.elapsed() < TEST_TIMEOUT, "no {text} among {received:?}");
        let length = socket.recv(&mut buffer).expect(text);
        received.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    received
}

#[test]
fn the_service_manager_is_told_what_becomes_of_the_server() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("notify").to_str().expect("UTF-8").to_owned();
    let abstract_name = format!("ringback-test-{}", std::process::id());
    let address = UnixAddress::from_abstract_name(&abstract_name).expect("a name");
    for (name, socket) in [
        (path.clone(), UnixDatagram::bind(&path).expect("a name is free")),
        (format!("@{abstract_name}"), UnixDatagram::bind_addr(&address).expect("it is free")),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringback"));
        command.args(["serve", "127.0.0.1:0", "--drain-delay", "1s", "--drain-timeout", "2s"]);
        let program =
            Program::spawn(command.env("NOTIFY_SOCKET", name).env("WATCHDOG_USEC", "400000"), 1);
        // In any order: two threads send them.
        let mut early = received_until(&socket, "READY=1");
        for expected in ["STATUS=serving, 0 connections", "WATCHDOG=1"] {
            if !early.iter().any(|message| message == expected) {
                early.extend(received_until(&socket, expected));
            }
        }
        let open = connect(program.addresses[0]);
        received_until(&socket, "STATUS=serving, 1 connections");
        program.signal(Signal::TERM);
        let stopping = received_until(&socket, "STOPPING=1").pop().expect("it came");
        // Delay, drain, and a second for what is left.
        assert_eq!(stopping, "STOPPING=1\nEXTEND_TIMEOUT_USEC=4000000");
        drop(open);
        assert_eq!(program.wait().0.code(), Some(0));
    }
}

#[test]
fn a_worker_that_hangs_is_not_said_to_be_well() {
    if !has_tool("strace") || !is_root() {
        return;
    }
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a name is free");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback"));
    command.args(["serve", "127.0.0.1:0", "--workers", "1", "--hang-timeout", "off"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "500000");
    let program = Program::spawn(&mut command, 1);
    received_until(&socket, "WATCHDOG=1");
    // A stopped thread would stop them all: so the worker is held by a debugger.
    let worker = super::hang::thread_of(&program, "worker-0");
    let mut held = super::hang::hold(&worker, "io_uring_enter");
    socket.set_read_timeout(Some(Duration::from_secs(4))).expect("an option can be set");
    let mut buffer = [0; 4096];
    let mut fed = 0;
    while let Ok(length) = socket.recv(&mut buffer) {
        fed += usize::from(buffer[..length].starts_with(b"WATCHDOG=1"));
        assert!(fed < 40, "it is said to be well for ten seconds");
    }
    let _ = held.kill();
    let _ = held.wait();
    received_until(&socket, "WATCHDOG=1");
    program.signal(Signal::TERM);
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn a_notification_socket_that_cannot_be_reached_ends_the_start() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback"));
    command.args(["serve", "127.0.0.1:0"]).env("NOTIFY_SOCKET", "/nonexistent/notify");
    let (status, text) = Program::spawn(&mut command, 0).wait();
    assert_eq!(status.code(), Some(69), "{text}");
    assert!(
        text.contains("cannot notify NOTIFY_SOCKET=/nonexistent/notify: No such file"),
        "{text}"
    );
}

#[test]
fn a_half_close_after_the_answer_is_no_loss_at_a_restart() {
    if !has_tool("bash") {
        return;
    }
    let (held, address) = hold(1, Domain::IPV4, "127.0.0.1:0");
    let first = Program::spawn(&mut activated(&held, &["--workers", "1"]), 1);
    let mut stream = connect(address);
    stream.write_all(b"message").expect("it reads");
    first.signal(Signal::TERM);
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("it ends with a FIN");
    assert_eq!(reply, b"message");
    assert_eq!(first.wait().0.code(), Some(0));
    // Nobody accepts now; whoever comes waits for the next server.
    let waiting = connect(address);
    let second = Program::spawn(&mut activated(&held, &["--workers", "1"]), 1);
    assert_eq!(exchange(waiting, b"message"), b"message");
    drop(second);
}
