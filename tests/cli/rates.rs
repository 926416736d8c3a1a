//! `ringback-load sweep` and `find-max` against servers whose capacity is known.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ringback::load::report::search::SearchReport;
use ringback::load::study::find_max;
use ringback::load::study::find_max::Bounds;
use ringback::load::{Assertion, Comparison, Config, Metric, Outcome, Quantile, Target};
use serde_json::Value;

use crate::support::host;

/// Starts a server that gives each connection a thread.
fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            socket.set_nodelay(true).unwrap();
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle(socket));
        }
    });
    address
}

/// A server that answers so many messages of 64 bytes a second and no more, one after the other.
fn paced(capacity_per_s: u32) -> SocketAddr {
    let interval = Duration::from_secs(1) / capacity_per_s;
    let next_free = Mutex::new(Instant::now());
    serve(move |mut socket| {
        let mut message = [0; 64];
        while socket.read_exact(&mut message).is_ok() {
            let turn = {
                let mut next_free = next_free.lock().unwrap();
                *next_free = (*next_free).max(Instant::now()) + interval;
                *next_free
            };
            thread::sleep(turn.saturating_duration_since(Instant::now()));
            if socket.write_all(&message).is_err() {
                return;
            }
        }
    })
}

/// A server that alters everything.
fn altering() -> SocketAddr {
    serve(|mut socket| {
        let mut message = [0; 64];
        while socket.read_exact(&mut message).is_ok() {
            message[63] ^= 1;
            if socket.write_all(&message).is_err() {
                return;
            }
        }
    })
}

/// One at a time: two would make each other's runs too slow to be valid.
fn ringback_load(arguments: &[&str]) -> Output {
    static ONE: Mutex<()> = Mutex::new(());
    let _turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_ringback-load")).args(arguments).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn stderr_of(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn find_max_brackets_a_known_capacity() {
    const CAPACITY: u64 = 400;
    const RESOLUTION: f64 = 0.1;
    /// Delays of a busy machine can only make it find less.
    const TRIES: usize = 4;
    let address = paced(CAPACITY as u32).to_string();
    for attempt in 1.. {
        let output = ringback_load(&[
            "find-max",
            &address,
            "--assert=p50<1s",
            "--start=100",
            "--resolution=10%",
            "-c=16",
            "-d=1s",
            "--warmup=100ms",
            "--format=json",
        ]);
        if host::spoiled(&output) {
            return;
        }
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let json = json_of(&output);
        assert_eq!(json["schema"], "ringback-find-max/1");
        assert_eq!(json["assertions"][0], "p50<1s");
        let bracket = &json["bracket"];
        let passed = bracket["highest_passed_per_s"].as_u64().unwrap();
        let failed = bracket["lowest_failed_per_s"].as_u64().unwrap();
        assert_eq!(bracket["confirmed"], true);
        assert!(failed as f64 <= passed as f64 * (1.0 + RESOLUTION) || failed - passed <= 1);
        // A rate counts as reached when 99 % of it are.
        assert!(passed as f64 <= CAPACITY as f64 / 0.99 + 1.0, "{bracket}");
        let reason = bracket["limited_by"][0].as_str().unwrap();
        let probes = json["probes"].as_array().unwrap();
        assert_eq!(
            (&probes[0]["rate_per_s"], &probes[0]["purpose"]),
            (&100.into(), &"double".into())
        );
        assert_eq!(probes[0]["run"]["schema"], "ringback-load/1");
        if failed > CAPACITY {
            assert!(reason.starts_with("the rate was not reached"), "{reason}");
            return;
        }
        assert!(attempt < TRIES, "{json:#}");
    }
}

#[test]
fn a_claim_that_holds_at_no_rate_is_exit_code_3() {
    let address = paced(100_000).to_string();
    let short = ["-c", "2", "-d", "200ms", "--warmup", "0s"];
    let output =
        ringback_load(&[&["find-max", &address, "--assert", "p50<1ns"], &short[..]].concat());
    if host::spoiled(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nNo rate holds p50<1ns: 101/s does not\n"), "{text}");
    assert!(text.contains("  limit    p50<1ns missed: "), "{text}");
    // Halved from 1,000/s down to where 20 messages are measured.
    assert!(text.contains("\n       500 ") && text.contains("\n       101 "), "{text}");
}

#[test]
fn a_search_without_one_valid_probe_is_exit_code_4() {
    let address = altering().to_string();
    let short = ["-c", "2", "-d", "200ms", "--warmup", "0s", "--start", "200", "--format", "json"];
    let output =
        ringback_load(&[&["find-max", &address, "--assert", "p50<1s"], &short[..]].concat());
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let json = json_of(&output);
    assert_eq!(json["verdict"]["valid"], false);
    assert_eq!(json["bracket"]["highest_passed_per_s"], Value::Null);
    let probes = json["probes"].as_array().unwrap();
    assert!(probes.iter().all(|probe| probe["repeated"] == false), "it is the server's fault");
    assert!(probes[0]["reasons"].to_string().contains("corrupted"), "{json:#}");
}

/// An upper bound of a percentile, in millionths of a per cent.
fn below(micropercents: u64, limit_ns: u64) -> Assertion {
    Assertion {
        name: format!("{micropercents}<{limit_ns}ns"),
        metric: Metric::Latency(Quantile::from_micropercents(micropercents).unwrap()),
        comparison: Comparison::Below,
        limit: limit_ns,
    }
}

/// A search at a rate that gives too few messages to tell a p99.9, which makes its runs invalid.
fn too_few(assertions: Vec<Assertion>) -> SearchReport {
    let bounds = Bounds::new(100, 100, 0.5);
    let config = Config::new(Target::at(paced(100_000))).with(|config| {
        config.connections = 1;
        config.duration = Duration::from_millis(500);
        config.warmup = Duration::ZERO;
        config.assertions = assertions;
    });
    find_max(&config, bounds, &mut |_| {}).unwrap()
}

#[test]
fn a_probe_that_says_nothing_of_the_server_is_made_once_more() {
    let found = too_few(vec![below(99_900_000, 1_000_000_000)]);
    let repeated: Vec<bool> = found.probes.iter().map(|probe| probe.repeated).collect();
    // On a machine that is busy enough the rate is not reached, which does say something.
    if found.probes.iter().all(|probe| probe.probe.outcome() == Outcome::TooFewSamples) {
        assert_eq!(repeated, [true, false]);
        assert_eq!(found.verdict.warnings.len(), 1, "the server may hold more");
        let text = host::flat(&found.to_string());
        assert!(text.contains("No rate was found that holds"), "{text}");
        assert!(text.contains(": of 100/s nothing can be told"), "{text}");
    }
    assert!(found.probes.len() <= 2);
    let bracket = &found.bracket;
    assert_eq!((bracket.highest_passed_per_s, bracket.lowest_failed_per_s), (None, Some(100)));
}

#[test]
fn a_probe_that_is_not_valid_and_misses_for_certain_is_not_made_again() {
    let found = too_few(vec![below(99_900_000, 1_000_000_000), below(50_000_000, 1)]);
    if found.probes.iter().any(|probe| probe.probe.outcome() == Outcome::HostAtFault) {
        eprintln!("skipped: the host was too busy to say anything of a server");
        return;
    }
    let [only] = found.probes.as_slice() else { panic!("{:?}", found.probes) };
    assert_eq!((only.probe.outcome(), only.repeated), (Outcome::ServerAtFault, false));
    let is_doubtful = |warning: &String| warning.starts_with("the search ended where");
    assert!(!found.verdict.warnings.iter().any(is_doubtful), "{:?}", found.verdict.warnings);
}

#[test]
fn a_sweep_measures_every_rate_and_says_which_are_too_much() {
    let address = paced(400).to_string();
    let directory = tempfile::tempdir().unwrap();
    let picture = directory.path().join("sweep.svg");
    let output = ringback_load(&[
        "sweep",
        &address,
        "--rates=800,50..100:50",
        "-c=8",
        "-d=500ms",
        "--warmup=50ms",
        "--format=json",
        "--svg",
        picture.to_str().unwrap(),
    ]);
    if host::spoiled(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stderr_of(&output).trim(), "sweeping: 3 rates, about 2 s");
    let json = json_of(&output);
    assert_eq!(json["schema"], "ringback-sweep/1");
    assert_eq!(json["target"]["name"], address);
    assert_eq!(json["config"]["rate_per_s"], Value::Null);
    let rates = json["rates"].as_array().unwrap();
    let offered: Vec<u64> = rates.iter().map(|rate| rate["rate_per_s"].as_u64().unwrap()).collect();
    assert_eq!(offered, [50, 100, 800]);
    assert_eq!(rates[2]["valid"], false);
    assert!(rates[2]["reasons"].to_string().contains("the rate was not reached"), "{json:#}");
    assert_eq!(rates[0]["run"]["config"]["rate_per_s"], 50);
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains(&address), "{picture}");
}

#[test]
fn without_rates_and_target_a_sweep_doubles_until_its_own_server_is_too_slow() {
    let arguments = ["sweep", "-c", "1", "--depth", "1", "-d", "50ms", "--warmup", "0s", "-v"];
    let output = ringback_load(&arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(matches!(output.status.code(), Some(0 | 4)), "{text}");
    assert!(text.contains("embedded server"), "{text}");
    assert!(text.contains("\n     1,000 ") && text.contains("the rate was not reached"), "{text}");
    assert!(text.contains("\nKnee at ") || text.contains("\nNo knee: "), "{text}");
}

#[test]
fn assertions_are_told_for_each_rate() {
    let address = paced(100_000).to_string();
    let short = ["-c", "2", "-d", "300ms", "--warmup", "0s", "--rates", "100,200"];
    let claims = ["--assert", "p50<10s", "--assert", "p50<1ns"];
    let output = ringback_load(&[&["sweep", &address], &short[..], &claims].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("p50<1ns met at no rate"), "{text}");
    if text.contains("\nVALID") {
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("p50<10s met at "), "{text}");
    }
}

#[test]
fn a_sweep_without_one_valid_rate_is_exit_code_4() {
    let address = altering().to_string();
    let short = ["-c", "2", "-d", "100ms", "--warmup", "0s", "--rates", "100,200"];
    let output = ringback_load(&[&["sweep", &address], &short[..]].concat());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(text.contains("\nINVALID: do not use these numbers"), "{text}");
    assert!(text.contains("replies were corrupted at 100/s"), "{text}");
}

#[test]
fn a_search_of_a_server_that_corrupts_is_not_valid() {
    let address = altering().to_string();
    let short = ["-c", "2", "-d", "100ms", "--warmup", "0s", "--assert", "p50<10s"];
    let output = ringback_load(&[&["find-max", &address, "--start", "1000"], &short[..]].concat());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(text.contains("  why      replies were corrupted at 1,000/s"), "{text}");
}

#[test]
fn what_holds_of_every_rate_is_said_of_the_series() {
    // The threads of this process may run anywhere.
    let address = paced(100_000).to_string();
    let short = [&address, "-c", "1", "-d", "200ms", "--warmup", "0s"];
    for command in [
        &["sweep", "--rates", "100,200"][..],
        &["find-max", "--assert", "p50<1ns", "--start", "200", "--resolution", "99%"],
    ] {
        let output = ringback_load(&[command, &short[..], &["-v"]].concat());
        let text = host::flat(std::str::from_utf8(&output.stdout).unwrap());
        assert!(text.contains("share CPU"), "{command:?}: {output:?}");
    }
}

#[test]
fn a_server_that_goes_away_does_not_take_with_it_what_was_measured() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        // One connection, and no more.
        let (mut socket, _) = listener.accept().unwrap();
        drop(listener);
        let mut message = [0; 64];
        while socket.read_exact(&mut message).is_ok() && socket.write_all(&message).is_ok() {}
    });
    let short =
        ["-c", "1", "-d", "300ms", "--warmup", "0s", "--rates", "100,200", "--no-preflight"];
    let output = ringback_load(&[&["sweep", &address], &short[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let cause = "cannot connect to ";
    let words = if host::spoils(&text) { cause } else { &format!("200/s is not valid: {cause}") };
    assert!(host::flat(&text).contains(words), "{text}");
    let gone = ringback_load(&[&["sweep", &address], &short[..]].concat());
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    assert!(stderr_of(&gone).contains("cannot connect to "), "{gone:?}");
}

#[test]
fn a_search_whose_server_dies_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        // Two probes, each with its message before.
        for _ in 0..4 {
            let (mut socket, _) = listener.accept().unwrap();
            let mut message = [0; 64];
            while socket.read_exact(&mut message).is_ok() && socket.write_all(&message).is_ok() {}
        }
    });
    let short = ["-c", "1", "-d", "300ms", "--warmup", "0s", "--start", "100"];
    let output =
        ringback_load(&[&["find-max", &address, "--assert", "p50<10s", "-v"], &short[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    let reasons = host::findings(&text);
    assert!(reasons[0].starts_with("why cannot connect to "), "{text}");
    if host::spoils(&text) || text.contains("  retried\n") {
        eprintln!("skipped: other load on this host failed a probe that the server passed");
        return;
    }
    // What was measured before stays, and nothing is blamed on the rate.
    assert!(text.contains("200/s holds p50<10s (once)"), "{text}");
    assert!(text.contains("no rate was found that does not"), "{text}");
}

#[test]
fn what_is_not_possible_is_a_usage_error() {
    let cases: &[(&[&str], &str)] = &[
        (&["sweep", "--rates", "1k..2k"], "has no step: write 1k..2k:250"),
        (&["sweep", "--rates", "0"], "is not a rate that can be offered"),
        (&["sweep", "-r", "1k"], "sweep takes its rates from --rates"),
        (&["find-max"], "give it --assert 'p99<200us'"),
        (&["find-max", "-r", "1k", "--assert", "p99<1ms"], "find-max chooses the rates"),
        (&["find-max", "--assert", "throughput>=1k"], "does not break that way"),
        (&["find-max", "--assert", "p99>1ms"], "does not break that way"),
        (&["find-max", "--assert", "p99<1ms", "--resolution", "0%"], "at least 0.1%"),
        (&["find-max", "--assert", "p99.9<1ms", "--start", "10"], "--start 10 is too low"),
        (&["find-max", "--assert", "p99<1ms", "--start", "0"], "--start 0 is not possible"),
    ];
    for (arguments, words) in cases {
        let output = ringback_load(arguments);
        let stderr = stderr_of(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{words:?} in {stderr}");
    }
}
