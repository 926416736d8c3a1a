//! Features that this kernel's io_uring offers this process, one by one.
//!
//! Everything is tried, nothing is concluded from a version: distributions carry features into old
//! kernels, and sandboxes take them out of new ones.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use io_uring::{Builder, IoUring, opcode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::buf_ring::BufRing;
use super::parts::{Part, Parts};
use super::refusal::{HostContext, Refusal};
use super::ring::{Completion, Notify, Outcome, Ring, Wait};
use super::setup::{Mode, RingSize, errno_of};
use super::token::{Operation, Token};

/// Something of io_uring that a driver uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feature {
    /// As the kernel's manual pages name it.
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    /// Why it cannot be had, if it cannot.
    pub(crate) verdict: Result<(), Refusal>,
}

/// Who cannot do without a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Every driver with a ring.
    AnyRing,
    /// The native driver.
    Native,
    /// Nobody: it only makes the native driver faster.
    Speed,
}

/// The least that rings are tried with: memory that is locked meanwhile is not there for others.
const SMALL: RingSize = RingSize { submissions: 4, completions: 16, buffers: 2, buffer_size: 4096 };
/// Entries of the least ring there is.
const ENTRIES: u32 = 1;

type SetFlag = fn(&mut Builder) -> &mut Builder;

/// No probe reports multishot operations: they have to be seen working.
const ECHO: &str = "multishot accept and receive";

/// Setup flags that the native driver asks for, with those each of them needs.
const FLAGS: [(&str, Need, SetFlag); 5] = [
    ("IORING_SETUP_CQSIZE", Need::Native, |builder| builder.setup_cqsize(SMALL.completions)),
    ("IORING_SETUP_SUBMIT_ALL", Need::Native, |builder| builder.setup_submit_all()),
    ("IORING_SETUP_SINGLE_ISSUER", Need::Native, |builder| builder.setup_single_issuer()),
    ("IORING_SETUP_COOP_TASKRUN", Need::Native, |builder| builder.setup_coop_taskrun()),
    ("IORING_SETUP_DEFER_TASKRUN", Need::Speed, |builder| {
        builder.setup_single_issuer().setup_defer_taskrun()
    }),
];

const OPERATIONS: [(&str, u8); 6] = [
    ("IORING_OP_ACCEPT", opcode::Accept::CODE),
    ("IORING_OP_RECV", opcode::Recv::CODE),
    ("IORING_OP_SEND", opcode::Send::CODE),
    ("IORING_OP_SENDMSG", opcode::SendMsg::CODE),
    ("IORING_OP_POLL_ADD", opcode::PollAdd::CODE),
    ("IORING_OP_ASYNC_CANCEL", opcode::AsyncCancel::CODE),
];

/// Tries every feature, in the order in which they came into the kernel. Without a ring there is
/// only that to report.
pub(crate) fn examine() -> Vec<Feature> {
    let here = HostContext::detect();
    let explain = |errno| Refusal::explain(errno, &here);
    let feature = |name, need, verdict: Result<(), Errno>| Feature {
        name,
        need,
        verdict: verdict.map_err(explain),
    };
    let ring = match IoUring::new(ENTRIES) {
        Ok(ring) => ring,
        Err(error) => {
            return vec![feature("io_uring_setup", Need::AnyRing, Err(errno_of(error)))];
        }
    };
    let mut features = vec![feature("io_uring_setup", Need::AnyRing, Ok(()))];
    features.extend(operations(&ring).map(|(name, result)| feature(name, Need::Native, result)));
    features.extend(abilities(&ring).map(|(name, result)| feature(name, Need::Native, result)));
    features.extend(FLAGS.map(|(name, need, set)| feature(name, need, try_flag(set))));
    features.push(feature("provided buffer ring", Need::Native, try_buffers(&ring)));
    // Last, since it needs all of the above.
    if features.iter().all(|feature| feature.need == Need::Speed || feature.verdict.is_ok()) {
        features.push(feature(ECHO, Need::Native, try_echo().map(drop)));
    }
    features
}

/// Runs what the native driver does, small: an echo over a local socket. Returns the mode that
/// rings have here.
///
/// # Errors
///
/// Names the first feature that is missing.
pub(crate) fn try_native_ring() -> Result<Mode, Refusal> {
    let errno = match try_echo() {
        Ok(mode) => return Ok(mode),
        Err(errno) => errno,
    };
    let missing = examine().into_iter().find_map(|feature| match feature.verdict {
        Err(refusal) if feature.need != Need::Speed => Some(refusal.about(feature.name)),
        _ => None,
    });
    Err(missing.unwrap_or_else(|| {
        let what = format!("an echo over a local socket failed: {errno}");
        Refusal::explain(errno, &HostContext::detect()).about(what)
    }))
}

/// Checks that there can be a ring at all, and be entered, which is what a runtime of one-shot
/// operations needs.
pub(crate) fn try_plain_ring() -> Result<(), Refusal> {
    let refuse = |call: &str, errno| Refusal::explain(errno, &HostContext::detect()).about(call);
    let ring = IoUring::new(ENTRIES).map_err(|error| refuse("io_uring_setup", errno_of(error)))?;
    match ring.submitter().submit().map_err(errno_of) {
        // They mean «later», not «never».
        Ok(_) | Err(Errno::INTR | Errno::AGAIN | Errno::BUSY) => Ok(()),
        Err(errno) => Err(refuse("io_uring_enter", errno)),
    }
}

/// Checks that there can be so many rings at the same time.
pub(crate) fn try_rings(size: RingSize, count: usize) -> Result<(), Refusal> {
    let rings: Result<Vec<_>, _> = (0..count).map(|_| Ring::new(size)).collect();
    rings.map(drop).map_err(|error| {
        let refusal = Refusal::explain(error.errno(), &HostContext::detect());
        refusal.about(format!("{count} rings"))
    })
}

fn operations(ring: &IoUring) -> impl Iterator<Item = (&'static str, Result<(), Errno>)> {
    let mut probe = io_uring::Probe::new();
    let asked = ring.submitter().register_probe(&mut probe).map_err(errno_of);
    OPERATIONS.into_iter().map(move |(name, code)| {
        let known = asked.and_then(|()| present(probe.is_supported(code)));
        (name, known)
    })
}

fn abilities(ring: &IoUring) -> [(&'static str, Result<(), Errno>); 2] {
    [
        ("IORING_FEAT_NODROP", present(ring.params().is_feature_nodrop())),
        ("IORING_FEAT_EXT_ARG", present(ring.params().is_feature_ext_arg())),
    ]
}

fn try_flag(set: SetFlag) -> Result<(), Errno> {
    match set(&mut IoUring::builder()).build(ENTRIES) {
        Ok(_) => Ok(()),
        Err(error) => Err(errno_of(error)),
    }
}

fn try_buffers(ring: &IoUring) -> Result<(), Errno> {
    const GROUP: u16 = 0;
    match BufRing::register(&ring.submitter(), GROUP, SMALL.buffers, SMALL.buffer_size) {
        Ok(buffers) => {
            // Otherwise the kernel would still know of memory that is about to go.
            ring.submitter().unregister_buf_ring(GROUP).map_err(errno_of)?;
            drop(buffers);
            Ok(())
        }
        Err(error) => Err(errno_of(error)),
    }
}

/// Refuses a feature that is not present with the error that the kernel would give.
fn present(is_present: bool) -> Result<(), Errno> {
    if is_present { Ok(()) } else { Err(Errno::INVAL) }
}

/// The listener's number and the connection's slot.
const SLOT: u32 = 0;

/// A connection accepted, one message there and back, the peer's FIN: through the real thing.
fn try_echo() -> Result<Mode, Errno> {
    const MESSAGE: &[u8] = b"ringback";
    /// Generous: sockets of one host answer at once, so only what does not work comes so far.
    const TURNS: usize = 16;
    const WAIT_TIMEOUT: Duration = Duration::from_millis(250);
    let (listener, mut peer) = connected()?;
    peer.write_all(MESSAGE).map_err(errno_of)?;
    let mut ring = Ring::new(SMALL).map_err(|error| error.errno())?;
    ring.sockets_mut().attach_listener(listener.into());
    ring.accept(token(Operation::Accept));
    let mut wait = Wait::AtMost(WAIT_TIMEOUT);
    for _ in 0..TURNS {
        ring.submit(wait).map_err(errno_of)?;
        wait = Wait::AtMost(WAIT_TIMEOUT);
        while let Some(Completion { outcome, .. }) = ring.next_completion() {
            match outcome {
                Outcome::Accepted(socket) => {
                    ring.sockets_mut().attach(SLOT, socket?);
                    ring.receive_many(token(Operation::Receive));
                }
                Outcome::Received(Ok(Some(lease))) => {
                    let mut parts = Parts::default();
                    parts.push(Part::Leased(lease));
                    ring.send(token(Operation::Send), parts, Notify::OnFailure);
                    // Its end would end no wait.
                    wait = Wait::Poll;
                }
                Outcome::Sent(_, sent) => {
                    sent?;
                    peer.shutdown(Shutdown::Write).map_err(errno_of)?;
                }
                Outcome::Received(end) => {
                    end?;
                    let mut echo = [0; MESSAGE.len()];
                    peer.read_exact(&mut echo).map_err(errno_of)?;
                    return present(echo == MESSAGE).map(|()| ring.mode());
                }
                Outcome::Cancelled(_)
                | Outcome::Readable(_)
                | Outcome::Writable(_)
                | Outcome::Ready => {}
            }
        }
    }
    Err(Errno::TIMEDOUT)
}

fn token(operation: Operation) -> Token {
    Token::new(operation, SLOT, 0)
}

/// A listener without a name, and a peer in its queue that never waits.
fn connected() -> Result<(UnixListener, UnixStream), Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
    rustix::net::listen(&socket, 1)?;
    let listener = UnixListener::from(socket);
    let address = listener.local_addr().map_err(errno_of)?;
    let peer = UnixStream::connect_addr(&address).map_err(errno_of)?;
    peer.set_nonblocking(true).map_err(errno_of)?;
    Ok((listener, peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_echo_works_so_does_every_feature_it_needs() {
        let works = try_native_ring();
        let features = examine();
        for Feature { name, need, verdict } in &features {
            assert!(*need == Need::Speed || verdict.is_ok() || works.is_err(), "{name}");
        }
        if works.is_ok() {
            assert_eq!(features.last().map(|feature| feature.name), Some(ECHO));
        }
    }

    #[test]
    fn probing_leaves_no_descriptor_open() {
        let open = || std::fs::read_dir("/proc/self/fd").expect("it is mounted").count();
        // Other tests of this process open and close descriptors too: a leak shows in every round.
        let before = open();
        let rounds = 200;
        (0..rounds).for_each(|_| drop(try_native_ring()));
        assert!(open() < before + rounds, "descriptors leak");
    }
}
