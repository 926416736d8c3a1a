//! Shutdown under load: what was received is answered, and nobody is cut off.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringback::protocol::{ErrorCode, Framed, Kind};
use ringback::server::{Config, Server};
use rustix::process::Signal;

use super::DRIVER;
use crate::support::framed::{before_goaway, final_error, frame};
use crate::support::peers::connect_with_small_buffers;
use crate::support::{Program, TEST_TIMEOUT, connect, exchange, noise, run, scale};

/// Fate of a client that sent something, half-closed and read to the end.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Everything came back.
    Served,
    /// No server was there, or none answered the handshake before the client lost patience.
    NotConnected,
    /// It was connected, and something was missing at the end.
    CutOff(String),
}

/// One client: `pieces` of 1,000 bytes with pauses between them.
fn client(address: SocketAddr, seed: u64, pieces: usize, pause: Duration) -> Fate {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) else {
        return Fate::NotConnected;
    };
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a timeout can be set");
    let request = noise(1000 * pieces, seed);
    for piece in request.chunks(1000) {
        if let Err(error) = stream.write_all(piece) {
            return Fate::CutOff(format!("writing: {error}"));
        }
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    }
    if let Err(error) = stream.shutdown(Shutdown::Write) {
        return Fate::CutOff(format!("half-closing: {error}"));
    }
    let mut reply = Vec::new();
    match stream.read_to_end(&mut reply) {
        Err(error) => Fate::CutOff(format!("after {} bytes: {error}", reply.len())),
        Ok(_) if reply == request => Fate::Served,
        Ok(length) => Fate::CutOff(format!("{length} of {} bytes", request.len())),
    }
}

/// Tells the clients to end, also when the test fails: they are waited for.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How many clients were served and how many found no server.
#[derive(Debug, Default)]
struct Tally {
    served: usize,
    not_connected: usize,
}

/// Runs clients in several threads, one after another, until `stop` says so; nobody is cut off.
fn run_clients(address: SocketAddr, threads: u64, stop: &AtomicBool) -> Tally {
    let run = |thread: u64| {
        let mut tally = Tally::default();
        for round in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let seed = thread * 1_000_000 + round;
            let pause = Duration::from_micros(seed % 3 * 500);
            match client(address, seed, (seed % 20) as usize + 1, pause) {
                Fate::Served => tally.served += 1,
                Fate::NotConnected => tally.not_connected += 1,
                cut_off => panic!("client {seed}: {cut_off:?}"),
            }
        }
        tally
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        let mut total = Tally::default();
        for client in clients {
            let tally = client.join().expect("nobody was cut off");
            total.served += tally.served;
            total.not_connected += tally.not_connected;
        }
        total
    })
}

/// The number before a word of the last line.
fn number_before(lines: &str, what: &str) -> usize {
    let (before, _) = lines.split_once(what).unwrap_or_else(|| panic!("no {what:?} in: {lines}"));
    before.rsplit(' ').find_map(|word| word.parse().ok()).expect("a number stands before it")
}

/// Drains it; it must end well.
fn drain(program: Program) -> String {
    program.signal(Signal::TERM);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    lines
}

const QUICK: [&str; 4] = ["--drain-quiet", "300ms", "--workers", "2"];

fn serve<'a>(address: &'a str, more: &[&'a str]) -> Program {
    Program::start(&[&["serve", address, "--driver", DRIVER.name()], &QUICK[..], more].concat(), 1)
}

#[test]
fn restarts_under_load_lose_nothing() {
    let first = serve("127.0.0.1:0", &[]);
    let address = first.addresses[0];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients = scope.spawn(|| run_clients(address, 8, &stop));
        let stopping = Stop(&stop);
        let mut running = Some(first);
        for _ in 0..scale(10, 100) {
            thread::sleep(Duration::from_millis(150));
            let lines = drain(running.take().expect("one runs at a time"));
            assert!(lines.contains("abandoned: 0 connections, 0 bytes lost"), "{lines}");
            running = Some(serve(&address.to_string(), &[]));
        }
        thread::sleep(Duration::from_millis(50));
        drop(stopping);
        let tally = clients.join().expect("nobody was cut off");
        assert!(tally.served > scale(100, 2000), "{tally:?}");
    });
}

#[test]
fn an_overlapping_restart_refuses_nobody() {
    let mut program = serve("127.0.0.1:0", &["--share-port"]);
    let address = program.addresses[0];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients = scope.spawn(|| run_clients(address, 8, &stop));
        let stopping = Stop(&stop);
        for _ in 0..scale(5, 50) {
            thread::sleep(Duration::from_millis(150));
            let next = serve(&address.to_string(), &["--share-port"]);
            drain(std::mem::replace(&mut program, next));
        }
        drop(stopping);
        let tally = clients.join().expect("nobody was cut off");
        assert!(tally.served > scale(100, 2000), "{tally:?}");
        // A SYN that the old server dropped is sent again only after a second.
        assert!(tally.not_connected * 5 < tally.served, "{tally:?}");
    });
    drain(program);
}

#[test]
fn a_client_that_connects_during_a_drain_is_served_or_refused() {
    for _ in 0..scale(12, 100) {
        let program = serve("127.0.0.1:0", &[]);
        let address = program.addresses[0];
        // It keeps the server draining for a while.
        let mut last = connect(address);
        last.write_all(b"x").expect("sent");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let stopping = Stop(&stop);
            for thread in 0..6 {
                // As many handshakes as can be, so that some meet the moment the listeners close.
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let fate = client(address, thread, 1, Duration::ZERO);
                        assert!(!matches!(fate, Fate::CutOff(_)), "{fate:?}");
                    }
                });
            }
            thread::sleep(Duration::from_millis(20));
            program.signal(Signal::TERM);
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(300) {
                last.write_all(b"y").expect("it is served on");
                last.read_exact(&mut [0]).expect("it is served on");
                thread::sleep(Duration::from_millis(20));
            }
            drop(stopping);
        });
        last.shutdown(Shutdown::Write).expect("it is connected");
        last.read_to_end(&mut Vec::new()).expect("the rest");
        drop(last);
        let (status, lines) = program.wait();
        assert_eq!(status.code(), Some(0), "{lines}");
    }
}

#[test]
fn connections_that_were_never_accepted_are_served() {
    // More than one batch of accepts, and not one of them has been read from at the signal.
    let program = serve("127.0.0.1:0", &[]);
    let request = noise(2000, 5);
    let mut peers: Vec<_> = (0..500).map(|_| connect(program.addresses[0])).collect();
    program.signal(Signal::TERM);
    for peer in &mut peers {
        peer.write_all(&request).expect("sent");
        peer.shutdown(Shutdown::Write).expect("half-closed");
    }
    for peer in &mut peers {
        let mut reply = Vec::new();
        peer.read_to_end(&mut reply).expect("no reset");
        assert!(reply == request, "{} bytes came back", reply.len());
    }
    drop(peers);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    assert_eq!(number_before(&lines, " connections, 1000000 bytes received"), 500);
    assert!(lines.contains("1000000 sent; abandoned: 0 connections, 0 bytes lost"), "{lines}");
}

#[test]
fn framed_peers_are_told_to_go_and_what_they_sent_is_answered() {
    // The last peers are silent for as long as the first ones take.
    let arguments = ["serve", "127.0.0.1:0", "--driver", DRIVER.name(), "--protocol", "framed"];
    let program = Program::start(&[&arguments[..], &["--drain-quiet", "5s"]].concat(), 1);
    let address = program.addresses[0];
    let mut peers: Vec<_> = (0..50).map(|_| connect(address)).collect();
    let first = frame(Kind::Echo, 11, &noise(3000, 1));
    for peer in &mut peers {
        let mut reply = vec![0; first.len()];
        peer.write_all(&first).expect("sent");
        peer.read_exact(&mut reply).expect("answered");
    }
    program.signal(Signal::TERM);
    let second = frame(Kind::Echo, 12, &noise(5000, 2));
    for (number, mut peer) in peers.into_iter().enumerate() {
        // Told before anything else is sent, they send a last frame all the same.
        let mut goaway = [0; 20];
        peer.read_exact(&mut goaway).expect("told");
        assert_eq!(before_goaway(&goaway), Some((&[][..], 11)), "peer {number}");
        let reply = exchange(peer, &second);
        assert!(reply == second, "peer {number}: {} bytes", reply.len());
    }
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
}

#[test]
fn a_slow_reader_gets_everything_while_the_server_drains() {
    let program = serve("127.0.0.1:0", &["--drain-timeout", "30s"]);
    let request = noise(scale(3_000_000, 30_000_000), 9);
    let peer = connect_with_small_buffers(program.addresses[0]);
    let mut reader = peer.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        scope.spawn(|| {
            (&peer).write_all(&request).expect("received to the end");
            peer.shutdown(Shutdown::Write).expect("half-closed");
        });
        let (mut reply, mut piece) = (vec![0; 1000], vec![0; 64 << 10]);
        reader.read_exact(&mut reply).expect("it is being served");
        program.signal(Signal::TERM);
        loop {
            thread::sleep(Duration::from_micros(500));
            match reader.read(&mut piece).expect("no reset") {
                0 => break,
                length => reply.extend_from_slice(&piece[..length]),
            }
        }
        assert!(reply == request, "{} of {} bytes came back", reply.len(), request.len());
    });
    drop((peer, reader));
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
}

#[test]
fn a_peer_that_never_reads_is_abandoned_at_the_deadline_and_told_about() {
    let program = serve("127.0.0.1:0", &["--drain-timeout", "1s"]);
    let address = program.addresses[0];
    let mut reads_nothing = connect_with_small_buffers(address);
    reads_nothing.set_write_timeout(Some(Duration::from_millis(300))).expect("an option");
    let mut sent = 0;
    let block = noise(1 << 16, 3);
    while let Ok(length) = reads_nothing.write(&block) {
        sent += length;
    }
    let others: Vec<_> = (0..10).map(|_| connect(address)).collect();
    let started = Instant::now();
    program.signal(Signal::TERM);
    for other in others {
        assert_eq!(exchange(other, b"still served"), b"still served");
    }
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(1), "{lines}");
    assert!(started.elapsed() >= Duration::from_secs(1), "it waited for {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(8), "it waited for {:?}", started.elapsed());
    assert!(lines.contains("abandoned: 1 connection, "), "{lines}");
    let (received, lost) =
        (number_before(&lines, " bytes received"), number_before(&lines, " bytes lost"));
    assert!(lost > 0 && received <= sent + 120, "{sent} sent; {lines}");
    // What its side of the connection has is not lost; all that came in time and is not there is.
    let late =
        if lines.contains("too late") { number_before(&lines, " bytes came too late") } else { 0 };
    let delivered = reads_nothing.peek(&mut vec![0; 1 << 20]).expect("something came");
    assert_eq!(lost, received - late - 120 - delivered, "{delivered} delivered; {lines}");
    assert_eq!(number_before(&lines, " connections, "), 10, "{lines}");
}

#[test]
fn a_drain_sleeps_while_it_waits_for_a_reader() {
    // A refused frame ends the connection as soon as its peer has read what came before.
    let frame_timeout = Duration::from_secs(3600);
    let framed = Framed { frame_timeout, ..Framed::default() };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config::with_protocol(vec![address], framed);
    config.driver = DRIVER;
    config.cpus.truncate(1);
    config.send_buffer = Some(4 << 10);
    config.stall_timeout = Duration::from_secs(3600);
    config.drain_timeout = Duration::from_secs(30);
    let server = Server::start(&config).expect("the server starts");
    let mut peer = connect_with_small_buffers(server.local_addresses()[0]);
    let request = frame(Kind::Echo, 1, &noise(60_000, 4)).repeat(2);
    peer.write_all(&request).expect("sent");
    peer.write_all(b"no frame at all, nor a header").expect("sent");
    thread::sleep(Duration::from_millis(200));
    server.shutdown().drain();
    let drained = Instant::now();
    // By then the listeners are closed. Something happens once more, then nothing does.
    thread::sleep(Duration::from_millis(500));
    let mut reply = vec![0; 50_000];
    peer.read_exact(&mut reply).expect("it is served");
    thread::sleep(Duration::from_millis(100));
    let (cpu, started) = (cpu_time_of(&server), Instant::now());
    thread::sleep(Duration::from_millis(500));
    let (cpu, wall) = (cpu_time_of(&server) - cpu, started.elapsed());
    assert!(cpu * 10 < wall, "{cpu:?} of processor time in {wall:?}");
    peer.read_to_end(&mut reply).expect("a FIN");
    let (before, error) = final_error(&reply);
    assert!(reply[..before] == request, "{before} bytes came back");
    assert_eq!(error.code(), Some(ErrorCode::BadMagic));
    drop(peer);
    let counters = server.wait().expect("it ends well");
    assert!(drained.elapsed() < config.drain_timeout / 2, "it took {:?}", drained.elapsed());
    assert_eq!((counters.closed(), counters.lost_bytes), (1, 0));
}

/// Processor time of the workers.
fn cpu_time_of(server: &Server) -> Duration {
    let of_thread = |id| {
        let path = format!("/proc/self/task/{id}/schedstat");
        let text = fs::read_to_string(path).expect("the worker runs");
        let nanoseconds = text.split(' ').next().expect("three numbers");
        Duration::from_nanos(nanoseconds.parse().expect("a number"))
    };
    server.thread_ids().into_iter().map(of_thread).sum()
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let program = serve("127.0.0.1:0", &["--drain-timeout", "50s"]);
    let mut peer = connect_with_small_buffers(program.addresses[0]);
    peer.set_write_timeout(Some(Duration::from_millis(300))).expect("an option can be set");
    while peer.write(&[1; 1 << 16]).is_ok() {}
    program.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    program.signal(Signal::INT);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(1), "{lines}");
    assert!(started.elapsed() < Duration::from_secs(10), "it took {:?}", started.elapsed());
}

#[test]
fn bytes_after_our_fin_are_late_and_no_loss() {
    let program = serve("127.0.0.1:0", &[]);
    let mut peer = connect(program.addresses[0]);
    peer.write_all(b"in time").expect("sent");
    peer.read_exact(&mut [0; 7]).expect("answered");
    program.signal(Signal::TERM);
    assert_eq!(peer.read(&mut [0; 1]).expect("a FIN after the quiet time"), 0);
    peer.write_all(b"too late").expect("it is taken all the same");
    thread::sleep(Duration::from_millis(50));
    drop(peer);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    assert!(lines.contains("8 bytes came too late"), "{lines}");
}

#[test]
fn a_port_is_refused_while_in_use_and_free_right_after() {
    let program = serve("127.0.0.1:0", &[]);
    let address = program.addresses[0];
    let text = address.to_string();
    let (code, lines) = run(&["serve", &text, "--driver", DRIVER.name()]);
    assert_eq!(code, Some(69), "{lines}");
    assert!(lines.contains("the port is in use"), "{lines}");
    // Its connections are left in TIME_WAIT: it closed first.
    let peers: Vec<_> = (0..20).map(|_| connect(address)).collect();
    program.signal(Signal::TERM);
    for mut peer in peers {
        assert_eq!(peer.read(&mut [0; 1]).expect("a FIN"), 0);
    }
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
    let started = Instant::now();
    let again = serve(&text, &[]);
    assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());
    assert_eq!(exchange(connect(again.addresses[0]), b"back"), b"back");
    drain(again);
    let refused = TcpStream::connect(address).expect_err("nobody listens any more");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}
