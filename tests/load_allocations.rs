//! A message costs the generator no allocation, whatever the loop and the protocol.
//!
//! One test in a program of its own: it counts the allocations of the whole process.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use ringback::load::{Arrival, Config, Load, Protocol, Server, Target, run};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// An echo server that allocates nothing once a connection stands, and waits before each answer.
fn serve(delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 16 << 10];
                while let Ok(length @ 1..) = socket.read(&mut buffer) {
                    thread::sleep(delay);
                    if socket.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Allocations of a run, and how many messages it sent.
fn allocations(config: &Config) -> (usize, u64) {
    let region = Region::new(ALLOCATOR);
    let report = run(config, &mut |_| {}).unwrap();
    let counted = region.change();
    assert_eq!(report.totals.lost + report.totals.corrupted, 0);
    (counted.allocations + counted.reallocations, report.totals.sent)
}

#[test]
fn allocations_do_not_grow_with_messages() {
    let (fast, slow) = (serve(Duration::ZERO), serve(Duration::from_millis(5)));
    let poisson = |rate| Load::Open { rate, arrival: Arrival::Poisson };
    for protocol in [Protocol::Raw, Protocol::Framed] {
        let pairs = [
            ((slow, Load::Closed), (fast, Load::Closed)),
            ((fast, Load::at_rate(200)), (fast, Load::at_rate(5000))),
            ((fast, poisson(200)), (fast, poisson(5000))),
        ];
        for ((few_at, few_load), (many_at, many_load)) in pairs {
            let config = |address, load| {
                Config::new(Target::at(address)).with(|config| {
                    config.protocol = protocol;
                    config.load = load;
                    config.connections = 2;
                    config.depth = 8;
                    config.duration = Duration::from_millis(400);
                    config.warmup = Duration::from_millis(100);
                    config.spin = Duration::ZERO;
                    // Nobody looks through all processes for the server's: that allocates.
                    config.server = Server::Embedded { thread_ids: vec![], cpus: vec![] };
                })
            };
            let (allocations_of_few, few) = allocations(&config(few_at, few_load));
            let (allocations_of_many, many) = allocations(&config(many_at, many_load));
            assert!(many > few + 1000, "{few} and {many} messages");
            // What threads and timing differ by: far less than one for ten of the messages.
            let grown = allocations_of_many.saturating_sub(allocations_of_few);
            assert!(grown < 100, "{protocol:?} {many_load:?}: {grown} for {} messages", many - few);
        }
    }
}
