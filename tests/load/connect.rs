//! How connections are made: from where, how fast, and how many.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use ringback::address::Address;
use ringback::load::{Target, report, run};

use crate::support::{assert_all_came_back, echo, measure, serve, short};

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

#[test]
fn connections_are_dealt_over_the_sources() {
    let peers: &Mutex<BTreeMap<IpAddr, usize>> = leak(Mutex::default());
    let address = serve(|_, socket| {
        let peer = socket.peer_addr().unwrap().ip();
        *peers.lock().unwrap().entry(peer).or_default() += 1;
        echo(socket);
    });
    let sources: Vec<IpAddr> = (2..5).map(|last| IpAddr::from([127, 0, 0, last])).collect();
    let config = short(address).with(|config| {
        config.sources = sources.iter().map(|ip| Address::from(*ip)).collect();
        config.connections = 7;
    });
    let report = measure(&config);
    assert_all_came_back(&report);
    let expected = sources.iter().copied().zip([3, 2, 2]).collect::<BTreeMap<_, _>>();
    assert_eq!(*peers.lock().unwrap(), expected);
    let json: serde_json::Value = serde_json::from_str(&report::json(&report)).unwrap();
    assert_eq!(
        json["config"]["sources"],
        serde_json::json!(["127.0.0.2", "127.0.0.3", "127.0.0.4"])
    );
}

#[test]
fn an_address_without_a_source_of_its_family_is_passed_over() {
    let address = serve(|_, socket| echo(socket));
    let ipv6 = SocketAddr::new("::1".parse().unwrap(), address.port());
    let target = Target::new("both", vec![ipv6, address]);
    let sources = vec!["127.0.0.7".parse().unwrap()];
    let config = short(address).with(|config| {
        config.target = target;
        config.sources = sources;
    });
    assert_eq!(measure(&config).target.address, address.to_string());
    let sources = vec!["192.0.2.1".parse().unwrap()];
    let error =
        run(&short(address).with(|config| config.sources = sources), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("--source"), "{error}");
}

#[test]
fn ramp_up_spreads_the_connections_evenly() {
    const RAMP_UP: Duration = Duration::from_millis(600);
    let accepted: &Mutex<Vec<Instant>> = leak(Mutex::default());
    let address = serve(|_, socket| {
        accepted.lock().unwrap().push(Instant::now());
        echo(socket);
    });
    let config = short(address).with(|config| {
        config.ramp_up = RAMP_UP;
        config.connections = 6;
    });
    assert_all_came_back(&measure(&config));
    let accepted = accepted.lock().unwrap();
    // The last begins one sixth before the end, and none before its time.
    assert_eq!(accepted.len(), 6);
    let spread = accepted[5] - accepted[0];
    assert!(spread >= RAMP_UP * 4 / 6, "{spread:?}");
}

#[test]
fn a_thousand_connections_are_made_through_a_short_backlog() {
    let address = serve(|_, socket| echo(socket));
    let config = short(address).with(|config| {
        config.connections = 1000;
        config.warmup = Duration::ZERO;
    });
    let report = measure(&config);
    assert_all_came_back(&report);
    assert_eq!((report.totals.connections, report.totals.connect_errors), (1000, 0));
}

#[test]
fn syns_that_are_sent_anew_and_handshakes_that_are_dropped_are_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        // Meanwhile the queue of connections is full, and SYNs are dropped.
        thread::sleep(Duration::from_millis(500));
        for socket in listener.incoming().flatten() {
            thread::spawn(move || echo(socket));
        }
    });
    let report = measure(&short(address).with(|config| config.connections = 20));
    assert_all_came_back(&report);
    assert!(report.transport.redialed_syns > 0, "{:?}", report.transport);
    assert!(report.transport.listen_drops.unwrap() > 0, "{:?}", report.transport);
    assert!(report.to_string().contains(" sent anew"), "{report}");
}
