//! Servers that behave: everything comes back and is counted.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringback::load::report::page::{Detail, Text, View};
use ringback::load::{Arrival, Config, Load, report, run};

use crate::support::{assert_all_came_back, assert_valid, echo, measure, serve, short};

#[test]
fn closed_loop_counts_what_the_server_counts() {
    static ECHOED: AtomicU64 = AtomicU64::new(0);
    let address = serve(|_, mut socket| {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = socket.read(&mut buffer) {
            ECHOED.fetch_add(length as u64, Ordering::SeqCst);
            socket.write_all(&buffer[..length]).unwrap();
        }
    });
    for (threads, depth) in [(1, 1), (2, 8), (3, 100)] {
        let before = ECHOED.load(Ordering::SeqCst);
        let report = measure(&short(address).with(|config| {
            config.threads = threads;
            config.depth = depth;
        }));
        assert_all_came_back(&report);
        assert_valid(&report);
        assert_eq!(report.totals.bytes_sent, ECHOED.load(Ordering::SeqCst) - before);
        assert_eq!(report.totals.bytes_sent, report.totals.sent * 64);
        assert_eq!(report.totals.connections, 4);
        assert!(report.latency.service.len() < report.totals.received, "the warm-up is not in it");
        assert!(report.latency_ns.response.is_none());
    }
}

#[test]
fn open_loop_intends_exactly_what_the_rate_says() {
    let address = serve(|_, socket| echo(socket));
    for (connections, threads) in [(1, 1), (4, 1), (5, 2)] {
        let load = Load::at_rate(2000);
        let depth = Config::OPEN_LOOP_DEPTH;
        let report = measure(&short(address).with(|config| {
            config.connections = connections;
            config.threads = threads;
            config.load = load;
            config.depth = depth;
        }));
        assert_all_came_back(&report);
        assert_eq!(report.totals.intended, 700, "2000/s for 350 ms");
        assert_eq!(report.latency.response.len(), 600);
        assert_eq!(report.latency.send_lag.len(), 600);
        assert_eq!(report.throughput.offered_per_s, Some(2000.0));
    }
}

#[test]
fn a_poisson_run_intends_the_same_whatever_the_threads() {
    let address = serve(|_, socket| echo(socket));
    let of_seed = |seed, threads| {
        let load = Load::Open { rate: 2000, arrival: Arrival::Poisson };
        let depth = Config::OPEN_LOOP_DEPTH;
        let report = measure(&short(address).with(|config| {
            config.load = load;
            config.depth = depth;
            config.seed = seed;
            config.threads = threads;
        }));
        assert_all_came_back(&report);
        let offered = report.latency.response.len();
        assert_eq!(report.throughput.offered_per_s, Some(offered as f64 / 0.3));
        (report.totals.intended, offered)
    };
    let (intended, offered) = of_seed(1, 1);
    assert_eq!((intended, offered), of_seed(1, 3));
    assert_ne!((intended, offered), of_seed(2, 1));
    // 700 and 600 are expected; a standard error is the square root.
    assert!((560..=840).contains(&intended) && (480..=720).contains(&offered));
}

#[test]
fn the_first_address_that_answers_is_used() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alive = serve(|_, socket| echo(socket));
    let mut config = short(dead);
    config.target.addresses.push(alive);
    let report = measure(&config);
    assert_eq!(report.target.address, alive.to_string());
}

#[test]
fn progress_is_told() {
    let address = serve(|_, socket| echo(socket));
    let mut told = Vec::new();
    let config = short(address).with(|config| config.duration = Duration::from_millis(700));
    run(&config, &mut |progress| told.push(progress)).unwrap();
    assert!(!told.is_empty());
    assert!(told.iter().any(|progress| progress.messages_per_s > 0.0));
}

#[test]
fn the_machine_is_described_and_its_stalls_are_measured() {
    let address = serve(|_, socket| echo(socket));
    let report = measure(&short(address).with(|config| config.warmup = Duration::ZERO));
    let hiccup = &report.latency.hiccup;
    // 300 sleeps of a millisecond, fewer if they took longer: then those weigh more.
    assert!((50..1000).contains(&hiccup.len()), "{}", hiccup.len());
    assert!(hiccup.max() < 60_000_000_000);
    assert!((0.0..=1.0).contains(&report.host.generator_waited_share.unwrap()));
    let json: serde_json::Value = serde_json::from_str(&report::json(&report)).unwrap();
    let host = &json["host"];
    assert_eq!(host["hiccup_ns"]["count"], hiccup.len());
    assert_eq!(host["hiccup_ns"]["max"], hiccup.max());
    assert_eq!(host["cpus"], ringback::cpus::allowed().len());
    assert_eq!(host["affinity"], ringback::cpus::format_list(&ringback::cpus::allowed()));
    assert_eq!(host["version"], env!("CARGO_PKG_VERSION"));
    for (key, is_right) in [
        ("kernel", host["kernel"].is_string()),
        ("command_line", host["command_line"][0].is_string()),
        (
            "began",
            host["began"]
                .as_str()
                .is_some_and(|time| time.starts_with("20") && time.ends_with('Z')),
        ),
        ("load_average", host["load_average"].is_number()),
        ("stolen_ns", host["stolen_ns"].is_u64()),
        ("governors", host["governors"].is_array()),
    ] {
        assert!(is_right, "{key}: {}", host[key]);
    }
    assert!(host.as_object().unwrap().contains_key("clock_source"));
    assert!(in_full(&report).contains(" host stall\n"));
}

#[test]
fn reports_withhold_what_too_few_samples_cannot_say() {
    let address = serve(|_, socket| echo(socket));
    let config = short(address).with(|config| {
        config.duration = Duration::from_millis(100);
        config.warmup = Duration::ZERO;
        config.load = Load::at_rate(1500);
    });
    let report = measure(&config);
    let json: serde_json::Value = serde_json::from_str(&report::json(&report)).unwrap();
    let response = &json["latency_ns"]["response"];
    assert_eq!(response["count"], 150);
    assert!(response["p50"].is_u64() && response["p90"].is_u64());
    assert!(response["p99"].is_null() && response["p99_99"].is_null());
    assert!(in_full(&report).contains("\n  -            too few samples"));
    assert!(!report.to_string().contains("p99.9 "), "what cannot be said is not told");
}

fn in_full(report: &report::Report) -> String {
    report.text(&View { detail: Detail::Full, ..View::default() })
}
