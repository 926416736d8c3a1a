//! Limits over real sockets: who is let in, and who has to go.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ringback::protocol::{ErrorCode, Kind};
use rustix::process::Signal;
use socket2::{Domain, SockFilter, SockRef, Socket, Type};

use super::DRIVER;
use crate::support::framed::{final_error, frame};
use crate::support::peers::{Flood, Witness, connect_with_small_buffers};
use crate::support::tools::{has_tool, is_root};
use crate::support::{Program, TEST_TIMEOUT, connect, noise};

fn start(arguments: &[&str]) -> (Program, SocketAddr) {
    let program = Program::start(
        &[&["serve", "127.0.0.1:0", "--driver", DRIVER.name()], arguments].concat(),
        1,
    );
    let address = program.addresses[0];
    (program, address)
}

/// A connection from one of the many addresses of this host.
fn connect_from(source: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor can be had");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("loopback has all of 127/8");
    socket.connect(&address.into()).expect("the server accepts");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a timeout can be set");
    stream
}

/// Asks with one message whether the server lets this connection in; the message is to come back.
fn is_served(stream: &mut TcpStream, message: &[u8]) -> bool {
    let mut reply = vec![0; message.len()];
    stream.write_all(message).is_ok() && stream.read_exact(&mut reply).is_ok() && reply == message
}

/// Tries anew until a connection is let in.
fn connect_until_served(connect: impl Fn() -> TcpStream, message: &[u8]) -> TcpStream {
    let started = Instant::now();
    loop {
        let mut stream = connect();
        if is_served(&mut stream, message) {
            return stream;
        }
        assert!(started.elapsed() < TEST_TIMEOUT, "nobody is let in");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Ends the server; what it said at the end.
fn last_words(program: Program) -> String {
    program.signal(Signal::TERM);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    lines
}

#[test]
fn a_framed_peer_too_many_is_told_so_and_others_go_on() {
    let (program, address) = start(&["--protocol", "framed", "--max-connections", "5"]);
    let message = frame(Kind::Echo, 3, b"message");
    let mut admitted: Vec<_> = (0..5).map(|_| Witness::new(address, &message)).collect();
    admitted.iter_mut().for_each(Witness::echo);
    // More than are told at the same time.
    for _ in 0..200 {
        let mut surplus = connect(address);
        let mut reply = Vec::new();
        surplus.read_to_end(&mut reply).expect("ERROR and FIN, no reset");
        let (before, error) = final_error(&reply);
        assert_eq!((before, error.code(), error.sequence), (0, Some(ErrorCode::Busy), 0));
        admitted[0].echo();
    }
    drop(admitted.pop());
    let late = connect_until_served(|| connect(address), &message);
    admitted.iter_mut().for_each(Witness::echo);
    drop((late, admitted));
    last_words(program);
}

#[test]
fn surplus_peers_that_stay_keep_nobody_from_being_told_or_served() {
    let (program, address) = start(&["--protocol", "framed", "--max-connections", "1"]);
    let message = frame(Kind::Echo, 3, b"message");
    let mut admitted = Witness::new(address, &message);
    admitted.echo();
    // They neither read nor close, and are told or closed all the same.
    let surplus: Vec<_> = (0..400).map(|_| connect(address)).collect();
    admitted.echo();
    for mut peer in surplus {
        let mut reply = Vec::new();
        match peer.read_to_end(&mut reply) {
            Ok(0) => {}
            Ok(_) => assert_eq!(final_error(&reply).1.code(), Some(ErrorCode::Busy)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
    drop(admitted);
    drop(connect_until_served(|| connect(address), &message));
    last_words(program);
}

#[test]
fn a_raw_peer_too_many_is_closed() {
    let (program, address) = start(&["--max-connections", "3"]);
    let mut admitted: Vec<_> = (0..3).map(|_| Witness::new(address, b"message")).collect();
    admitted.iter_mut().for_each(Witness::echo);
    for _ in 0..50 {
        let mut surplus = connect(address);
        assert_eq!(surplus.read(&mut [0; 1]).expect("a FIN, no reset"), 0);
    }
    admitted.iter_mut().for_each(Witness::echo);
    while admitted.pop().is_some() {
        for _ in 0..2 {
            drop(connect_until_served(|| connect(address), b"message"));
        }
    }
    last_words(program);
}

#[test]
fn each_address_has_its_own_share() {
    let (program, address) = start(&["--max-connections-per-ip", "2"]);
    let from = |last: u8| connect_from([127, 0, 0, last], address);
    let mut admitted = Vec::new();
    for last in 1..=20 {
        for _ in 0..2 {
            admitted.push(from(last));
            assert!(is_served(admitted.last_mut().expect("just pushed"), b"message"));
        }
    }
    for last in 1..=20 {
        assert_eq!(from(last).read(&mut [0; 1]).expect("a FIN"), 0, "127.0.0.{last}");
    }
    // The places of the first address become free; those of the second do not.
    admitted.drain(..2);
    let again = connect_until_served(|| from(1), b"message");
    assert_eq!(from(2).read(&mut [0; 1]).expect("a FIN"), 0);
    assert!(admitted.iter_mut().all(|stream| is_served(stream, b"message")));
    drop((again, admitted));
    last_words(program);
}

#[test]
fn an_address_beyond_its_share_takes_no_descriptors_from_others() {
    if !has_tool("prlimit") {
        return;
    }
    let mut command = Command::new("prlimit");
    command.arg("--nofile=256:256").arg(env!("CARGO_BIN_EXE_ringback"));
    command.args(["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "8"]);
    let program = Program::spawn(command.args(["--max-connections-per-ip", "5"]), 1);
    let address = program.addresses[0];
    // They stay: those who are told that there is no room, and those who are not. A burst is
    // accepted before it is judged, so each one fits the limit.
    let mut greedy = Vec::new();
    for _ in 0..4 {
        let mut burst: Vec<_> = (0..100).map(|_| connect_from([127, 0, 0, 66], address)).collect();
        let served = burst.iter_mut().map(|stream| is_served(stream, b"message"));
        assert!(served.filter(|served| *served).count() <= 5);
        greedy.append(&mut burst);
    }
    let mut modest: Vec<_> = (0..50).map(|last| connect_from([127, 0, 1, last], address)).collect();
    assert!(modest.iter_mut().all(|stream| is_served(stream, b"message")));
    drop((greedy, modest));
    let lines = last_words(program);
    assert!(!lines.contains("pauses of accepting"), "{lines}");
}

#[test]
fn an_idle_peer_is_ended_and_a_busy_one_is_not() {
    let timeout = Duration::from_millis(600);
    let (_program, address) = start(&["--idle-timeout", "600ms"]);
    let (mut idle, mut busy) = (connect(address), connect(address));
    let started = Instant::now();
    assert!(is_served(&mut idle, b"message"));
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(idle.read(&mut [0; 1]).expect("a FIN"), 0);
            assert!(started.elapsed() >= timeout, "ended after {:?}", started.elapsed());
        });
        while started.elapsed() < timeout * 3 {
            assert!(is_served(&mut busy, b"message"));
            thread::sleep(timeout / 6);
        }
    });
}

/// Keepalive timer of each connection to this IPv4 address, in seconds, by the peer's address;
/// `None` where no timer runs (`proc_net_tcp`: USER_HZ is 100 everywhere).
///
/// One whose last segment is not acknowledged yet has another timer, and is left out. So may be
/// any other: the table is read page by page, while sockets come and go.
fn keepalive_timers(address: SocketAddr) -> BTreeMap<String, Option<u64>> {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/net/tcp").expect("it is mounted");
    let local = format!(":{:04X}", address.port());
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[1].ends_with(&local) && fields[3] == ESTABLISHED)
        .filter_map(|fields| {
            let timer = match fields[5].split_once(':').expect("a timer and its time") {
                ("00", _) => None,
                ("02", hundredths) => {
                    Some(u64::from_str_radix(hundredths, 16).expect("a number").div_ceil(100))
                }
                _ => return None,
            };
            Some((fields[2].to_owned(), timer))
        })
        .collect()
}

#[test]
fn silent_peers_are_probed_unless_that_is_off() {
    for (arguments, expected_s) in [
        (&[][..], Some(50..=60)),
        (&["--keepalive", "1000s"], Some(900..=1000)),
        (&["--keepalive", "off"], None),
    ] {
        let (_program, address) = start(arguments);
        let mut peers: Vec<_> = (0..4).map(|_| connect(address)).collect();
        assert!(peers.iter_mut().all(|peer| is_served(peer, b"message")));
        let started = Instant::now();
        let timers = loop {
            let timers = keepalive_timers(address);
            if timers.len() == peers.len() {
                break timers.into_values();
            }
            assert!(started.elapsed() < TEST_TIMEOUT, "{arguments:?}: {timers:?}");
            thread::sleep(Duration::from_millis(50));
        };
        for timer in timers {
            match &expected_s {
                None => assert_eq!(timer, None, "{arguments:?}"),
                Some(range) => assert!(
                    timer.is_some_and(|timer| range.contains(&timer)),
                    "{arguments:?}: {timer:?}"
                ),
            }
        }
    }
}

/// As when its host loses power: from now on nothing that is sent to it arrives or is answered.
fn vanish(peer: &TcpStream) {
    let drop_all = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
    SockRef::from(peer).attach_filter(&[drop_all]).expect("root may filter");
}

#[test]
fn peers_that_vanished_do_not_keep_their_places() {
    if !is_root() {
        return;
    }
    let (program, address) = start(&["--keepalive", "1s", "--max-connections", "3"]);
    let mut vanished: Vec<_> = (0..3).map(|_| connect(address)).collect();
    assert!(vanished.iter_mut().all(|peer| is_served(peer, b"message")));
    let started = Instant::now();
    vanished.iter().for_each(vanish);
    drop(connect_until_served(|| connect(address), b"message"));
    let took = started.elapsed();
    assert!(took.as_secs() >= 5, "five probes, a second apart, did not all go out: {took:?}");
    drop(vanished);
    let lines = last_words(program);
    assert!(lines.contains("; 3 did not answer keepalive probes"), "{lines}");
}

#[test]
fn a_peer_that_reads_nothing_is_ended_in_time() {
    let timeout = Duration::from_secs(2);
    let (program, address) = start(&["--stall-timeout", "2s"]);
    let before = program.descriptors();
    let mut flood = Flood::new(address, 4);
    let started = Instant::now();
    thread::scope(|scope| {
        // What fills the kernel's buffers and the server's is there in no time; then nothing moves,
        // but for the probes by which the kernel asks whether it could.
        scope.spawn(|| flood.press(&noise(1 << 20, 1), 1 << 20, 8 << 20));
        while program.descriptors() < before + 4 {
            assert!(started.elapsed() < timeout, "not even accepted");
        }
        program.wait_for_descriptors(before + 3);
        assert!(started.elapsed() >= timeout, "the first was ended after {:?}", started.elapsed());
        program.wait_for_descriptors(before);
        let longest = timeout * 5 / 4 + Duration::from_secs(2);
        assert!(started.elapsed() <= longest, "the last was ended after {:?}", started.elapsed());
    });
}

#[test]
fn a_peer_that_reads_slowly_is_not_stalled() {
    let (_program, address) = start(&["--stall-timeout", "1s"]);
    // More than the kernel's send buffer takes.
    let request = noise(8 << 20, 2);
    let peer = connect_with_small_buffers(address);
    let mut reader = peer.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        scope.spawn(|| {
            (&peer).write_all(&request).expect("sent");
            peer.shutdown(Shutdown::Write).expect("half-closed");
        });
        // For four stall timeouts it takes less than would let a single send of the server end.
        let (mut reply, mut piece) = (Vec::new(), [0; 2048]);
        for _ in 0..80 {
            let length = reader.read(&mut piece).expect("readable");
            reply.extend_from_slice(&piece[..length]);
            thread::sleep(Duration::from_millis(50));
        }
        reader.read_to_end(&mut reply).expect("it is still served");
        assert!(reply == request, "{} of {} bytes came back", reply.len(), request.len());
    });
}

#[test]
fn a_frame_has_its_time_however_steadily_it_trickles() {
    let timeout = Duration::from_millis(600);
    let (_program, address) = start(&["--protocol", "framed", "--frame-timeout", "600ms"]);
    let frame = frame(Kind::Echo, 9, &noise(1000, 3));
    let mut peer = connect(address);
    // Idle time between frames does not count.
    thread::sleep(timeout * 2);
    assert!(is_served(&mut peer, &frame));
    let started = Instant::now();
    let mut reader = peer.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        scope.spawn(move || {
            for byte in &frame {
                if peer.write_all(&[*byte]).is_err() || started.elapsed() > timeout * 10 {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut reply = vec![0; 300];
        let length = reader.read(&mut reply).expect("told");
        let error = final_error(&reply[..length]).1;
        assert_eq!((error.code(), error.sequence), (Some(ErrorCode::FrameTimeout), 9));
        assert!(started.elapsed() >= timeout, "told after {:?}", started.elapsed());
        assert!(started.elapsed() < timeout * 4, "told after {:?}", started.elapsed());
        reader.shutdown(Shutdown::Both).expect("it is connected");
    });
}

/// A server that may have this many descriptors and has them all, and 200 peers, some of which
/// wait for it.
fn start_starved(descriptors: usize, more: &[&str]) -> (Program, Vec<TcpStream>) {
    let arguments = [
        "serve",
        "127.0.0.1:0",
        "--driver",
        DRIVER.name(),
        "--workers",
        "2",
        "--max-connections",
        "1000",
    ];
    let limit = format!("--nofile={descriptors}:{descriptors}");
    let mut command = Command::new("prlimit");
    command.arg(limit).arg(env!("CARGO_BIN_EXE_ringback")).args(arguments).args(more);
    let program = Program::spawn(&mut command, 1);
    let mut peers: Vec<_> = (0..200_u8).map(|_| connect(program.addresses[0])).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.write_all(&[number as u8; 8]).expect("the kernel takes it");
        peer.set_nonblocking(true).expect("an option can be set");
    }
    let started = Instant::now();
    while program.descriptors() < descriptors {
        assert!(started.elapsed() < TEST_TIMEOUT, "{} descriptors", program.descriptors());
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(200));
    (program, peers)
}

/// Splits off the peers whose message came back.
fn take_served(peers: Vec<TcpStream>) -> (Vec<TcpStream>, Vec<TcpStream>) {
    let is_served = |mut peer: &TcpStream| peer.read(&mut [0; 8]).is_ok_and(|length| length == 8);
    peers.into_iter().partition(is_served)
}

/// Waits until every message came back, and lets go of each peer in turn.
fn wait_until_served(mut waiting: Vec<TcpStream>) {
    let started = Instant::now();
    while !waiting.is_empty() {
        assert!(started.elapsed() < TEST_TIMEOUT / 2, "{} peers still wait", waiting.len());
        waiting = take_served(waiting).1;
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_server_that_listens_lacks_no_descriptor_any_more() {
    let (program, _) = start(&["--workers", "4"]);
    let descriptors = program.descriptors();
    thread::sleep(Duration::from_millis(100));
    assert_eq!(program.descriptors(), descriptors);
}

#[test]
fn as_many_as_are_let_in_by_default_can_be_served() {
    let limited = |arguments: &[&str]| {
        let mut command = Command::new("prlimit");
        command.arg("--nofile=256:256").arg(env!("CARGO_BIN_EXE_ringback"));
        command.args(["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "12"]);
        command.args(arguments);
        command
    };
    let check = limited(&["--check"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&check.stderr);
    let (before, _) = text.split_once(" connections x ").expect("the bound is printed");
    let limit = before.rsplit(' ').next().expect("a word").parse().expect("a number");
    let program = Program::spawn(&mut limited(&[]), 1);
    let mut peers: Vec<_> = (0..limit).map(|_| connect(program.addresses[0])).collect();
    assert!(peers.len() > 50 && peers.iter_mut().all(|peer| is_served(peer, b"message")));
    drop(peers);
    let lines = last_words(program);
    assert!(!lines.contains("pauses of accepting"), "{lines}");
}

#[test]
fn whatever_the_descriptor_limit_it_serves_or_does_not_start() {
    if !has_tool("prlimit") {
        return;
    }
    for limit in 8..26 {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}:{limit}")).arg(env!("CARGO_BIN_EXE_ringback"));
        command.args(["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--workers", "2"]);
        let mut program = Program::spawn(&mut command, 0);
        let address = std::iter::from_fn(|| program.next_line())
            .find_map(|line| line.strip_prefix("listening on ")?.parse().ok());
        if let Some(address) = address {
            Witness::new(address, b"message").echo();
        } else {
            let (status, lines) = program.wait();
            assert_eq!(status.code(), Some(69), "{limit} descriptors: {lines}");
        }
    }
}

#[test]
fn without_descriptors_it_waits_quietly_and_goes_on_when_peers_leave() {
    let (program, peers) = start_starved(60, &[]);
    let (cpu, started) = (program.cpu_time(), Instant::now());
    thread::sleep(Duration::from_secs(1));
    let (cpu, wall) = (program.cpu_time() - cpu, started.elapsed());
    assert!(cpu * 5 < wall, "{cpu:?} of processor time in {wall:?}");

    let (mut served, waiting) = take_served(peers);
    assert!((20..60).contains(&served.len()), "{} peers are served", served.len());
    for peer in &mut served {
        peer.set_nonblocking(false).expect("an option can be set");
        assert!(is_served(peer, b"still"));
    }
    drop(served);
    wait_until_served(waiting);
    let mut witness = Witness::new(program.addresses[0], b"recovered");
    witness.echo();
    drop(witness);
    last_words(program);
}

#[test]
fn a_drain_without_descriptors_serves_those_who_wait_all_the_same() {
    let (program, peers) = start_starved(60, &[]);
    program.signal(Signal::TERM);
    // Longer than handshakes under way are given; nobody has left yet.
    thread::sleep(Duration::from_millis(500));
    wait_until_served(peers);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    assert!(lines.contains("finished: 200 connections"), "{lines}");
}

#[test]
fn who_is_never_accepted_is_told_about_at_the_end_of_the_drain() {
    let (program, peers) = start_starved(60, &["--drain-timeout", "1s"]);
    let started = Instant::now();
    program.signal(Signal::TERM);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(1), "{lines}");
    assert!(lines.contains(" connections never accepted"), "{lines}");
    // Whoever gets in at the very end may be too late, but nothing that was received is lost.
    assert!(lines.contains(" connections, 0 bytes lost"), "{lines}");
    // One time-out for all, with its flush, not one for each that gets in late.
    assert!(started.elapsed() < Duration::from_secs(6), "it took {:?}", started.elapsed());
    drop(peers);
}
