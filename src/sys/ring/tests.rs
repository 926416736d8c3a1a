//! Over real rings and sockets: what the kernel promises is part of what is tested.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::event::{EventfdFlags, eventfd};

use super::*;
use crate::sys::{Owned, Part};

/// Small, so that its ends are reached, and that tests which run at the same time all get one.
const SIZE: RingSize = RingSize { submissions: 4, completions: 64, buffers: 2, buffer_size: 4096 };
/// For operations whose end depends on the peer.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// More than the buffers of two sockets on this host hold.
const ENDLESS: usize = 64 << 20;

/// A ring with the sockets of so many connections in its first slots, and their peers; `None` where
/// rings are refused, which is said, and no excuse in CI.
fn connected<const N: usize>() -> Option<(Ring, [TcpStream; N])> {
    let mut ring = match Ring::new(SIZE) {
        Ok(ring) => ring,
        Err(error) => {
            let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!is_ci, "{error}");
            eprintln!("skipped: {error}");
            return None;
        }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let peers = std::array::from_fn(|slot| {
        let peer = TcpStream::connect(address).expect("it listens");
        peer.set_read_timeout(Some(WAIT_TIMEOUT)).expect("it is not zero");
        let (socket, _) = listener.accept().expect("somebody connected");
        ring.sockets_mut().attach(slot as u32, socket.into());
        peer
    });
    Some((ring, peers))
}

fn token(operation: Operation, slot: u32) -> Token {
    Token::new(operation, slot, 7)
}

fn owned(bytes: &[u8]) -> Parts {
    let mut parts = Parts::default();
    parts.push(Part::Owned(Owned::copy_of(bytes)));
    parts
}

/// The next completion, which is waited for.
fn next(ring: &mut Ring) -> Completion {
    ring.next_completion().unwrap_or_else(|| {
        ring.submit(Wait::AtMost(WAIT_TIMEOUT)).expect("the ring goes on");
        ring.next_completion().expect("something completes in time")
    })
}

/// Sends some bytes; the send has completed when the submit returns.
fn send(ring: &mut Ring, parts: Parts, notify: Notify) -> Result<usize, Errno> {
    let length = parts.len();
    let completions_before = ring.activity().completions;
    ring.send(token(Operation::Send, 0), parts, notify);
    ring.submit(Wait::Poll).expect("the ring goes on");
    let completion = ring.next_completion().expect("a send does not wait");
    let Outcome::Sent(parts, result) = completion.outcome else { panic!("{completion:?}") };
    assert_eq!((parts.len(), completion.more), (length, false), "the parts come back whole");
    let is_silent = notify == Notify::OnFailure && result == Ok(length);
    let completions = ring.activity().completions - completions_before;
    assert_eq!(completions, u64::from(!is_silent), "{notify:?}: {result:?}");
    assert!(ring.next_completion().is_none(), "a send ends once");
    result
}

/// Sends until the socket is full; returns how many bytes it took.
fn fill(ring: &mut Ring) -> usize {
    fill_with(ring, Notify::Always)
}

fn fill_with(ring: &mut Ring, notify: Notify) -> usize {
    static CHUNK: [u8; 64 << 10] = [b'x'; 64 << 10];
    let mut taken = 0;
    loop {
        assert!(taken < ENDLESS, "a socket has bounds");
        match send(ring, owned(&CHUNK), notify) {
            Ok(sent) => taken += sent,
            Err(error) => {
                assert_eq!(error, Errno::AGAIN);
                return taken;
            }
        }
    }
}

fn read_exactly(peer: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    peer.read_exact(&mut bytes).expect("the bytes were sent");
    bytes
}

fn socket_in_flight(ring: &mut Ring, slot: u32) -> u32 {
    ring.sockets.in_flight(token(Operation::Send, slot))
}

#[test]
fn a_send_takes_what_there_is_room_for_and_never_waits() {
    let Some((mut ring, [mut peer])) = connected() else { return };
    let taken = fill(&mut ring);
    assert_eq!(socket_in_flight(&mut ring, 0), 0);
    assert!(read_exactly(&mut peer, taken).iter().all(|byte| *byte == b'x'));
    ring.close(0);
    assert_eq!(peer.read(&mut [0]).expect("it is closed"), 0, "nothing but what was reported");
}

#[test]
fn a_silent_send_reports_what_was_not_sent() {
    let Some((mut ring, [mut peer])) = connected() else { return };
    let taken = fill_with(&mut ring, Notify::OnFailure);
    assert_eq!((socket_in_flight(&mut ring, 0), ring.in_flight), (0, 0));
    assert!(read_exactly(&mut peer, taken).iter().all(|byte| *byte == b'x'));
    ring.close(0);
    assert_eq!(peer.read(&mut [0]).expect("it is closed"), 0, "nothing but what was reported");
}

#[test]
fn a_peer_s_fin_makes_no_send_wait() {
    let Some((mut ring, [peer])) = connected() else { return };
    peer.shutdown(Shutdown::Write).expect("it is connected");
    fill(&mut ring);
}

#[test]
fn parts_go_out_in_order_wherever_they_lie() {
    let Some((mut ring, [mut peer])) = connected() else { return };
    peer.write_all(b"received").expect("it is connected");
    ring.receive_one(token(Operation::Receive, 0));
    let Outcome::Received(Ok(Some(mut rest))) = next(&mut ring).outcome else {
        panic!("bytes were sent")
    };
    assert_eq!(ring.bytes(&rest), b"received");
    let mut parts = Parts::default();
    parts.push(Part::Leased(rest.split_to(2)));
    parts.push(Part::Owned(Owned::copy_of(b"-owned-")));
    parts.push(Part::Leased(rest));
    for _ in 0..2 {
        ring.send(token(Operation::Send, 0), parts, Notify::Always);
        let Outcome::Sent(back, Ok(15)) = next(&mut ring).outcome else { panic!("there is room") };
        parts = back;
        assert_eq!(read_exactly(&mut peer, 15), b"re-owned-ceived");
    }
    parts.discard_front(15, |lease| ring.recycle(lease));
    assert_eq!(ring.free_buffers(), (2, 2));
}

#[test]
fn room_is_reported_when_the_peer_reads_and_its_fin_does_not_make_it_spin() {
    let Some((mut ring, [mut peer])) = connected() else { return };
    let taken = fill(&mut ring);
    ring.watch_writable(token(Operation::Writable, 0));
    read_exactly(&mut peer, taken);
    let room = next(&mut ring);
    assert!(matches!(room.outcome, Outcome::Writable(Ok(true))), "{room:?}");
    assert!(room.more && room.token == token(Operation::Writable, 0));
    peer.shutdown(Shutdown::Write).expect("it is connected");
    ring.receive_one(token(Operation::Receive, 0));
    let mut reports = 0;
    let mut has_ended = false;
    for _ in 0..100 {
        ring.submit(if has_ended { Wait::Poll } else { Wait::AtMost(WAIT_TIMEOUT) })
            .expect("the ring goes on");
        while let Some(completion) = ring.next_completion() {
            match completion.outcome {
                Outcome::Received(Ok(None)) => has_ended = true,
                Outcome::Writable(Ok(_)) => reports += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(has_ended && reports < 50, "{reports} reports of one FIN");
    assert_eq!(socket_in_flight(&mut ring, 0), 1, "the watch stays");
    fill(&mut ring);
}

#[test]
fn a_report_of_something_else_is_not_one_of_room() {
    for (events, is_room) in [
        (libc::POLLOUT, true),
        (libc::POLLERR, true),
        (libc::POLLHUP, true),
        (libc::POLLOUT | libc::POLLIN, true),
        (libc::POLLIN, false),
        (libc::POLLRDHUP, false),
        (0, false),
    ] {
        assert_eq!(can_be_sent_on(events as u32), is_room, "{events:#x}");
    }
}

#[test]
fn a_cancelled_receive_ends_and_a_cancel_that_finds_nothing_is_reported() {
    let Some((mut ring, [_peer])) = connected() else { return };
    let receive = token(Operation::Receive, 0);
    ring.receive_one(receive);
    ring.submit(Wait::Poll).expect("the ring goes on");
    ring.cancel(receive);
    let (mut has_ended, mut was_found) = (false, false);
    while !(has_ended && was_found) {
        let completion = next(&mut ring);
        assert_eq!((completion.token, completion.more), (receive, false));
        match completion.outcome {
            Outcome::Received(Err(Errno::CANCELED)) => has_ended = true,
            Outcome::Cancelled(Ok(())) => was_found = true,
            other => panic!("{other:?}"),
        }
    }
    ring.cancel(receive);
    let missed = next(&mut ring);
    assert!(matches!(missed.outcome, Outcome::Cancelled(Err(Errno::NOENT))), "{missed:?}");
    assert_eq!((ring.in_flight, socket_in_flight(&mut ring, 0)), (0, 0));
    ring.close(0);
}

#[test]
fn no_socket_is_closed_while_something_is_in_flight_for_it() {
    let Some((mut ring, [_peer])) = connected() else { return };
    ring.receive_one(token(Operation::Receive, 0));
    let closed = catch_unwind(AssertUnwindSafe(|| ring.close(0)));
    assert!(closed.is_err(), "the kernel may still look the descriptor up");
}

#[test]
fn a_lasting_receive_is_in_flight_until_its_last_completion() {
    let Some((mut ring, [mut peer])) = connected() else { return };
    let receive = token(Operation::Receive, 0);
    ring.receive_many(receive);
    for round in 0..5 {
        peer.write_all(&[round]).expect("it is connected");
        let Completion { more, outcome, .. } = next(&mut ring);
        let Outcome::Received(Ok(Some(lease))) = outcome else { panic!("{outcome:?}") };
        assert!(more && ring.bytes(&lease) == [round]);
        assert_eq!((ring.in_flight, socket_in_flight(&mut ring, 0)), (1, 1));
        ring.recycle(lease);
    }
    drop(peer);
    let last = next(&mut ring);
    assert!(matches!(last.outcome, Outcome::Received(Ok(None))) && !last.more, "{last:?}");
    assert_eq!((ring.in_flight, socket_in_flight(&mut ring, 0)), (0, 0));
    ring.close(0);
}

#[test]
fn a_receive_without_a_buffer_says_so_and_loses_nothing() {
    let Some((mut ring, [mut peer])) = connected() else { return };
    let receive = token(Operation::Receive, 0);
    let mut leases = Vec::new();
    for byte in [b'a', b'b'] {
        peer.write_all(&[byte]).expect("it is connected");
        ring.receive_one(receive);
        let Outcome::Received(Ok(Some(lease))) = next(&mut ring).outcome else {
            panic!("there are buffers")
        };
        leases.push(lease);
    }
    assert_eq!(ring.free_buffers(), (0, 2));
    peer.write_all(b"c").expect("it is connected");
    ring.receive_one(receive);
    let refused = next(&mut ring);
    assert!(matches!(refused.outcome, Outcome::Received(Err(Errno::NOBUFS))), "{refused:?}");
    leases.into_iter().for_each(|lease| ring.recycle(lease));
    ring.receive_one(receive);
    let Outcome::Received(Ok(Some(lease))) = next(&mut ring).outcome else {
        panic!("there are buffers again")
    };
    assert_eq!(ring.bytes(&lease), b"c");
}

#[test]
fn what_the_queue_has_no_room_for_is_submitted_later() {
    const CONNECTIONS: usize = 3 * SIZE.submissions as usize;
    let Some((mut ring, mut peers)) = connected::<CONNECTIONS>() else { return };
    for slot in 0..CONNECTIONS as u32 {
        ring.send(token(Operation::Send, slot), owned(&slot.to_be_bytes()), Notify::Always);
    }
    assert_eq!(ring.deferred.len(), CONNECTIONS - SIZE.submissions as usize);
    ring.submit(Wait::Poll).expect("the ring goes on");
    let slots: Vec<u32> = std::iter::from_fn(|| ring.next_completion())
        .inspect(|completion| assert!(matches!(completion.outcome, Outcome::Sent(_, Ok(4)))))
        .map(|completion| completion.token.slot)
        .collect();
    assert_eq!(slots, (0..CONNECTIONS as u32).collect::<Vec<_>>(), "in order");
    assert_eq!((ring.in_flight, ring.deferred.len()), (0, 0));
    for (slot, peer) in (0_u32..).zip(&mut peers) {
        assert_eq!(read_exactly(peer, 4), slot.to_be_bytes());
    }
}

#[test]
fn a_ring_that_ends_waits_for_everything_that_was_submitted() {
    const CONNECTIONS: usize = 2 * SIZE.submissions as usize;
    let Some((mut ring, _peers)) = connected::<CONNECTIONS>() else { return };
    for slot in 0..CONNECTIONS as u32 {
        ring.receive_one(token(Operation::Receive, slot));
        ring.watch_writable(token(Operation::Writable, slot));
    }
    ring.submit(Wait::Poll).expect("the ring goes on");
    for slot in 0..CONNECTIONS as u32 {
        ring.receive_one(token(Operation::Receive, slot));
    }
    assert!(!ring.deferred.is_empty(), "some never reach the kernel");
    ring.quiesce();
    assert_eq!(ring.in_flight, 0);
}

#[test]
fn a_listener_accepts_until_it_is_cancelled() {
    let Some((mut ring, [])) = connected() else { return };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    ring.sockets_mut().attach_listener(listener.into());
    let accept = token(Operation::Accept, 0);
    ring.accept(accept);
    for _ in 0..3 {
        let mut peer = TcpStream::connect(address).expect("it listens");
        let Completion { more, outcome, .. } = next(&mut ring);
        let Outcome::Accepted(Ok(socket)) = outcome else { panic!("{outcome:?}") };
        drop(socket);
        assert!(more && peer.read(&mut [0]).expect("it is closed") == 0);
    }
    assert_eq!(ring.sockets.in_flight(accept), 1);
    ring.cancel(accept);
    for _ in 0..2 {
        let end = next(&mut ring).outcome;
        let is_end =
            matches!(end, Outcome::Cancelled(Ok(())) | Outcome::Accepted(Err(Errno::CANCELED)));
        assert!(is_end, "{end:?}");
    }
    ring.sockets_mut().close_listener(0);
}

#[test]
fn a_descriptor_is_watched_once() {
    let Some((mut ring, [])) = connected() else { return };
    let signal = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).expect("descriptors are left"));
    ring.watch_readable(token(Operation::Readable, 0), Arc::clone(&signal));
    ring.submit(Wait::Poll).expect("the ring goes on");
    assert!(!ring.has_completion().expect("the ring goes on"));
    rustix::io::write(&signal, &1_u64.to_ne_bytes()).expect("it counts");
    let completion = next(&mut ring);
    assert!(matches!(completion.outcome, Outcome::Readable(Ok(()))) && !completion.more);
    assert_eq!(ring.in_flight, 0);
}

#[test]
fn a_call_that_only_failed_for_now_is_no_failure() {
    let Some((mut ring, [])) = connected() else { return };
    let mut entered = |error| ring.handle_entered(Err(io::Error::from_raw_os_error(error)));
    for passing in [libc::EINTR, libc::ETIME, libc::EBUSY, libc::EAGAIN] {
        assert!(entered(passing).is_ok(), "{passing}");
    }
    let lost = entered(libc::EBADR).expect_err("completions are gone");
    assert_eq!(lost.kind(), io::ErrorKind::OutOfMemory);
    assert!(entered(libc::EBADF).is_err());
}
