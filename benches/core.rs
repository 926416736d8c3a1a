//! Cost of the protocol core for one buffer of received bytes: `cargo bench --bench core`.
//!
//! `raw` looks at no byte, so its bytes per second say only that it costs nothing.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringback::protocol::{Connection, Framed, Header, Input, Kind, Output, Protocol, Raw};

/// One receive buffer of the native driver's order of size.
const BUFFER_BYTES: usize = 64 << 10;

criterion_group!(benches, core);
criterion_main!(benches);

fn core(criterion: &mut Criterion) {
    let framed = Framed::default();
    let buffer_of = |kind, payload: usize| {
        let frame = frame(kind, payload);
        let count = (BUFFER_BYTES / frame.len()).max(1);
        (frame.repeat(count), count)
    };
    let raw = (vec![0xA5; BUFFER_BYTES], 1);
    bench(criterion, "raw/64KiB", &Raw, &raw);
    bench(criterion, "framed/echo-64B", &framed, &buffer_of(Kind::Echo, 64));
    bench(criterion, "framed/echo-64KiB", &framed, &buffer_of(Kind::Echo, BUFFER_BYTES));
    bench(criterion, "framed/ping-64B", &framed, &buffer_of(Kind::Ping, 64));
}

/// Hands over `received`, which holds whole messages, again and again to one connection.
fn bench(
    criterion: &mut Criterion,
    name: &str,
    protocol: &impl Protocol,
    received: &(Vec<u8>, usize),
) {
    let (bytes, messages) = received;
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::ElementsAndBytes {
        elements: *messages as u64,
        bytes: bytes.len() as u64,
    });
    let now = Instant::now();
    let mut connection = protocol.connection();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(&bytes[..]);
            while !rest.is_empty() {
                let consumed =
                    connection.handle_input(now, Input::Data(rest)).expect("the frames are valid");
                rest = &rest[consumed..];
                while let Some(output) = connection.poll_output() {
                    assert!(!matches!(black_box(&output), Output::Close(_)));
                }
            }
        });
    });
    group.finish();
}

fn frame(kind: Kind, length: usize) -> Vec<u8> {
    let payload = vec![0xA5; length];
    [&Header::new(kind, 1, &payload).encode()[..], &payload].concat()
}
