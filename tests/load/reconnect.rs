//! Connections that are replaced: when they have carried their share, and when they fail.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringback::load::{Config, Load, Protocol, report};
use ringback::protocol::Framed;

use crate::support::{
    assert_all_came_back, assert_invalid, assert_valid, echo, echo_framed, echo_messages, measure,
    serve, short,
};

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn reconnecting(address: SocketAddr, messages: u64) -> Config {
    short(address).with(|config| config.reconnect = Some(messages))
}

#[test]
fn every_connection_carries_its_share_and_is_half_closed() {
    let shares: &Mutex<Vec<usize>> = leak(Mutex::default());
    let address = serve(|_, mut socket| {
        let mut message = [0; 64];
        let mut share = 0;
        while socket.read_exact(&mut message).is_ok() {
            share += 1;
            socket.write_all(&message).unwrap();
        }
        shares.lock().unwrap().push(share);
    });
    let config = reconnecting(address, 7).with(|config| {
        config.threads = 2;
        config.depth = 3;
    });
    let report = measure(&config);
    assert_all_came_back(&report);
    assert_valid(&report);
    let connections = report.totals.connections as usize;
    assert!(connections > 20, "{connections}");
    thread::sleep(Duration::from_millis(100));
    let shares = shares.lock().unwrap();
    assert_eq!(shares.len(), connections);
    assert_eq!(shares.iter().sum::<usize>() as u64, report.totals.sent);
    // All but those that the end of the run cut short.
    let whole = shares.iter().filter(|share| **share == 7).count();
    assert!(whole >= connections - 4, "{whole} of {connections}");
    let connect = &report.latency.connect;
    assert!(connect.len() > 10 && connect.len() < connections as u64, "the warm-up is not in it");
    let text = report.to_string();
    // On a host that did something else the mark of what is not valid stands between.
    assert!(text.contains("\n  Connecting ") && text.contains("7 messages"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&report::json(&report)).unwrap();
    assert_eq!(json["latency_ns"]["connect"]["count"], connect.len());
    assert_eq!(json["config"]["reconnect"], 7);
}

#[test]
fn what_closing_takes_is_reported() {
    const LINGER: Duration = Duration::from_millis(30);
    let address = serve(|_, mut socket| {
        let mut message = [0; 64];
        while socket.read_exact(&mut message).is_ok() && socket.write_all(&message).is_ok() {}
        thread::sleep(LINGER);
    });
    let report = measure(&reconnecting(address, 1));
    assert_all_came_back(&report);
    let close = &report.latency.close;
    assert!(close.len() > 4 && close.min() >= LINGER.as_nanos() as u64, "{close:?}");
    assert_eq!(report.latency_ns.close.as_ref().unwrap().count, close.len());
    assert!(report.to_string().contains("  closing p99 "), "{report}");
    let kept = measure(&short(address));
    assert!(kept.latency_ns.close.is_none() && !kept.to_string().contains("closing"));
}

#[test]
fn slots_that_are_stuck_all_through_the_window_are_told() {
    for load in [Load::Closed, Load::at_rate(400)] {
        let address = serve(|number, mut socket| {
            echo_messages(&mut socket, 2);
            // The FIN of the first connections is answered after the window.
            if (1..=4).contains(&number) && number % 2 == 1 {
                assert!(matches!(socket.read(&mut [0]), Ok(0)));
                thread::sleep(Duration::from_millis(900));
            }
        });
        let report = measure(&reconnecting(address, 2).with(|config| {
            config.load = load;
            config.warmup = Duration::from_millis(200);
            config.preflight = true;
        }));
        assert_eq!(report.carried_over.silent_connections, 2, "{load:?}: {:?}", report.verdict);
        assert_invalid(&report, "2 connections had no answer in the window");
    }
}

#[test]
fn a_close_that_began_before_the_window_is_told_where_it_is_the_longest() {
    const LINGER: Duration = Duration::from_millis(600);
    let address = serve(|number, mut socket| {
        echo_messages(&mut socket, 2);
        if number == 1 {
            assert!(matches!(socket.read(&mut [0]), Ok(0)));
            thread::sleep(LINGER);
        }
    });
    let report = measure(&reconnecting(address, 2).with(|config| {
        config.warmup = Duration::from_millis(200);
        config.duration = Duration::from_millis(900);
    }));
    let warnings = &report.verdict.warnings;
    let is_told = warnings.iter().any(|text| text.contains("a connection that was closed before"));
    // Unless the host made a later one as long.
    let longest_ns = report.latency.close.max();
    assert!(is_told || longest_ns >= LINGER.as_nanos() as u64, "{longest_ns} {warnings:?}");
}

#[test]
fn a_handshake_of_the_window_that_is_not_completed_has_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let occupants: &Mutex<Vec<TcpStream>> = leak(Mutex::default());
    thread::spawn(move || {
        for _ in 0..20 {
            let (mut socket, _) = listener.accept().unwrap();
            echo_messages(&mut socket, 2);
        }
        // From here on SYNs are dropped: the queue holds one more than its length.
        rustix::net::listen(&listener, 0).unwrap();
        let (mut last, _) = listener.accept().unwrap();
        occupants.lock().unwrap().push(TcpStream::connect(address).unwrap());
        echo_messages(&mut last, 2);
        drop(last);
        thread::sleep(Duration::MAX);
    });
    let report = measure(&reconnecting(address, 2).with(|config| {
        config.connections = 1;
        config.warmup = Duration::ZERO;
        config.timeout = Duration::from_millis(200);
    }));
    assert_eq!(report.totals.connect_errors, 1, "{:?}", report.verdict);
    assert_invalid(&report, "no handshake completed");
}

#[test]
fn framed_connections_begin_anew_with_their_sequences() {
    let address = serve(|_, socket| echo_framed(socket, Framed::default()));
    let config = reconnecting(address, 5).with(|config| {
        config.protocol = Protocol::Framed;
        config.depth = 4;
    });
    let report = measure(&config);
    assert_all_came_back(&report);
    assert_valid(&report);
    assert!(report.totals.connections > 20);
}

#[test]
fn what_is_due_while_a_connection_is_replaced_waits_for_the_next() {
    let address = serve(|_, socket| echo(socket));
    let config = reconnecting(address, 3).with(|config| {
        config.load = Load::at_rate(2000);
        config.depth = 8;
    });
    let report = measure(&config);
    assert_all_came_back(&report);
    assert_eq!(report.totals.intended, 700);
    assert!(report.totals.connections >= 700 / 3, "{:?}", report.totals);
}

#[test]
fn what_is_left_over_after_the_last_reply_is_a_surplus() {
    let address = serve(|number, mut socket| {
        echo_messages(&mut socket, 2);
        if number == 5 {
            // The half-close first: a surplus that comes with a reply is found in any case.
            assert!(matches!(socket.read(&mut [0]), Ok(0)));
            socket.write_all(b"more").unwrap();
        }
        echo(socket);
    });
    let report = measure(&reconnecting(address, 2));
    assert_eq!(report.verdict.endings["surplus"], 1);
    assert_invalid(&report, "more came back than was sent");
    assert!(report.totals.connections > 10, "the run goes on");
}

#[test]
fn connections_that_fail_are_counted_by_kind_and_replaced() {
    let address = serve(|number, mut socket| {
        if number % 10 == 3 {
            echo_messages(&mut socket, 2);
            let mut message = [0; 64];
            socket.read_exact(&mut message).unwrap();
            // Unread bytes make a close a reset.
            if number % 20 == 3 {
                socket.write_all(&message[..63]).unwrap();
            }
            return;
        }
        echo(socket);
    });
    let report = measure(&reconnecting(address, 20));
    assert!(report.totals.connections > 20, "{:?}", report.totals);
    let ended = report.verdict.endings["closed"];
    assert!(ended >= 2, "{:?}", report.verdict.endings);
    assert_eq!(report.totals.lost, ended);
    assert_invalid(&report, "closed by the server");
    let json: serde_json::Value = serde_json::from_str(&report::json(&report)).unwrap();
    assert_eq!(json["verdict"]["endings"]["closed"], ended);
    assert_eq!(json["verdict"]["endings"]["goaway"], 0);
}

#[test]
fn a_server_that_restarts_is_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        drop(listener);
        echo_messages(&mut socket, 10);
        drop(socket);
        thread::sleep(Duration::from_millis(150));
        let listener = TcpListener::bind(address).unwrap();
        echo(listener.accept().unwrap().0);
    });
    let config = reconnecting(address, 1_000_000).with(|config| {
        config.connections = 1;
        config.warmup = Duration::ZERO;
        config.duration = Duration::from_secs(1);
    });
    let report = measure(&config);
    assert_eq!(report.totals.connections, 2);
    assert!(report.totals.received > 10);
    let refused = report.totals.connect_errors;
    assert!((2..8).contains(&refused), "{refused} attempts in 150 ms");
    assert_invalid(&report, "Connection refused");
}

#[test]
fn a_dead_server_costs_little_and_ends_the_run_early() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let sockets: Vec<_> = (0..4).map(|_| listener.accept().unwrap().0).collect();
        drop(listener);
        sockets.into_iter().for_each(|mut socket| {
            echo_messages(&mut socket, 3);
        });
    });
    let started = Instant::now();
    let config =
        reconnecting(address, 100).with(|config| config.duration = Duration::from_secs(3600));
    let report = measure(&config);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert!(report.totals.connect_errors <= 40, "{:?}", report.totals);
    assert_invalid(&report, "no connection was left");
    assert_invalid(&report, "Connection refused");
}

#[test]
fn a_server_that_closes_at_once_is_not_hammered() {
    let accepted: &AtomicUsize = leak(AtomicUsize::new(0));
    let address = serve(|number, socket| {
        accepted.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            echo(socket);
        }
    });
    let config = reconnecting(address, 1_000_000).with(|config| config.connections = 2);
    let report = measure(&config);
    // Pauses of 10, 20, 40, 80 and 160 ms fit into 350 ms.
    let accepted = accepted.load(Ordering::SeqCst);
    assert!((3..=8).contains(&accepted), "{accepted}");
    assert!(report.totals.received > 0);
}
