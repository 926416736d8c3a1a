//! Every driver gives the answer of the protocol core to the same bytes, cut in the same way.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use ringback::protocol::{Connection, Framed, Input, Kind, Output, Protocol, Raw};
use ringback::server::DriverKind;

use crate::support::framed::frame;
use crate::support::{TEST_TIMEOUT, connect, noise, start_server};

const FRAMED: Framed = Framed { max_frame: 100_000, frame_timeout: TEST_TIMEOUT };

/// Behaviour of a peer: writes pieces with pauses between some of them, then half-closes.
#[derive(Debug, Clone)]
struct Script {
    request: Vec<u8>,
    /// Where the request is cut, as shares of its length, and whether there is a pause.
    cuts: Vec<(f64, bool)>,
}

impl Script {
    fn play(&self, mut stream: &TcpStream) {
        let mut ends: Vec<(usize, bool)> = self
            .cuts
            .iter()
            .map(|(share, pauses)| ((share * self.request.len() as f64) as usize, *pauses))
            .collect();
        ends.sort_unstable();
        ends.push((self.request.len(), false));
        let mut begin = 0;
        for (end, pauses) in ends {
            // A server that refuses the rest may close while it is written.
            if stream.write_all(&self.request[begin..end]).is_err() {
                break;
            }
            if pauses {
                thread::sleep(Duration::from_millis(2));
            }
            begin = end;
        }
        let _ = stream.shutdown(Shutdown::Write);
    }
}

/// Everything that comes back until the FIN.
fn answer(address: SocketAddr, script: &Script) -> Vec<u8> {
    let stream = connect(address);
    let mut reply = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| script.play(&stream));
        (&stream).read_to_end(&mut reply).expect("the answer ends with a FIN, not a reset");
    });
    reply
}

/// The core's answer to the same bytes.
fn expected(protocol: &impl Protocol, request: &[u8]) -> Vec<u8> {
    let mut connection = protocol.connection();
    let (mut reply, mut rest) = (Vec::new(), request);
    let now = Instant::now();
    let mut is_finished = false;
    while !is_finished {
        is_finished = rest.is_empty();
        let input = if is_finished { Input::Eof } else { Input::Data(rest) };
        match connection.handle_input(now, input) {
            Ok(consumed) => rest = &rest[consumed..],
            Err(_) => is_finished = true,
        }
        while let Some(output) = connection.poll_output() {
            match output {
                Output::Forward(range) => {
                    reply.extend_from_slice(&request[range.start as usize..range.end as usize]);
                }
                Output::Emit(bytes) => reply.extend_from_slice(&bytes),
                Output::Discard(_) | Output::Close(_) => {}
            }
        }
    }
    reply
}

/// Plays scripts to a server of every driver.
fn all_answer_the_same(protocol: impl Protocol + Copy, scripts: impl Strategy<Value = Script>) {
    let servers = DriverKind::ALL.map(|driver| (driver, start_server(driver, protocol)));
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&scripts, |script| {
        let expected = expected(&protocol, &script.request);
        for (driver, (_, address)) in &servers {
            let reply = answer(*address, &script);
            let same = reply.iter().zip(&expected).take_while(|(got, due)| got == due).count();
            let (got, due) = (reply.len(), expected.len());
            prop_assert!(reply == expected, "{driver}: {got} bytes, not {due}; {same} the same");
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn raw_request() -> impl Strategy<Value = Vec<u8>> {
    (prop_oneof![0..300_usize, 0..300_000_usize], any::<u64>())
        .prop_map(|(length, seed)| noise(length, seed))
}

/// Frames, most of them good, some of them spoiled, the last perhaps cut off.
fn framed_request() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        8 => Just(Kind::Echo),
        4 => Just(Kind::Ping),
        1 => Just(Kind::Pong),
        1 => Just(Kind::GoAway),
    ];
    let length = prop_oneof![4 => 0..65_usize, 2 => 0..5000_usize, 1 => 60_000..101_000_usize];
    let spoiled = proptest::option::weighted(0.04, (0..84_usize, 1..=255_u8));
    let one =
        (kind, any::<u64>(), length, spoiled).prop_map(|(kind, sequence, length, spoiled)| {
            let mut bytes = frame(kind, sequence, &noise(length, sequence));
            if let Some((position, mask)) = spoiled {
                let position = position % bytes.len();
                bytes[position] ^= mask;
            }
            bytes
        });
    (vec(one, 0..30), 0..100_usize).prop_map(|(frames, cut_off)| {
        let mut request = frames.concat();
        // One in four requests ends inside a frame.
        request.truncate(request.len().saturating_sub(cut_off.saturating_sub(75)));
        request
    })
}

fn script(request: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Script> {
    (request, vec((0.0..1.0, proptest::bool::weighted(0.3)), 0..20))
        .prop_map(|(request, cuts)| Script { request, cuts })
}

#[test]
fn raw_streams_come_back_the_same() {
    all_answer_the_same(Raw, script(raw_request()));
}

#[test]
fn framed_streams_are_answered_the_same() {
    all_answer_the_same(FRAMED, script(framed_request()));
}
