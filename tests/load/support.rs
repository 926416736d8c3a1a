//! Servers, short runs, and what holds for every report.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ringback::load::{Config, Report, Sizes, Target, run};
use ringback::protocol::{self, Connection, Framed, Protocol};

use crate::host;

/// Starts a server that gives each connection a thread and its number.
pub(crate) fn serve(handle: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for (number, socket) in listener.incoming().flatten().enumerate() {
            socket.set_nodelay(true).unwrap();
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle(number, socket));
        }
    });
    address
}

pub(crate) fn echo(mut socket: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        if socket.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Echoes so many messages of 64 bytes.
pub(crate) fn echo_messages(socket: &mut TcpStream, messages: usize) -> bool {
    let mut message = [0; 64];
    (0..messages)
        .all(|_| socket.read_exact(&mut message).is_ok() && socket.write_all(&message).is_ok())
}

/// Messages of one length.
pub(crate) fn of(bytes: usize) -> Sizes {
    Sizes::fixed(bytes).unwrap()
}

pub(crate) fn short(address: SocketAddr) -> Config {
    Config::new(Target::at(address)).with(|config| {
        config.connections = 4;
        config.duration = Duration::from_millis(300);
        config.warmup = Duration::from_millis(50);
        config.spin = Duration::ZERO;
    })
}

pub(crate) fn measure(config: &Config) -> Report {
    let report = run(config, &mut |_| {}).unwrap();
    assert_adds_up(&report);
    report
}

pub(crate) fn assert_adds_up(report: &Report) {
    let totals = report.totals;
    assert_eq!(totals.intended, totals.sent + totals.unsent);
    assert_eq!(totals.sent, totals.received + totals.lost);
    assert!(totals.corrupted <= totals.received);
}

pub(crate) fn assert_all_came_back(report: &Report) {
    let totals = report.totals;
    assert!(totals.received > 0);
    assert_eq!((totals.lost, totals.corrupted, totals.unsent), (0, 0, 0), "{:?}", report.verdict);
    assert_eq!(totals.bytes_sent, totals.bytes_received);
}

/// Asserts that nothing is held against the run; what its host did is no fault of it.
pub(crate) fn assert_valid(report: &Report) {
    let reasons = &report.verdict.reasons;
    assert!(reasons.iter().all(|reason| host::is_at_fault(reason)), "{reasons:?}");
}

pub(crate) fn assert_invalid(report: &Report, because: &str) {
    let reasons = &report.verdict.reasons;
    assert!(reasons.iter().any(|reason| reason.contains(because)), "{because:?} in {reasons:?}");
}

/// A server of the framed protocol, made of the protocol core.
pub(crate) fn echo_framed(mut socket: TcpStream, protocol: Framed) {
    let mut connection = protocol.connection();
    let mut received = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut accepted = 0;
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        received.extend_from_slice(&buffer[..length]);
        while accepted < received.len() {
            let data = protocol::Input::Data(&received[accepted..]);
            // An error is told by the outputs.
            let taken = connection.handle_input(Instant::now(), data);
            accepted += taken.unwrap_or(received.len() - accepted);
            while let Some(output) = connection.poll_output() {
                let sent = match output {
                    protocol::Output::Forward(range) => {
                        socket.write_all(&received[range.start as usize..range.end as usize])
                    }
                    protocol::Output::Emit(bytes) => socket.write_all(&bytes),
                    protocol::Output::Discard(_) => Ok(()),
                    protocol::Output::Close(_) => return,
                };
                if sent.is_err() {
                    return;
                }
            }
        }
    }
}
