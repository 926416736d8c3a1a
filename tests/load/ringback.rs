//! Against the real server, in this process: what it counts is what the instrument counts.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringback::load::{Config, Load, Phase, Progress, Protocol, Sizes, run};
use ringback::protocol::{self, Framed};
use ringback::server::{self, Server};
use ringback::testing::either::Either;

use crate::support::{assert_all_came_back, assert_invalid, measure, short};

fn start(protocol: impl protocol::Protocol) -> (Server, Config) {
    let address = "127.0.0.1:0".parse().unwrap();
    let mut config = server::Config::with_protocol(vec![address], protocol);
    config.cpus = server::workers_on(&config.cpus, 1);
    // A generator that gets no CPU for a while is not silent.
    config.drain_quiet = Duration::from_secs(5);
    let server = Server::start(&config).unwrap();
    let address = server.local_addresses()[0];
    (server, short(address))
}

#[test]
fn churn_with_mixed_sizes_loses_nothing() {
    let mixed = Sizes::weighted(&[(64, 20), (5000, 5), (300_000, 1)]).unwrap();
    let framed = Framed { max_frame: 300_000, ..Default::default() };
    for (protocol, of_server) in
        [(Protocol::Raw, Either::Raw), (Protocol::Framed, Either::Framed(framed))]
    {
        for load in [Load::Closed, Load::at_rate(1500)] {
            let (server, config) = start(of_server);
            let sizes = mixed.clone();
            let config = config.with(|config| {
                config.protocol = protocol;
                config.sizes = sizes;
                config.load = load;
                config.depth = 4;
                config.reconnect = Some(9);
            });
            let report = measure(&config);
            assert_all_came_back(&report);
            assert!(report.totals.connections > 20, "{:?}", report.totals);
            assert!(
                report.verdict.endings.values().all(|count| *count == 0),
                "{:?}",
                report.verdict.endings
            );
            server.stop().unwrap();
        }
    }
}

#[test]
fn a_server_that_drains_is_left_in_peace() {
    let (server, config) = start(Framed::default());
    let config = config.with(|config| {
        config.protocol = Protocol::Framed;
        config.reconnect = Some(1_000_000);
        config.duration = Duration::from_secs(60);
    });
    let (measuring, is_measuring) = mpsc::channel();
    let stopping = thread::spawn(move || {
        is_measuring.recv().unwrap();
        server.stop().unwrap()
    });
    let started = Instant::now();
    let mut on_progress = |progress: Progress| {
        if progress.phase == Phase::Measuring && progress.messages_per_s > 0.0 {
            let _ = measuring.send(());
        }
    };
    let report = run(&config, &mut on_progress).unwrap();
    stopping.join().unwrap();
    assert!(started.elapsed() < Duration::from_secs(50), "{:?}", started.elapsed());
    // Every connection was told, answered to the last message, and refused afterwards.
    assert_eq!(report.verdict.endings["goaway"], 4);
    assert_eq!((report.totals.lost, report.totals.corrupted), (0, 0));
    assert_invalid(&report, "GOAWAY");
    assert_invalid(&report, "no connection was left");
}
