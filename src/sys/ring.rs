//! One io_uring with its receive buffers, and every buffer that an operation in flight names.

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::thread;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

use super::buf_ring::BufRing;
use super::lease::Lease;
use super::refusal::{Refusal, Surroundings};
use super::send::{Part, SendBatch};
use super::token::{Operation, Token};

/// Sizes of a worker's ring and of its pool of receive buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSize {
    /// Submissions that can wait for the next system call; a power of two.
    pub submissions: u32,
    /// Completions that the kernel can post before it has to keep them aside; a power of two,
    /// more than the submissions.
    pub completions: u32,
    /// Receive buffers; a power of two, at most 32768.
    pub buffers: u16,
    /// Bytes of each receive buffer.
    pub buffer_size: u32,
}

impl Default for RingSize {
    /// Sizes that measured well: a buffer holds the bulk of a fast peer, and there are enough for
    /// everything that arrives in one turn.
    fn default() -> Self {
        Self { submissions: 1024, completions: 8192, buffers: 128, buffer_size: 128 << 10 }
    }
}

impl RingSize {
    /// Whether the kernel can make such a ring.
    pub(crate) fn is_possible(&self) -> bool {
        self.buffers.is_power_of_two()
            && self.buffers <= 1 << 15
            && self.buffer_size > 0
            && self.submissions.is_power_of_two()
            && self.completions.is_power_of_two()
            && self.submissions < self.completions
    }

    /// Bytes of memory that kernels from 6.14 on count as locked: the queues and the ring of buffer
    /// entries, each in whole pages, as seen with 6.18.
    pub(crate) fn locked_memory(&self) -> usize {
        const PAGE: usize = 4096;
        /// Heads, tails and flags of the queues.
        const HEADER: usize = 64;
        let queues = HEADER + self.completions as usize * 16 + self.submissions as usize * 4;
        let parts = [queues, self.submissions as usize * 64, usize::from(self.buffers) * 16];
        parts.iter().map(|bytes| bytes.next_multiple_of(PAGE)).sum()
    }

    /// Bytes of memory: the buffers and their ring of entries (16 bytes each), submissions of 64
    /// bytes with their index, completions of 16 bytes twice (the kernel's queue and our copy).
    pub fn memory(&self) -> usize {
        usize::from(self.buffers) * (self.buffer_size as usize + 16)
            + self.submissions as usize * 68
            + self.completions as usize * 32
    }
}

/// Why there is no ring, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RingError {
    #[error("io_uring_setup: {errno}: {}", explain(*errno))]
    Setup { errno: Errno },
    #[error("this kernel's io_uring lacks {0}: boot Linux 6.0 or newer")]
    Lacks(&'static str),
    #[error("receive buffers: {errno}: {}", explain(*errno))]
    Buffers { errno: Errno },
}

impl RingError {
    /// What the kernel answered, or would have.
    pub(super) fn errno(&self) -> Errno {
        match self {
            Self::Setup { errno } | Self::Buffers { errno } => *errno,
            Self::Lacks(_) => Errno::INVAL,
        }
    }
}

fn explain(errno: Errno) -> Refusal {
    Refusal::explain(errno, &Surroundings::look())
}

/// When the kernel handles completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Inside our own system calls (6.1).
    Deferred,
    /// Whenever our thread enters the kernel.
    Cooperative,
}

/// How long [`Ring::submit`] waits for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    Poll,
    /// Until there is one.
    Forever,
    /// At most this long.
    AtMost(Duration),
}

/// What became of a submission.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) token: Token,
    /// More completions of the same submission will follow.
    pub(crate) more: bool,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Accepted(Result<OwnedFd, Errno>),
    /// Received bytes; `None` is the peer's FIN.
    Received(Result<Option<Lease>, Errno>),
    /// The batch comes back whole; the number says how many of its bytes were sent.
    Sent(SendBatch, Result<usize, Errno>),
    /// The target's own completion says what became of it.
    Cancelled,
    Readable(Result<(), Errno>),
}

/// A ring and the memory that the kernel may be using on its behalf.
///
/// Descriptors are borrowed for the call only: the kernel looks them up when the submission
/// reaches it, so the caller keeps them open until the next [`submit`](Self::submit).
pub(crate) struct Ring {
    uring: IoUring,
    mode: Mode,
    /// Freed only when the kernel can no longer use it, see `drop`.
    memory: ManuallyDrop<Memory>,
    completed: VecDeque<cqueue::Entry>,
    in_flight: usize,
}

struct Memory {
    buffers: BufRing,
    /// By slot: a connection has at most one send in flight.
    sends: Vec<SendSlot>,
}

#[derive(Default)]
struct SendSlot {
    batch: Option<SendBatch>,
    /// Made at the first batch of several parts and kept: it is where `sendmsg` finds them.
    scatter: Option<Box<Scatter>>,
}

struct Scatter {
    header: libc::msghdr,
    vectors: Vec<libc::iovec>,
}

const BUFFER_GROUP: u16 = 0;
const ENTER_GETEVENTS: u32 = 1;
/// WAITALL lets the kernel resume a short send by itself.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;

impl Ring {
    /// Makes a ring for the calling thread, which must be the one that submits.
    ///
    /// A ring that was closed gives its locked memory back only a while later, that of a process
    /// which just ended too. So where there is not enough, it is waited for, briefly.
    pub(crate) fn new(size: RingSize) -> Result<Self, RingError> {
        /// Seen to take up to 60 ms.
        const TURNS: usize = 25;
        const TURN: Duration = Duration::from_millis(20);
        for _ in 0..TURNS {
            match Self::at_once(size) {
                Err(error) if error.errno() == Errno::NOMEM => thread::sleep(TURN),
                made_or_refused => return made_or_refused,
            }
        }
        Self::at_once(size)
    }

    fn at_once(size: RingSize) -> Result<Self, RingError> {
        let (uring, mode) = build(size)?;
        if !uring.params().is_feature_nodrop() {
            return Err(RingError::Lacks("FEAT_NODROP"));
        }
        if !uring.params().is_feature_ext_arg() {
            return Err(RingError::Lacks("FEAT_EXT_ARG"));
        }
        let buffers =
            BufRing::register(&uring.submitter(), BUFFER_GROUP, size.buffers, size.buffer_size)
                .map_err(|error| RingError::Buffers { errno: errno_of(error) })?;
        Ok(Self {
            uring,
            mode,
            memory: ManuallyDrop::new(Memory { buffers, sends: Vec::new() }),
            completed: VecDeque::with_capacity(size.completions as usize),
            in_flight: 0,
        })
    }

    /// When completions are handled.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Accepts connections until cancelled; one completion for each.
    pub(crate) fn accept(&mut self, token: Token, listener: BorrowedFd<'_>) {
        let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC);
        self.push(token, Operation::Accept, entry.build());
    }

    /// Receives once, into a buffer of the ring.
    pub(crate) fn receive_one(&mut self, token: Token, socket: BorrowedFd<'_>) {
        // Without a length of its own a receive takes what the buffer holds.
        let entry = opcode::Recv::new(Fd(socket.as_raw_fd()), ptr::null_mut(), 0)
            .buf_group(BUFFER_GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.push(token, Operation::Receive, entry);
    }

    /// Receives into buffers of the ring until cancelled, the peer's FIN, or an error.
    pub(crate) fn receive_many(&mut self, token: Token, socket: BorrowedFd<'_>) {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), BUFFER_GROUP);
        self.push(token, Operation::Receive, entry.build());
    }

    /// Sends a batch that is not empty.
    ///
    /// # Panics
    ///
    /// When a send of the same slot is in flight.
    pub(crate) fn send(&mut self, token: Token, socket: BorrowedFd<'_>, batch: SendBatch) {
        let entry = self.memory.stow(token.slot, Fd(socket.as_raw_fd()), batch);
        self.push(token, Operation::Send, entry);
    }

    /// Asks for the end of what was submitted with the token `target`.
    pub(crate) fn cancel(&mut self, token: Token, target: Token) {
        let entry = opcode::AsyncCancel::new(target.to_user_data()).build();
        self.push(token, Operation::Cancel, entry);
    }

    /// Completes once, when the descriptor can be read.
    pub(crate) fn watch_readable(&mut self, token: Token, descriptor: BorrowedFd<'_>) {
        let entry = opcode::PollAdd::new(Fd(descriptor.as_raw_fd()), libc::POLLIN as u32);
        self.push(token, Operation::Readable, entry.build());
    }

    /// Hands what was pushed to the kernel, lets it do deferred work, and waits.
    ///
    /// # Errors
    ///
    /// None that passes: an interrupted call or a full completion queue only ends the wait.
    pub(crate) fn submit(&mut self, wait: Wait) -> io::Result<()> {
        let wait = if self.completed.is_empty() { wait } else { Wait::Poll };
        let submitter = self.uring.submitter();
        let entered = match wait {
            Wait::Poll => self.enter_without_waiting(),
            Wait::Forever => submitter.submit_and_wait(1),
            Wait::AtMost(limit) => {
                let limit = Timespec::from(limit);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&limit))
            }
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) if passes(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a completion to take. Looks into memory only, unless there is work that the
    /// kernel has put off.
    ///
    /// # Errors
    ///
    /// Those of [`submit`](Self::submit).
    pub(crate) fn has_completion(&mut self) -> io::Result<bool> {
        if self.completed.is_empty() && self.uring.submission().taskrun() {
            self.submit(Wait::Poll)?;
        }
        Ok(!self.completed.is_empty() || !self.uring.completion().is_empty())
    }

    /// The next completion that an earlier [`submit`](Self::submit) brought.
    pub(crate) fn next_completion(&mut self) -> Option<Completion> {
        if self.completed.is_empty() {
            self.completed.extend(self.uring.completion());
        }
        self.completed.pop_front().map(|entry| self.interpret(&entry))
    }

    /// The bytes of a lease of this ring.
    pub(crate) fn bytes(&self, lease: &Lease) -> &[u8] {
        self.memory.buffers.bytes(lease)
    }

    /// Takes a lease back; says whether that freed a buffer.
    pub(crate) fn recycle(&mut self, lease: Lease) -> bool {
        self.memory.buffers.recycle(lease)
    }

    fn push(&mut self, token: Token, operation: Operation, entry: squeue::Entry) {
        assert_eq!(token.operation, operation, "a token names the operation it is used for");
        let entry = entry.user_data(token.to_user_data());
        loop {
            // SAFETY: what the entry points to stays valid and unmoved until its completion:
            // receive buffers and parts of sends are owned by `memory`, scatter lists are boxed
            // there, and nothing else here points anywhere.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                break;
            }
            let entered = self.enter_without_waiting();
            assert!(
                entered.as_ref().map_or_else(passes, |_| true),
                "the kernel takes submissions: {entered:?}"
            );
            self.completed.extend(self.uring.completion());
        }
        self.in_flight += 1;
    }

    fn enter_without_waiting(&self) -> io::Result<usize> {
        // The crate keeps the queue's tail private; `submission_shared` reads it.
        // SAFETY: no other submission queue is alive: every use of one ends in its statement.
        let waiting = unsafe { self.uring.submission_shared() }.len() as u32;
        // SAFETY: no argument is passed, and the flag allows that.
        unsafe { self.uring.submitter().enter::<libc::sigset_t>(waiting, 0, ENTER_GETEVENTS, None) }
    }

    fn interpret(&mut self, entry: &cqueue::Entry) -> Completion {
        let token = Token::from_user_data(entry.user_data());
        let more = cqueue::more(entry.flags());
        if !more {
            self.in_flight -= 1;
        }
        let result = match entry.result() {
            negative @ ..0 => Err(Errno::from_raw_os_error(-negative)),
            count => Ok(count as u32),
        };
        let outcome = match token.operation {
            Operation::Accept => Outcome::Accepted(result.map(|descriptor| {
                // SAFETY: the kernel just made this descriptor and tells nobody else.
                unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
            })),
            Operation::Receive => Outcome::Received(self.received(entry, result)),
            Operation::Send => {
                let batch = self.memory.sends[token.slot as usize].batch.take();
                let batch = batch.expect("a send completes once");
                Outcome::Sent(batch, result.map(|length| length as usize))
            }
            Operation::Cancel => Outcome::Cancelled,
            Operation::Readable => Outcome::Readable(result.map(|_| ())),
        };
        Completion { token, more, outcome }
    }

    fn received(
        &mut self,
        entry: &cqueue::Entry,
        result: Result<u32, Errno>,
    ) -> Result<Option<Lease>, Errno> {
        let buffers = &mut self.memory.buffers;
        match (result, cqueue::buffer_select(entry.flags())) {
            (Ok(length), Some(buffer)) if length > 0 => Ok(Some(buffers.grant(buffer, length))),
            (other, unused) => {
                if let Some(buffer) = unused {
                    buffers.return_unused(buffer);
                }
                if other == Err(Errno::NOBUFS) {
                    buffers.widen();
                }
                other.map(|_| None)
            }
        }
    }

    fn quiesce(&mut self) {
        let _ = self.submit(Wait::Poll);
        let limit = Timespec::new().sec(1);
        let _ = self.uring.submitter().register_sync_cancel(Some(limit), CancelBuilder::any());
        for _ in 0..100 {
            while self.next_completion().is_some() {}
            if self.in_flight == 0 {
                return;
            }
            if self.submit(Wait::AtMost(Duration::from_millis(10))).is_err() {
                return;
            }
        }
    }
}

impl Memory {
    /// Keeps a batch until its completion; returns the operation that sends it.
    fn stow(&mut self, slot: u32, socket: Fd, batch: SendBatch) -> squeue::Entry {
        let index = slot as usize;
        if self.sends.len() <= index {
            self.sends.resize_with(index + 1, SendSlot::default);
        }
        let slot = &mut self.sends[index];
        assert!(slot.batch.is_none(), "a slot has one send in flight");
        let mut parts = slot.batch.insert(batch).parts().map(|part| bytes_of(&self.buffers, part));
        if parts.len() == 1 {
            let bytes = parts.next().expect("there is one part");
            opcode::Send::new(socket, bytes.as_ptr(), bytes.len() as u32).flags(SEND_FLAGS).build()
        } else {
            let message = slot.scatter.get_or_insert_with(Scatter::new).point_to(parts);
            opcode::SendMsg::new(socket, message).flags(SEND_FLAGS as u32).build()
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.in_flight > 0 {
            self.quiesce();
        }
        if self.in_flight == 0 {
            // SAFETY: no operation is in flight, so the kernel uses none of it, and it is not
            // touched again.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
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

fn bytes_of<'a>(buffers: &'a BufRing, part: &'a Part) -> &'a [u8] {
    match part {
        Part::Leased(lease) => buffers.bytes(lease),
        Part::Owned(owned) => owned.bytes(),
    }
}

/// Tries the cheapest mode first. Both need SINGLE_ISSUER, which came with 6.0 as multishot receive
/// did.
fn build(size: RingSize) -> Result<(IoUring, Mode), RingError> {
    let mut builder = IoUring::builder();
    builder.setup_submit_all().setup_single_issuer().setup_cqsize(size.completions);
    // Lets a worker that polls see in memory when there is something to enter the kernel for.
    builder.setup_taskrun_flag();
    let mut cooperative = builder.clone();
    cooperative.setup_coop_taskrun();
    builder.setup_defer_taskrun();
    let deferred = builder.build(size.submissions).map(|uring| (uring, Mode::Deferred));
    deferred
        .or_else(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => {
                cooperative.build(size.submissions).map(|uring| (uring, Mode::Cooperative))
            }
            _ => Err(error),
        })
        .map_err(|error| RingError::Setup { errno: errno_of(error) })
}

/// Errors of other than the kernel's making count as an argument it would not take.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
pub(super) fn errno_of(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
}

/// Failures of `io_uring_enter` that say «later», not «never»: interrupted, timed out, completions
/// to be reaped first, no memory for a request right now.
fn passes(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN))
}
