//! Bodies of the fuzz targets, as functions of the fuzzer's bytes.
//!
//! Compiled in ordinary builds, so that `cargo test` can replay the corpus. Inputs of `raw`, `framed`,
//! `client` and `differential` begin with a short program; the rest is what the peer sends, as it would
//! stand on the wire:
//!
//! | byte | meaning |
//! | --- | --- |
//! | 0 | flags: bit 0 ends the stream, bits 1 and up choose `max_frame` or the in-flight limit |
//! | 1 | bits 0 to 4: `n`, number of operations; bits 5 to 7 choose the second cut of the stream |
//! | 2 .. 2 + n | the operations, one byte each, see the functions below |
//! | then | the stream; what the operations leave of it arrives at their end |

use std::time::Duration;

use super::client_model::{self, ClientOp, ClientScript};
use super::either::Either;
use super::lifecycle_model;
use super::lifecycle_model::Op as LifecycleOp;
use super::model::{Op, Script, check_cuts};
use super::simulation::{self, Options, Report, Session, Size};
use crate::driver::Urgency;
use crate::driver::differential::{self, Event};
use crate::protocol::{Framed, Protocol, Request};

/// Hostile time of a small simulation.
const SESSION_STEPS: usize = 40;
/// Hostile time of a large one; an input of 4096 bytes decides about half of it.
const DEEP_SESSION_STEPS: usize = 100;

const FRAME_TIMEOUT: Duration = Duration::from_millis(100);

/// The server's `raw` core. Operations as in [`framed`].
pub fn raw(data: &[u8]) {
    let Some(program) = Program::read(data) else { return };
    let piece = program.piece;
    check_cuts(&program.server_script(Either::Raw), &[piece]);
}

/// The server's `framed` core.
///
/// Operations: 0 to 199 receive that many bytes; 200 to 239 let 5 ms pass for every one above 200,
/// of a frame timeout of 100 ms; 240 to 247 drain; 248 to 251 end of stream; above that busy.
pub fn framed(data: &[u8]) {
    let Some(program) = Program::read(data) else { return };
    let max_frame = [65_536, 0, 1, 64, 100, 1000, 16 << 20, u32::MAX][program.choice(8)];
    let framed = Framed { max_frame, frame_timeout: FRAME_TIMEOUT };
    let piece = program.piece;
    check_cuts(&program.server_script(Either::Framed(framed)), &[piece]);
}

/// The native and the epoll driver over the simulation's kernel: every two bytes are one decision of
/// the world, see [`simulation::run_script`].
pub fn session(data: &[u8]) {
    session_report(data);
    simulate(Session::Copying, Size::Small, SESSION_STEPS, data);
}

/// Coverage of the native driver's part of [`session`].
pub fn session_report(data: &[u8]) -> Report {
    simulate(Session::Native, Size::Small, SESSION_STEPS, data)
}

/// As [`session`], in a large world: slow, for nights.
pub fn deep_session(data: &[u8]) {
    simulate(Session::Native, Size::Large, DEEP_SESSION_STEPS, data);
    simulate(Session::Copying, Size::Large, DEEP_SESSION_STEPS, data);
}

fn simulate(session: Session, size: Size, steps: usize, data: &[u8]) -> Report {
    simulation::run_script(Options { seed: 0, session, size, steps, mutation: None }, data)
}

/// The client's core.
///
/// Operations: 0 to 127 receive that many bytes; 128 to 195 send an ECHO with one byte of payload
/// for every one above 128; 196 to 255 send a PING with two bytes for every one above 196, so that
/// some are too long. Sequences count from 1, every payload byte is its request's sequence.
pub fn client(data: &[u8]) {
    let Some(program) = Program::read(data) else { return };
    let mut sequence = 0;
    let mut request = |kind, length: u8| {
        sequence += 1;
        ClientOp::Request(kind, sequence, vec![sequence as u8; usize::from(length)])
    };
    let mut ops: Vec<ClientOp> = program
        .ops
        .iter()
        .map(|op| match *op {
            length @ 0..=127 => ClientOp::Receive(usize::from(length)),
            op @ 128..=195 => request(Request::Echo, op - 128),
            op @ 196..=255 => request(Request::Ping, (op - 196) * 2),
        })
        .collect();
    ops.push(ClientOp::Receive(usize::MAX));
    if program.ends_stream() {
        ops.push(ClientOp::Eof);
    }
    let max_in_flight = [64, 0, 1, 2][program.choice(4)];
    let script = ClientScript { max_in_flight, stream: program.stream.to_vec(), ops };
    client_model::check_cut(&script, program.piece);
}

/// A connection in the buffers of the native driver, and one in that of the others. The program has
/// the form of [`framed`]; the flags choose among protocols, one of which no server would start with.
///
/// Operations: 0 to 127 receive that many bytes; 128 to 191 let the peer take so many above 127, 16
/// times; 192 to 223 let 500 ms pass for every one above 191; 224 to 239 drain; 240 to 251 end of
/// stream; above that stop. Where reading pauses at a high-water mark, which bit 7 of the flags
/// decides, no time passes: both pause at another time.
pub fn differential(data: &[u8]) {
    let Some(program) = Program::read(data) else { return };
    let high_water = (program.flags >> 7 == 1).then_some(64);
    let mut rest = program.stream;
    let mut events = Vec::with_capacity(program.ops.len() + 2);
    for op in program.ops {
        events.push(match *op {
            length @ 0..=127 => {
                let (piece, later) = rest.split_at(rest.len().min(length.into()));
                rest = later;
                Event::Received(piece)
            }
            op @ 128..=191 => Event::Taken(16 * usize::from(op - 127)),
            192..=223 if high_water.is_some() => continue,
            op @ 192..=223 => Event::Elapsed(u32::from(op - 191) * Duration::from_millis(500)),
            224..=239 => Event::ShutDown(Urgency::Drain),
            240..=251 => Event::Eof,
            252..=255 => Event::ShutDown(Urgency::Stop),
        });
    }
    events.push(Event::Received(rest));
    events.extend(program.ends_stream().then_some(Event::Eof));
    let framed = |max_frame| Either::Framed(Framed { max_frame, ..Framed::default() });
    let protocol = [framed(65_536), Either::Raw, framed(64), framed(u32::MAX)][program.choice(4)];
    if protocol.check().is_err() {
        return;
    }
    differential::check(&protocol, high_water, &events);
}

/// The life of a connection. The first byte is its idle timeout in seconds, 0 for none; of every two
/// that follow the first chooses the operation and the second says how much.
pub fn lifecycle(data: &[u8]) {
    let Some((idle, ops)) = data.split_first() else { return };
    let idle_timeout = (*idle > 0).then(|| Duration::from_secs((*idle).into()));
    let ops = ops.chunks_exact(2).map(|op| lifecycle_op(op[0], op[1]));
    lifecycle_model::check(idle_timeout, &ops.collect::<Vec<_>>());
}

fn lifecycle_op(which: u8, amount: u8) -> LifecycleOp {
    let length = usize::from(amount);
    match which % 15 {
        0 => LifecycleOp::Receive(length),
        1 => LifecycleOp::Echo(length),
        2 => LifecycleOp::Discard(length),
        3 => LifecycleOp::Control(length),
        4 => LifecycleOp::Send(length),
        5 => LifecycleOp::Acknowledge(length),
        6 => LifecycleOp::Finish,
        7 => LifecycleOp::End { is_refused: amount % 2 == 1 },
        8 => LifecycleOp::Refuse,
        9 => LifecycleOp::Reset,
        10 => LifecycleOp::Vanish,
        11 => LifecycleOp::NotRead,
        12 => LifecycleOp::Throttle(length),
        13 => LifecycleOp::Drain,
        _ => LifecycleOp::Elapse(u32::from(amount) * Duration::from_millis(50)),
    }
}

/// Logs of histograms, which a byte of 0 ends.
#[cfg(feature = "load")]
pub fn hlog(data: &[u8]) {
    super::saved::check_logs(data.split(|byte| *byte == 0));
}

/// A result that was saved, to be drawn.
#[cfg(feature = "load")]
pub fn report(data: &[u8]) {
    super::saved::check_result(data);
}

/// The input taken apart.
struct Program<'a> {
    flags: u8,
    ops: &'a [u8],
    /// Bytes of each piece when the same is delivered for the second time.
    piece: usize,
    stream: &'a [u8],
}

const PIECES: [usize; 8] = [1, 2, 7, 19, 20, 21, 64, usize::MAX];

/// Where the stream begins in an input of [`framed`] or [`client`], if that has one.
pub(super) fn start_of_stream(data: &[u8]) -> Option<usize> {
    Some(data.len() - Program::read(data)?.stream.len())
}

impl<'a> Program<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let ([flags, count], rest) = data.split_first_chunk()?;
        let (ops, stream) = rest.split_at_checked(usize::from(*count & 31))?;
        let piece = PIECES[usize::from(*count >> 5)];
        Some(Self { flags: *flags, ops, piece, stream })
    }

    fn ends_stream(&self) -> bool {
        self.flags & 1 != 0
    }

    fn choice(&self, of: usize) -> usize {
        usize::from(self.flags >> 1) % of
    }

    fn server_script(self, protocol: Either) -> Script {
        let ends_stream = self.ends_stream();
        let ops = self.ops.iter().map(|op| match *op {
            length @ 0..=199 => Op::Receive(usize::from(length)),
            op @ 200..=239 => Op::Elapse(5 * Duration::from_millis(u64::from(op - 200))),
            240..=247 => Op::Drain,
            248..=251 => Op::Eof,
            252..=255 => Op::Busy,
        });
        let ops = ops.chain([Op::Receive(usize::MAX)]).chain(ends_stream.then_some(Op::Eof));
        Script { protocol, ops: ops.collect(), stream: self.stream.to_vec() }
    }
}
