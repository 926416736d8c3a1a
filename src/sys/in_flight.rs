//! Sends in flight: the bytes that the kernel reads, and the lists that tell it where they lie.

use std::collections::VecDeque;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};

use super::buf_ring::BufRing;
use super::lease::Lease;
use super::parts::{Part, Parts};
use super::ring::Notify;
use super::slots::trim;
use super::token::Token;

/// The parts that each slot is sending; a slot has at most one send in flight.
#[derive(Default)]
pub(super) struct Sends {
    slots: Vec<Option<InFlight>>,
    /// Those that complete only if they fail, in the order of their submission.
    silent: VecDeque<Silent>,
    /// Lists of earlier sends, some of them.
    #[expect(clippy::vec_box, reason = "a list in flight has moved out, and must not move again")]
    spare: Vec<Box<Scatter>>,
}

struct InFlight {
    parts: Parts,
    notify: Notify,
    scatter: Option<Box<Scatter>>,
}

struct Silent {
    token: Token,
    /// Entries that were submitted up to its own.
    position: u64,
}

/// Where the bytes of a `sendmsg` lie. Boxed: the kernel is told its address.
struct Scatter {
    header: libc::msghdr,
    vectors: Vec<libc::iovec>,
}

/// A send never waits in the kernel: what a socket does not take at once is left to us. One that
/// waits moves to a kernel thread as soon as its poll is always ready, which a peer's FIN or urgent
/// byte brings about (`io_uring/poll.c`, APOLL_MAX_RETRY).
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;

impl Sends {
    /// Most parts of one send. Far below IOV_MAX (1024): past some dozens the cost of a system
    /// call is spread thin enough.
    pub(super) const MAX_PARTS: usize = 64;

    /// Lists kept for the next sends, a kilobyte each.
    const MAX_SPARE: usize = 64;

    /// Keeps parts until [`finish`](Self::finish); returns the operation that sends them.
    ///
    /// # Panics
    ///
    /// When a send of the same slot is in flight, or there are no parts or too many.
    pub(super) fn begin(
        &mut self,
        slot: u32,
        socket: Fd,
        parts: Parts,
        buffers: &BufRing,
        notify: Notify,
    ) -> squeue::Entry {
        assert!((1..=Self::MAX_PARTS).contains(&parts.count()), "a send has some parts");
        let index = slot as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        assert!(self.slots[index].is_none(), "a slot has one send in flight");
        let sending = self.slots[index].insert(InFlight { parts, notify, scatter: None });
        let (flags, entry_flags) = match notify {
            Notify::Always => (SEND_FLAGS, squeue::Flags::empty()),
            // With MSG_WAITALL a short send fails as well.
            Notify::OnFailure => (SEND_FLAGS | libc::MSG_WAITALL, squeue::Flags::SKIP_SUCCESS),
        };
        let is_one = sending.parts.count() == 1;
        let mut bytes = sending.parts.iter().map(|part| bytes_of(buffers, part));
        let entry = if is_one {
            let bytes = bytes.next().expect("there is one part");
            opcode::Send::new(socket, bytes.as_ptr(), bytes.len() as u32).flags(flags).build()
        } else {
            let scatter = sending.scatter.insert(self.spare.pop().unwrap_or_else(Scatter::new));
            let header = scatter.point_to(bytes);
            opcode::SendMsg::new(socket, header).flags(flags as u32).build()
        };
        entry.flags(entry_flags)
    }

    /// The send that was just begun completes only if it fails; with it so many entries were
    /// submitted.
    pub(super) fn awaits_no_completion(&mut self, token: Token, position: u64) {
        self.silent.push_back(Silent { token, position });
    }

    /// The send with this token completed: its parts come back.
    pub(super) fn finish(&mut self, token: Token) -> Parts {
        let sending = self.end(token.slot);
        if sending.notify == Notify::OnFailure {
            self.silent.retain(|silent| silent.token != token);
        }
        sending.parts
    }

    /// The next send that has not failed although the kernel has taken its entry, one of the first
    /// `taken`.
    pub(super) fn finish_silent(&mut self, taken: u64) -> Option<(Token, Parts)> {
        let &Silent { token, position } = self.silent.front()?;
        if position > taken {
            return None;
        }
        self.silent.pop_front();
        Some((token, self.end(token.slot).parts))
    }

    /// Gives up what no connection needs any more.
    pub(super) fn trim(&mut self) {
        trim(&mut self.slots);
    }

    fn end(&mut self, slot: u32) -> InFlight {
        let mut sending = self.slots[slot as usize].take().expect("a send completes once");
        if self.spare.len() < Self::MAX_SPARE {
            self.spare.extend(sending.scatter.take());
        }
        sending
    }
}

impl Scatter {
    fn new() -> Box<Self> {
        // SAFETY: a msghdr of zeroes is an empty message.
        let header = unsafe { std::mem::zeroed() };
        Box::new(Self { header, vectors: Vec::new() })
    }

    fn point_to<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) -> *const libc::msghdr {
        self.vectors.clear();
        self.vectors.extend(parts.map(|bytes| libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        }));
        self.header.msg_iov = self.vectors.as_mut_ptr();
        self.header.msg_iovlen = self.vectors.len() as _;
        &raw const self.header
    }
}

fn bytes_of<'a>(buffers: &'a BufRing, part: &'a Part<Lease>) -> &'a [u8] {
    match part {
        Part::Leased(lease) => buffers.bytes(lease),
        Part::Owned(owned) => owned.bytes(),
    }
}
