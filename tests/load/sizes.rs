//! Messages of all lengths, in both protocols and both loops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ringback::load::{Load, Protocol, Sizes, report};
use ringback::protocol::Framed;
use socket2::SockRef;

use crate::support::{assert_all_came_back, echo, echo_framed, measure, of, serve, short};

/// The framed protocol with the largest frames.
fn largest_frames() -> Framed {
    Framed { max_frame: 16 << 20, ..Default::default() }
}

#[test]
fn mixed_sizes_keep_their_boundaries_at_every_depth() {
    let raw = serve(|_, socket| echo(socket));
    let framed = serve(move |_, socket| echo_framed(socket, largest_frames()));
    let range = Sizes::range(1, 3000).unwrap();
    let weighted = Sizes::weighted(&[(1, 5), (64, 90), (100_000, 1)]).unwrap();
    let cases = [
        (1, Load::Closed, &range),
        (100, Load::Closed, &weighted),
        (8, Load::at_rate(2000), &range),
        (64, Load::at_rate(2000), &weighted),
    ];
    for (protocol, address) in [(Protocol::Raw, raw), (Protocol::Framed, framed)] {
        for (depth, load, sizes) in cases {
            let duration = Duration::from_millis(100);
            let sizes = sizes.clone();
            let config = short(address).with(|config| {
                config.protocol = protocol;
                config.sizes = sizes;
                config.depth = depth;
                config.load = load;
                config.duration = duration;
            });
            assert_all_came_back(&measure(&config));
        }
    }
}

#[test]
fn throughput_counts_the_bytes_that_were_drawn() {
    let address = serve(|_, socket| echo(socket));
    let config = short(address).with(|config| {
        config.sizes = Sizes::weighted(&[(10, 3), (1000, 1)]).unwrap();
        config.load = Load::at_rate(4000);
        config.depth = 64;
        config.warmup = Duration::ZERO;
    });
    let (first, second) = (measure(&config), measure(&config));
    assert_all_came_back(&first);
    assert_eq!(first.totals.sent, 1200);
    assert_eq!(first.totals.bytes_sent, second.totals.bytes_sent, "the seed decides");
    let [bytes, messages] =
        [first.throughput.bytes_per_s, first.throughput.messages_per_s].map(|rate| rate * 0.3);
    // On a busy machine the last are answered after the window.
    let answered_late = (1200.0 - messages).round();
    let late_bytes = first.totals.bytes_received as f64 - bytes;
    let least = answered_late * 10.0 - 1.0;
    assert!((least..=answered_late * 1000.0 + 1.0).contains(&late_bytes), "{late_bytes}");
    let expected = 1200 * (10 * 3 + 1000) / 4;
    assert!(first.totals.bytes_sent.abs_diff(expected) < expected / 4);
    let json: serde_json::Value = serde_json::from_str(&report::json(&first)).unwrap();
    assert!(json["config"]["size_bytes"].is_null());
    assert_eq!(json["config"]["sizes"], "10:3,1000:1");
    assert!(first.to_string().contains("10:3,1000:1 B"));
}

#[test]
fn framed_replies_are_matched() {
    let address = serve(move |_, socket| echo_framed(socket, largest_frames()));
    for (bytes, depth) in [(1, 1), (64, 100), (65_536, 3), (2 << 20, 2)] {
        let config = short(address).with(|config| {
            config.sizes = of(bytes);
            config.depth = depth;
            config.protocol = Protocol::Framed;
        });
        let report = measure(&config);
        assert_all_came_back(&report);
        let frame = bytes as u64 + 20;
        assert_eq!(report.totals.bytes_sent, report.totals.sent * frame);
    }
}

/// Echoes with small buffers, and reads nothing while its own are full: whoever only writes
/// to it waits for ever.
fn echo_through_small_buffers(mut socket: TcpStream) {
    let options = SockRef::from(&socket);
    options.set_recv_buffer_size(32 << 10).unwrap();
    options.set_send_buffer_size(16 << 10).unwrap();
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        if socket.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

#[test]
fn bulk_is_read_while_it_is_written() {
    let address = serve(|_, socket| echo_through_small_buffers(socket));
    for protocol in [Protocol::Raw, Protocol::Framed] {
        let config = short(address).with(|config| {
            // A raw echo returns frames too.
            config.protocol = protocol;
            config.sizes = of(512 << 10);
            config.connections = 2;
            config.depth = 3;
        });
        assert_all_came_back(&measure(&config));
    }
}

#[test]
fn the_largest_messages_pass() {
    let address = serve(|_, socket| echo(socket));
    for (bytes, protocol) in
        [(16 << 20, Protocol::Raw), (16 << 20, Protocol::Framed), ((3 << 20) + 7, Protocol::Raw)]
    {
        let config = short(address).with(|config| {
            config.sizes = of(bytes);
            config.protocol = protocol;
            config.connections = 1;
            config.depth = 2;
        });
        assert_all_came_back(&measure(&config));
    }
}
