//! The protocol core against its oracle, under arbitrary streams, cuts and events.
//!
//! `PROPTEST_CASES` sets how many scripts each property tries.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use ringback::protocol::{CloseReason, Framed, Request};
use ringback::testing::client_model::{self, ClientOp, ClientScript};
use ringback::testing::client_oracle::Heard;
use ringback::testing::either::{Either, EitherConnection};
use ringback::testing::model::{Op, Script, check_any_cut};
use ringback::testing::oracle::{Fate, Sent};
use ringback::testing::wire::{ECHO, ERROR, Fields, GOAWAY, PING, PONG, frame};

const FRAME_TIMEOUT: Duration = Duration::from_millis(100);

proptest! {
    #![proptest_config(config())]

    /// Whatever arrives and happens, `raw` does what its oracle does.
    #[test]
    fn raw_follows_its_oracle(stream in vec(any::<u8>(), 0..300), ops in server_ops()) {
        check_any_cut(&Script { protocol: Either::Raw, stream, ops });
    }

    /// Whatever arrives and happens, `framed` does what its oracle does.
    #[test]
    fn framed_follows_its_oracle(
        stream in server_stream(),
        ops in server_ops(),
        max_frame in prop_oneof![Just(0), Just(63), Just(64), Just(65_536), 0..200_u32],
    ) {
        let protocol = Either::Framed(Framed { max_frame, frame_timeout: FRAME_TIMEOUT });
        check_any_cut(&Script { protocol, stream, ops });
    }

    /// Bytes that were never a frame do no harm either.
    #[test]
    fn framed_survives_garbage(stream in vec(any::<u8>(), 0..200), ops in server_ops()) {
        let protocol = Either::Framed(Framed::default());
        check_any_cut(&Script { protocol, stream, ops });
    }

    /// A peer that does everything right gets all of its ECHO frames back and one PONG per PING.
    #[test]
    fn framed_answers_every_valid_frame(
        requests in vec((any::<bool>(), any::<u64>(), vec(any::<u8>(), 0..=64)), 0..20),
        cuts in vec(0..200_usize, 0..20),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (is_ping, sequence, payload) in requests {
            let request = frame(if is_ping { PING } else { ECHO }, sequence, &payload);
            let range = stream.len() as u64..(stream.len() + request.len()) as u64;
            stream.extend(request);
            match expected.last_mut() {
                _ if is_ping => expected.push(Sent::Pong(sequence, payload)),
                Some(Sent::Stream(last)) => last.end = range.end,
                _ => expected.push(Sent::Stream(range)),
            }
        }
        let ops = cuts.into_iter().map(Op::Receive).chain([Op::Receive(usize::MAX), Op::Eof]);
        let protocol = Either::Framed(Framed::default());
        let outcome = check_any_cut(&Script { protocol, stream, ops: ops.collect() });
        prop_assert_eq!(outcome.sent, expected);
        prop_assert_eq!(outcome.close, Some(CloseReason::Finished));
    }

    /// One changed bit anywhere in an ECHO keeps it from being forwarded.
    #[test]
    fn framed_forwards_nothing_unverified(
        sequence in any::<u64>(),
        payload in vec(any::<u8>(), 0..200),
        bit in any::<prop::sample::Index>(),
        cuts in vec(0..100_usize, 0..4),
    ) {
        let mut stream = frame(ECHO, sequence, &payload);
        let bit = bit.index(stream.len() * 8);
        stream[bit / 8] ^= 1 << (bit % 8);
        let ops = cuts.into_iter().map(Op::Receive).chain([Op::Receive(usize::MAX), Op::Eof]);
        let protocol = Either::Framed(Framed::default());
        let outcome = check_any_cut(&Script { protocol, stream, ops: ops.collect() });
        prop_assert!(outcome.error.is_some());
        prop_assert!(outcome.fates.iter().all(|fate| matches!(fate, Fate::Discarded(_))));
    }

    /// Whatever the server sends, the client hears what its oracle hears.
    #[test]
    fn client_follows_its_oracle(
        max_in_flight in prop_oneof![Just(64_usize), 0..4_usize],
        stream in vec(reply(), 0..12).prop_map(|replies| replies.concat()),
        ops in client_ops(),
    ) {
        client_model::check_any_cut(&ClientScript { max_in_flight, stream, ops });
    }

    /// A server that answers everything in order is never found at fault.
    #[test]
    fn client_hears_every_right_reply(
        requests in vec((any::<bool>(), any::<u64>(), vec(any::<u8>(), 0..=64)), 0..20),
        cuts in vec(0..200_usize, 0..20),
    ) {
        let (mut ops, mut stream, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (is_ping, sequence, payload) in requests {
            let (request, kind, heard) = if is_ping {
                (Request::Ping, PONG, Heard::Pong(sequence))
            } else {
                (Request::Echo, ECHO, Heard::Echo(sequence))
            };
            stream.extend(frame(kind, sequence, &payload));
            ops.push(ClientOp::Request(request, sequence, payload));
            expected.push(heard);
        }
        ops.extend(cuts.into_iter().map(ClientOp::Receive));
        ops.extend([ClientOp::Receive(usize::MAX), ClientOp::Eof]);
        let script = ClientScript { max_in_flight: 20, stream, ops };
        prop_assert_eq!(client_model::check_any_cut(&script), expected);
    }
}

/// Checks the size of a connection, which is all of its memory: a type without a destructor owns no
/// heap.
#[test]
fn a_connection_has_a_fixed_small_size() {
    assert!(!std::mem::needs_drop::<EitherConnection>());
    assert!(size_of::<EitherConnection>() <= 1024, "{} bytes", size_of::<EitherConnection>());
}

/// The largest frame that a server can be configured for is summed piece by piece.
#[test]
fn a_maximal_frame_comes_back() {
    let stream = frame(ECHO, 1, &vec![0xA5; 65_536]);
    let protocol = Either::Framed(Framed::default());
    let ops = vec![Op::Receive(21), Op::Receive(60_000), Op::Receive(usize::MAX), Op::Eof];
    let outcome = check_any_cut(&Script { protocol, stream, ops });
    assert_eq!(outcome.sent, [Sent::Stream(0..65_556)]);
}

/// The ERROR that a busy server sends is the whole conversation.
#[test]
fn a_busy_server_says_so_and_closes() {
    let protocol = Either::Framed(Framed::default());
    let ops = vec![Op::Busy, Op::Receive(usize::MAX), Op::Drain, Op::Eof];
    let outcome = check_any_cut(&Script { protocol, stream: frame(ECHO, 1, b"late"), ops });
    assert_eq!(outcome.sent, [Sent::Error(9, 0)]);
    assert_eq!(outcome.close, Some(CloseReason::Busy));
}

/// Failing scripts are printed whole: nothing is written beside the sources.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Mostly pieces about the size of a header, so that cuts fall in every field.
fn server_ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        12 => (0..60_usize).prop_map(Op::Receive),
        4 => (0..2000_usize).prop_map(Op::Receive),
        2 => (0..60_u64).prop_map(|ms| Op::Elapse(Duration::from_millis(ms))),
        1 => Just(Op::Drain),
    ];
    let end = prop_oneof![
        8 => Just(vec![Op::Receive(usize::MAX), Op::Eof]),
        2 => Just(vec![Op::Receive(usize::MAX), Op::Elapse(FRAME_TIMEOUT)]),
        2 => Just(vec![Op::Eof, Op::Receive(usize::MAX), Op::Busy]),
        1 => Just(vec![Op::Busy, Op::Receive(usize::MAX), Op::Eof, Op::Busy]),
        1 => Just(vec![]),
    ];
    (vec(op, 0..30), end).prop_map(|(ops, end)| [ops, end].concat())
}

/// Valid requests, now and then followed by something that is not one.
fn server_stream() -> impl Strategy<Value = Vec<u8>> {
    let valid = (request_kind(), any::<u64>(), payload())
        .prop_map(|(kind, sequence, payload)| frame(kind, sequence, &payload));
    let tail = prop_oneof![
        2 => Just(Vec::new()),
        3 => wrong_frame(),
        1 => vec(any::<u8>(), 0..100),
    ];
    (vec(valid, 0..12), tail, vec(any::<u8>(), 0..40))
        .prop_map(|(valid, tail, after)| [valid.concat(), tail, after].concat())
}

fn request_kind() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(ECHO), 2 => Just(PING)]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => vec(any::<u8>(), 0..=64),
        1 => Just(Vec::new()),
        1 => vec(any::<u8>(), 60..70),
        1 => vec(any::<u8>(), 0..1000),
    ]
}

/// A frame with one or more fields wrong and, half of the time, a checksum that is right for it.
fn wrong_frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![0..7_u8, any::<u8>()];
    let version = prop_oneof![4 => Just(1), 1 => 0..3_u8];
    let magic = prop_oneof![6 => Just(*b"RB"), 1 => any::<[u8; 2]>()];
    let length = prop_oneof![3 => Just(None), 1 => any::<u32>().prop_map(Some)];
    (magic, version, kind, length, any::<u64>(), payload(), any::<bool>()).prop_map(
        |(magic, version, kind, length, sequence, payload, sums)| {
            let length = length.unwrap_or(payload.len() as u32);
            let mut fields = Fields { magic, version, kind, length, sequence, checksum: 0 };
            if sums {
                fields.checksum = fields.right_checksum(&payload);
            }
            [&fields.write()[..], &payload].concat()
        },
    )
}

/// Requests whose sequence and payload a [`reply`] has a fair chance to match.
fn client_ops() -> impl Strategy<Value = Vec<ClientOp>> {
    let op = prop_oneof![
        (any::<bool>(), 0..3_u64, short_payload()).prop_map(|(is_ping, sequence, payload)| {
            let request = if is_ping { Request::Ping } else { Request::Echo };
            ClientOp::Request(request, sequence, payload)
        }),
        (0..80_usize).prop_map(ClientOp::Receive),
    ];
    let end = prop_oneof![
        Just(vec![ClientOp::Receive(usize::MAX), ClientOp::Eof, ClientOp::Eof]),
        Just(vec![ClientOp::Eof]),
        Just(vec![]),
    ];
    (vec(op, 0..20), end).prop_map(|(ops, end)| [ops, end].concat())
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let reply = |kind, payload| {
        (kind, 0..3_u64, payload).prop_map(|(kind, sequence, payload): (u8, u64, Vec<u8>)| {
            frame(kind, sequence, &payload)
        })
    };
    prop_oneof![
        12 => reply(prop_oneof![Just(ECHO), Just(PONG)].boxed(), short_payload().boxed()),
        1 => reply(Just(GOAWAY).boxed(), Just(Vec::new()).boxed()),
        2 => reply(Just(ERROR).boxed(), vec(any::<u8>(), 0..=204).boxed()),
        1 => wrong_frame(),
    ]
}

/// Few values, so that requests and replies often agree.
fn short_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(Just(7_u8), 0..2), 1 => vec(any::<u8>(), 60..70)]
}
