//! The loop over a kernel that does what a test tells it to. Whatever may happen in any order is the
//! simulation's business; here is what has to happen in one.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::receiving::Amount;
use super::*;
use crate::driver::testing::{FRAME_TIMEOUT, framed, frames, raw};
use crate::driver::{Buffers, SpliceLimits, TakenIn, buffers};
use crate::lifecycle::{AdmissionLimits, Probe};
use crate::sys::LeaseTable;
use crate::testing::either::Either;

/// Requests of the driver, tokens aside.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Accept,
    Receive,
    Send(Vec<u8>),
    WatchWritable,
    WatchReady,
    SpliceOut(usize),
    TakePipeBack { is_empty: bool },
    Cancel(Operation),
    HoldOff,
    CloseListener,
}

struct Scripted {
    now: Instant,
    /// Of buffers that were received into; each is used once.
    buffers: Vec<Vec<u8>>,
    leases: LeaseTable,
    free_buffers: usize,
    /// Completions that each submit to come brings.
    to_come: VecDeque<Vec<Completion<()>>>,
    arrived: VecDeque<Completion<()>>,
    /// Parts of the send that is in flight.
    sending: Option<Parts>,
    asked: Vec<Asked>,
    last_wait: Option<Wait>,
    last_notify: Option<Notify>,
    /// Results of the splices to come.
    spliced_in: VecDeque<TakenIn>,
    /// Who waits to be accepted.
    queue: usize,
    has_descriptors: bool,
}

impl Buffers for Scripted {
    type Lease = Lease;

    fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        let (buffer, start, length) = self.leases.locate(lease);
        &self.buffers[usize::from(buffer)][start..start + length]
    }

    fn release(&mut self, lease: Lease) {
        self.leases.take_back(lease);
    }

    fn may_stay(&self, _: usize) -> bool {
        true
    }
}

impl Kernel for Scripted {
    type Socket = ();

    fn now(&self) -> Instant {
        self.now
    }

    fn free_buffers(&self) -> usize {
        self.free_buffers
    }

    fn accept(&mut self, _: Token) {
        self.asked.push(Asked::Accept);
    }

    fn receive(&mut self, _: Token, _: Amount) {
        self.asked.push(Asked::Receive);
    }

    fn send(&mut self, _: Token, parts: Parts, notify: Notify) {
        self.last_notify = Some(notify);
        let bytes = parts.iter().flat_map(|part| buffers::bytes_of(part, self)).copied().collect();
        self.asked.push(Asked::Send(bytes));
        assert!(self.sending.replace(parts).is_none(), "one send at a time");
    }

    fn watch_writable(&mut self, _: Token) {
        self.asked.push(Asked::WatchWritable);
    }

    fn watch_ready(&mut self, _: Token) {
        self.asked.push(Asked::WatchReady);
    }

    fn give_pipe(&mut self, _: u32) -> bool {
        true
    }

    fn take_pipe_back(&mut self, _: u32, is_empty: bool) {
        self.asked.push(Asked::TakePipeBack { is_empty });
    }

    fn splice_in(&mut self, _: u32) -> Result<TakenIn, Errno> {
        Ok(self.spliced_in.pop_front().unwrap_or(TakenIn::Nothing))
    }

    fn splice_out(&mut self, _: u32, held: usize) -> Result<usize, Errno> {
        self.asked.push(Asked::SpliceOut(held));
        Ok(held)
    }

    fn watch_signal(&mut self, _: Token, _: Urgency) {}

    fn cancel(&mut self, target: Token) {
        self.asked.push(Asked::Cancel(target.operation));
    }

    fn submit(&mut self, wait: Wait) -> io::Result<()> {
        self.last_wait = Some(wait);
        self.arrived.extend(self.to_come.pop_front().unwrap_or_default());
        Ok(())
    }

    fn has_completion(&mut self) -> io::Result<bool> {
        Ok(!self.arrived.is_empty())
    }

    fn next_completion(&mut self) -> Option<Completion<()>> {
        self.arrived.pop_front()
    }

    fn address_of(&self, (): &()) -> Option<IpAddr> {
        None
    }

    fn adopt(&mut self, _: u32, (): ()) {}

    fn probe(&self, _: u32) -> Probe {
        Probe { acknowledged: 0, queued: 0, is_over: false }
    }

    fn shut_down_write(&mut self, _: u32) {}

    fn close(&mut self, _: u32, _: CloseMode) -> usize {
        0
    }

    fn hold_off(&mut self, _: u32) {
        self.asked.push(Asked::HoldOff);
    }

    fn accept_queued(&mut self, _: u32) -> Result<(), Errno> {
        if !self.has_descriptors {
            return Err(Errno::MFILE);
        }
        self.queue = self.queue.checked_sub(1).ok_or(Errno::AGAIN)?;
        Ok(())
    }

    fn close_listener(&mut self, _: u32) -> usize {
        self.asked.push(Asked::CloseListener);
        self.queue
    }
}

/// A driver with one listener.
struct World {
    driver: Driver<Either, Scripted>,
    start: Instant,
}

impl World {
    fn new((protocol, settings): (Either, Settings)) -> Self {
        let start = Instant::now();
        let kernel = Scripted {
            now: start,
            buffers: Vec::new(),
            leases: LeaseTable::new(8),
            free_buffers: 8,
            to_come: VecDeque::new(),
            arrived: VecDeque::new(),
            sending: None,
            asked: Vec::new(),
            last_wait: None,
            last_notify: None,
            spliced_in: VecDeque::new(),
            queue: 0,
            has_descriptors: true,
        };
        let admission = Admission::new(AdmissionLimits {
            max_connections: usize::MAX,
            max_per_peer: None,
            max_overflow: 0,
        });
        Self { driver: Driver::new(kernel, 1, protocol, settings, Arc::new(admission)), start }
    }

    /// With a connection, which is in slot 0.
    fn with_connection(setup: (Either, Settings)) -> Self {
        let mut world = Self::new(setup);
        let accepted = of(Operation::Accept, true, Outcome::Accepted(Ok(())));
        assert_eq!(world.turn(0, [vec![accepted]]), [Asked::Accept, Asked::Receive]);
        world
    }

    fn kernel(&mut self) -> &mut Scripted {
        &mut self.driver.kernel
    }

    /// A turn at this time, in which each submit brings what is listed for it; returns what the
    /// driver asked for since the last one.
    fn turn<const N: usize>(&mut self, ms: u64, to_come: [Vec<Completion<()>>; N]) -> Vec<Asked> {
        let now = self.start + Duration::from_millis(ms);
        let kernel = self.kernel();
        kernel.now = now;
        kernel.to_come = to_come.into();
        self.driver.turn().expect("this kernel goes on");
        assert!(self.kernel().to_come.is_empty(), "there were fewer submits");
        std::mem::take(&mut self.kernel().asked)
    }

    fn received(&mut self, bytes: &[u8]) -> Completion<()> {
        let kernel = self.kernel();
        let buffer = kernel.buffers.len() as u16;
        kernel.buffers.push(bytes.to_vec());
        let lease = kernel.leases.grant(buffer, bytes.len() as u32);
        of(Operation::Receive, false, Outcome::Received(Ok(Some(lease))))
    }

    fn sent(&mut self, result: Result<usize, Errno>) -> Completion<()> {
        let parts = self.kernel().sending.take().expect("a send is in flight");
        of(Operation::Send, false, Outcome::Sent(parts, result))
    }
}

/// A completion of an operation of slot 0.
fn of(operation: Operation, more: bool, outcome: Outcome<()>) -> Completion<()> {
    Completion { token: Token::new(operation, 0, 0), more, outcome }
}

fn signal(urgency: Urgency) -> Completion<()> {
    let token = Token::new(Operation::Readable, urgency as u32, 0);
    Completion { token, more: false, outcome: Outcome::Readable(Ok(())) }
}

fn end_of_accept() -> Completion<()> {
    of(Operation::Accept, false, Outcome::Accepted(Err(Errno::CANCELED)))
}

/// Milliseconds after which a frame is late, and then some.
const LATE_MS: u64 = 1_000 * FRAME_TIMEOUT + 50_000;

#[test]
fn what_arrived_while_the_process_stood_still_is_looked_at_before_deadlines() {
    let mut world = World::with_connection(framed());
    let frame = frames(0..1);
    let start = world.received(&frame[..7]);
    assert_eq!(world.turn(0, [vec![start]]), [Asked::Receive]);
    let middle = world.received(&frame[7..9]);
    let end = world.received(&frame[9..]);
    // A pass may complete nothing, since it ran polls alone.
    let passes = [vec![], vec![], vec![middle], vec![], vec![end]];
    let asked = world.turn(LATE_MS, passes);
    assert_eq!(asked, [Asked::Receive, Asked::Send(frame), Asked::Receive]);
}

#[test]
fn a_frame_is_not_late_while_its_connection_waits_for_a_buffer() {
    let mut world = World::with_connection(framed());
    let frame = frames(0..1);
    let start = world.received(&frame[..7]);
    world.turn(0, [vec![start]]);
    world.kernel().free_buffers = 0;
    let refused = of(Operation::Receive, false, Outcome::Received(Err(Errno::NOBUFS)));
    assert_eq!(world.turn(1_000, [vec![refused]]), []);
    assert_eq!(world.turn(LATE_MS, [vec![]]), []);
    world.kernel().free_buffers = 1;
    assert_eq!(world.turn(LATE_MS, [vec![]]), [Asked::Receive]);
    let end = world.received(&frame[7..]);
    let asked = world.turn(LATE_MS + 1_000, [vec![end]]);
    assert_eq!(asked, [Asked::Send(frame), Asked::Receive]);
}

#[test]
fn a_send_ends_a_wait_only_where_somebody_waits_for_it() {
    let (eof, refused) = (Outcome::Received(Ok(None)), Outcome::Received(Err(Errno::NOBUFS)));
    let receive = |outcome| of(Operation::Receive, false, outcome);
    for (also, notify) in [
        (None, Notify::OnFailure),
        // Our FIN comes after it.
        (Some(receive(eof)), Notify::Always),
        // Somebody waits for its buffer.
        (Some(receive(refused)), Notify::Always),
    ] {
        let mut world = World::with_connection(raw());
        world.kernel().free_buffers = 0;
        let echo = world.received(b"echo");
        world.turn(0, [[Some(echo), also].into_iter().flatten().collect()]);
        assert_eq!(world.kernel().last_notify, Some(notify));
    }
}

/// Bytes of which each receive is bulk.
const BULK: &[u8] = b"bulk";

/// A connection whose pipe has taken these in so far.
fn spliced<const N: usize>(taken_in: [TakenIn; N]) -> (World, Vec<Asked>) {
    let (protocol, mut settings) = raw();
    settings.splice = SpliceLimits { pipes: 1, bulk: BULK.len() };
    let mut world = World::with_connection((protocol, settings));
    for _ in 0..3 {
        let received = world.received(BULK);
        world.turn(0, [vec![received]]);
        let sent = world.sent(Ok(BULK.len()));
        world.turn(0, [vec![sent]]);
    }
    let received = world.received(BULK);
    let asked = world.turn(0, [vec![received]]);
    assert_eq!(asked, [Asked::Send(BULK.to_vec())], "nothing overtakes what is being sent");
    assert_eq!(world.kernel().last_notify, Some(Notify::Always));
    world.kernel().spliced_in = taken_in.into();
    let sent = world.sent(Ok(BULK.len()));
    let asked = world.turn(0, [vec![sent]]);
    (world, asked)
}

fn ready() -> Completion<()> {
    of(Operation::Ready, true, Outcome::Ready)
}

#[test]
fn bulk_is_spliced_and_others_have_their_turn() {
    let (mut world, asked) = spliced([TakenIn::Some(9), TakenIn::Some(7)]);
    assert_eq!(asked, [Asked::SpliceOut(9), Asked::WatchReady]);
    assert_eq!(world.turn(0, [vec![]]), [Asked::SpliceOut(7)]);
    assert_eq!(world.kernel().last_wait, Some(Wait::Poll));
    assert_eq!(world.turn(0, [vec![]]), [], "nothing is there");
    world.kernel().spliced_in.push_back(TakenIn::All(5));
    assert_eq!(world.turn(0, [vec![]]), [], "nobody said so");
    assert_ne!(world.kernel().last_wait, Some(Wait::Poll));
    assert_eq!(world.turn(0, [vec![ready()]]), [Asked::SpliceOut(5)]);
    world.kernel().spliced_in.push_back(TakenIn::All(3));
    assert_eq!(world.turn(0, [vec![]]), [], "nothing had arrived behind it");
    assert_ne!(world.kernel().last_wait, Some(Wait::Poll));
    let counters = world.driver.counters();
    assert_eq!((counters.pipes, counters.splices), (1, 6));
    assert_eq!((counters.bytes_received, counters.bytes_sent), (16 + 21, 16 + 21));
}

#[test]
fn a_pipe_is_taken_back_at_an_urgent_byte_and_at_the_end() {
    for stuck in [TakenIn::Stuck, TakenIn::Full] {
        let (_, asked) = spliced([stuck]);
        assert_eq!(asked, [Asked::TakePipeBack { is_empty: true }, Asked::Receive]);
    }
    let (mut world, asked) = spliced([]);
    assert_eq!(asked, [Asked::WatchReady]);
    world.kernel().spliced_in.push_back(TakenIn::Fin);
    assert_eq!(world.turn(0, [vec![ready()]]), [Asked::Cancel(Operation::Ready)]);
    let cancelled = of(Operation::Ready, false, Outcome::Ready);
    let asked = world.turn(0, [vec![cancelled]]);
    assert_eq!(asked, [Asked::TakePipeBack { is_empty: true }]);
}

/// Under memory pressure no report of room may ever come.
#[test]
fn a_full_socket_is_tried_again_when_the_kernel_is_asked_about_it() {
    let (protocol, settings) = raw();
    let mut world = World::with_connection((protocol, settings));
    let echo = world.received(b"echo");
    let is_sent = Asked::Send(b"echo".to_vec());
    assert!(world.turn(0, [vec![echo]]).contains(&is_sent));
    let full = world.sent(Err(Errno::AGAIN));
    assert_eq!(world.turn(0, [vec![full]]), [Asked::WatchWritable]);
    assert_eq!(world.turn(1, [vec![]]), [], "it waits for a report");
    let probe_ms = settings.limits.stall_timeout.as_millis() as u64 / 4;
    assert_eq!(world.turn(probe_ms, [vec![], vec![]]), [is_sent]);
}

#[test]
fn a_long_accept_queue_is_emptied_in_turns_without_sleeping_between_them() {
    const WAITING: usize = handshake::MAX_ACCEPTS_PER_TURN + 1;
    let (protocol, settings) = raw();
    let grace_ms = settings.drain.accept_grace.as_millis() as u64;
    let mut world = World::new((protocol, settings));
    world.kernel().queue = WAITING;
    assert_eq!(world.turn(0, [vec![signal(Urgency::Drain)]]), [Asked::Accept, Asked::HoldOff]);
    let cancelled = world.turn(grace_ms, [vec![], vec![]]);
    assert_eq!(cancelled, [Asked::Cancel(Operation::Accept)]);
    let asked = world.turn(grace_ms, [vec![end_of_accept()]]);
    assert_eq!(asked.len(), handshake::MAX_ACCEPTS_PER_TURN, "a receive for each");
    let asked = world.turn(grace_ms, [vec![]]);
    assert_eq!(world.kernel().last_wait, Some(Wait::Poll));
    assert_eq!(asked, [Asked::CloseListener, Asked::Receive]);
    assert_eq!(world.driver.connection_count(), WAITING);
}

#[test]
fn who_cannot_be_accepted_at_the_end_is_counted() {
    let mut world = World::new(raw());
    world.kernel().queue = 5;
    world.kernel().has_descriptors = false;
    world.turn(0, [vec![signal(Urgency::Drain), signal(Urgency::Stop)]]);
    assert_eq!(world.turn(0, [vec![end_of_accept()]]), [Asked::CloseListener]);
    assert_eq!(world.driver.counters().unaccepted, 5);
    assert!(world.driver.is_finished());
}

/// Bounds the memory of each raw connection: with 10,000 of them every byte is ten kilobytes.
#[test]
fn a_raw_connection_is_small_and_smaller_than_a_framed_one() {
    use crate::driver::connection::Connection;
    use crate::protocol::{FramedConnection, RawConnection};

    let raw = size_of::<Connection<RawConnection, Lease, Operations>>();
    let framed = size_of::<Connection<FramedConnection, Lease, Operations>>();
    assert!(raw <= 504, "{raw} bytes");
    assert!(raw + 500 < framed, "{framed} bytes");
}
