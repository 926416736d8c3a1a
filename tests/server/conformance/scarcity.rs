//! Who pays when buffers or memory are short: whoever takes much of them for long.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ringback::protocol::{Framed, Kind};
use ringback::server::{Config, RingSize, Server};

use super::DRIVER;
use crate::support::framed::frame;
use crate::support::peers::{Witness, close_by_reset};
use crate::support::{Program, TEST_TIMEOUT, connect, noise};

const BUFFERS: u16 = 16;
/// As many as there are buffers, but for some that may still be being sent from.
const OTHERS: u16 = 12;

#[test]
fn a_frame_in_single_bytes_keeps_no_buffers_from_others() {
    let framed = Framed { frame_timeout: TEST_TIMEOUT, ..Default::default() };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config::with_protocol(vec![address], framed);
    config.driver = DRIVER;
    config.cpus.truncate(1);
    config.ring = RingSize { buffers: BUFFERS, ..RingSize::default() };
    config.drain_quiet = Duration::from_millis(100);
    let server = Server::start(&config).expect("the server starts");
    let address = server.local_addresses()[0];
    let message = frame(Kind::Echo, 1, &noise(1000, 1));
    let (mut witness, mut peer) = (Witness::new(address, &message), connect(address));
    for byte in &frame(Kind::Echo, 2, &noise(200, 2))[..100] {
        peer.write_all(&[*byte]).expect("sent");
        // Now the worker has received it, all by itself.
        witness.echo();
    }
    let mut others: Vec<_> = (0..OTHERS).map(|_| connect(address)).collect();
    for _ in 0..50 {
        others.iter_mut().for_each(|other| other.write_all(&message).expect("sent"));
        for other in &mut others {
            other.read_exact(&mut vec![0; message.len()]).expect("answered");
        }
    }
    drop((witness, peer, others));
    let counters = server.stop().expect("no worker fails");
    assert_eq!(counters.buffer_waits, 0, "receives that found no buffer");
}

#[test]
fn one_that_waits_long_with_little_outlives_those_who_begin_again_with_much() {
    let arguments = ["--protocol", "framed", "--memory", "6MiB", "--workers", "1"];
    let arguments = [&["serve", "127.0.0.1:0", "--driver", DRIVER.name()], &arguments[..]].concat();
    let program = Program::start(&arguments, 1);
    let address = program.addresses[0];
    let little = frame(Kind::Echo, 1, &noise(40, 1));
    let mut honest = connect(address);
    honest.write_all(&little[..30]).expect("sent");
    let much = frame(Kind::Echo, 2, &noise(60_000, 2));
    let mut witness = Witness::new(address, &little);
    for _ in 0..4 {
        let mut attackers: Vec<_> = (0..500).map(|_| connect(address)).collect();
        for attacker in &mut attackers {
            // Some are told to go in the meantime.
            let _ = attacker.write_all(&much[..50_000]);
        }
        witness.echo();
        attackers.iter().for_each(close_by_reset);
    }
    honest.write_all(&little[30..]).expect("it was not told to go");
    let mut reply = vec![0; little.len()];
    honest.read_exact(&mut reply).expect("answered");
    assert!(reply == little);
    drop((honest, witness));
    program.signal(rustix::process::Signal::TERM);
    let (_, lines) = program.wait();
    assert!(lines.contains("ended for want of memory"), "memory was never short: {lines}");
}
