//! A test that fails when a latency does, for continuous integration of a server of one's own.
//!
//! ```text
//! cargo test --release --example latency_gate
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use ringback::load::{self, Config, Load, Outcome, Report, Target};
use ringback::server::{self, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let server = start()?;
    let report = measure(server.local_addresses()[0], &["p99<10ms"])?;
    assert!(report.verdict.outcome != Outcome::Missed, "{report}");
    Ok(())
}

/// The server under test. Here it is ours; any that echoes will do, in this process or beside it.
fn start() -> Result<Server, Box<dyn Error>> {
    let mut config = server::Config::new(vec!["127.0.0.1:0".parse()?]);
    config.cpus.truncate(1);
    config.choose_driver();
    Ok(Server::start(&config)?)
}

/// An open loop: what the server keeps waiting is charged to it.
fn measure(address: SocketAddr, assertions: &[&str]) -> Result<Report, Box<dyn Error>> {
    let mut config = Config::new(Target::at(address));
    config.load = Load::at_rate(2_000);
    config.depth = Config::OPEN_LOOP_DEPTH;
    config.connections = 8;
    config.warmup = Duration::from_millis(200);
    config.duration = Duration::from_secs(1);
    config.assertions = assertions.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    Ok(load::run(&config, &mut |_| {})?)
}

/// Where the host was too busy for the generator, the run says nothing of the server: that is not
/// valid, and here it is let pass. A stricter gate repeats it.
#[test]
fn latencies_are_within_their_limits() {
    let server = start().expect("a loopback port is free");
    let report = measure(server.local_addresses()[0], &["p50<1s", "p99<10s"]).expect("it runs");
    assert!(report.verdict.outcome != Outcome::Missed, "{report}");
}

#[test]
fn a_limit_that_no_server_keeps_is_missed() {
    let server = start().expect("a loopback port is free");
    let report = measure(server.local_addresses()[0], &["min<1ns"]).expect("it runs");
    assert!(!report.verdict.assertions[0].met, "{report}");
    let median = load::Quantile::from_micropercents(50_000_000).expect("it is below p100");
    assert!(report.latency(median) > Some(Duration::ZERO), "{report}");
}
