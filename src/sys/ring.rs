//! One io_uring with its receive buffers, its sockets, and every buffer that an operation in flight
//! names.

mod completion;
mod sockets;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

pub(crate) use self::completion::{Completion, Outcome};
use self::sockets::Sockets;
use super::buf_ring::BufRing;
use super::in_flight::Sends;
use super::lease::Lease;
use super::parts::Parts;
use super::sandbox;
use super::setup::{Mode, RingError, RingSize, build, errno_of};
use super::token::{Operation, Subject, Token};

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

/// When a send reports that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notify {
    Always,
    /// A send that was whole ends no wait: its end is seen whenever the wait ends.
    OnFailure,
}

/// A ring, its sockets, and the memory that the kernel may be using on its behalf.
pub(crate) struct Ring {
    uring: IoUring,
    mode: Mode,
    sockets: Sockets,
    /// Descriptors that are watched until they can be read.
    watched: Vec<Arc<OwnedFd>>,
    /// Freed only when the kernel can no longer use it, see `drop`.
    memory: ManuallyDrop<Memory>,
    /// Submissions that found the queue full.
    deferred: VecDeque<Box<[squeue::Entry]>>,
    completed: VecDeque<cqueue::Entry>,
    /// Entries that were submitted, and those of them that the kernel has taken.
    enqueued: u64,
    taken: u64,
    in_flight: usize,
    /// True while waits are to end at least once in the interval of [`Memory`].
    ticks: bool,
    activity: Activity,
}

/// Work of a ring since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(crate) submissions: u64,
    pub(crate) completions: u64,
    /// Calls of `io_uring_enter(2)`.
    pub(crate) enters: u64,
    /// Times that completions had found their queue full.
    pub(crate) overflows: u64,
}

struct Memory {
    buffers: BufRing,
    sends: Sends,
    /// Read by the kernel when a timeout is submitted.
    interval: Box<Timespec>,
}

const BUFFER_GROUP: u16 = 0;
const ENTER_GETEVENTS: u32 = 1;

impl Ring {
    /// Most parts of one send.
    pub(crate) const MAX_PARTS: usize = Sends::MAX_PARTS;

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
        limit_workers_of(&uring);
        let buffers =
            BufRing::register(&uring.submitter(), BUFFER_GROUP, size.buffers, size.buffer_size)
                .map_err(|error| RingError::Buffers { errno: errno_of(error) })?;
        sandbox::restrict(&uring)
            .map_err(|error| RingError::Restrictions { errno: errno_of(error) })?;
        Ok(Self {
            uring,
            mode,
            sockets: Sockets::default(),
            watched: Vec::new(),
            memory: ManuallyDrop::new(Memory {
                buffers,
                sends: Sends::default(),
                interval: Box::default(),
            }),
            deferred: VecDeque::new(),
            completed: VecDeque::with_capacity(size.completions as usize),
            enqueued: 0,
            taken: 0,
            in_flight: 0,
            ticks: false,
            activity: Activity::default(),
        })
    }

    /// From now on no wait is longer than this: one timeout in flight is cheaper than one in every
    /// wait. To be called once.
    pub(crate) fn start_ticking(&mut self, interval: Duration) {
        assert!(!self.ticks, "an interval that the kernel may still read does not change");
        *self.memory.interval = Timespec::from(interval);
        self.ticks = true;
        self.tick();
    }

    fn tick(&mut self) {
        let token = Token::new(Operation::Tick, 0, 0);
        let entry = opcode::Timeout::new(&raw const *self.memory.interval);
        self.push(token, Operation::Tick, [entry.build()]);
    }

    /// Work done so far.
    pub(crate) fn activity(&self) -> Activity {
        self.activity
    }

    /// When completions are handled.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Sockets that are in use.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Takes over sockets, and closes listeners.
    pub(crate) fn sockets_mut(&mut self) -> &mut Sockets {
        &mut self.sockets
    }

    /// Closes the socket of a slot.
    ///
    /// # Panics
    ///
    /// When something is in flight for it.
    pub(crate) fn close(&mut self, slot: u32) {
        self.sockets.close(slot);
        self.memory.sends.trim();
    }

    /// Accepts connections of a listener until cancelled; one completion for each.
    pub(crate) fn accept(&mut self, token: Token) {
        let listener = Fd(self.sockets.listener(token.slot).as_raw_fd());
        let entry = opcode::AcceptMulti::new(listener).flags(libc::SOCK_CLOEXEC);
        self.push(token, Operation::Accept, [entry.build()]);
    }

    /// Receives once, into a buffer of the ring. Spurious completions report `AGAIN`.
    ///
    /// The receive does not wait itself, it is linked to a poll for input: the poll with which the
    /// kernel lets a receive wait is ready with an urgent byte that came before what precedes it, and
    /// after some rounds of that the receive moves to a kernel thread (`io_uring/poll.c`,
    /// APOLL_MAX_RETRY). Only the receive completes, unless the poll fails: then only that does.
    pub(crate) fn receive_one(&mut self, token: Token) {
        const INPUT: u32 = (libc::POLLIN | libc::POLLRDHUP) as u32;
        let poll = opcode::PollAdd::new(self.fd(token), INPUT)
            .build()
            .flags(squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS);
        // Without a length of its own a receive takes what the buffer holds.
        let receive = opcode::Recv::new(self.fd(token), ptr::null_mut(), 0)
            .flags(libc::MSG_DONTWAIT)
            .buf_group(BUFFER_GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.push(token, Operation::Receive, [poll, receive]);
    }

    /// Receives into buffers of the ring until cancelled, the peer's FIN, or an error: `CANCELED`,
    /// unasked, where a kernel thread would have to go on.
    pub(crate) fn receive_many(&mut self, token: Token) {
        let entry = opcode::RecvMulti::new(self.fd(token), BUFFER_GROUP);
        self.push(token, Operation::Receive, [entry.build()]);
    }

    /// Sends what the socket takes at once. Completes before the submit that follows returns.
    ///
    /// # Panics
    ///
    /// When a send of the same slot is in flight, or there are no parts or more than
    /// [`MAX_PARTS`](Self::MAX_PARTS).
    pub(crate) fn send(&mut self, token: Token, parts: Parts, notify: Notify) {
        let socket = self.fd(token);
        let Memory { buffers, sends, .. } = &mut *self.memory;
        let entry = sends.begin(token.slot, socket, parts, buffers, notify);
        self.push(token, Operation::Send, [entry]);
        if notify == Notify::OnFailure {
            self.memory.sends.awaits_no_completion(token, self.enqueued);
        }
    }

    /// Completes whenever the socket may have become writable, until cancelled: with each edge, so
    /// that a peer's FIN, which stays, does not complete it again and again.
    pub(crate) fn watch_writable(&mut self, token: Token) {
        let entry = opcode::PollAdd::new(self.fd(token), libc::POLLOUT as u32).multi(true);
        self.push(token, Operation::Writable, [entry.build()]);
    }

    /// Completes whenever the socket may have become ready for anything, until cancelled: with each
    /// edge.
    pub(crate) fn watch_ready(&mut self, token: Token) {
        const EVENTS: i16 = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP;
        let entry = opcode::PollAdd::new(self.fd(token), EVENTS as u32).multi(true);
        self.push(token, Operation::Ready, [entry.build()]);
    }

    /// Completes once, when the descriptor can be read.
    pub(crate) fn watch_readable(&mut self, token: Token, descriptor: Arc<OwnedFd>) {
        let entry = opcode::PollAdd::new(Fd(descriptor.as_raw_fd()), libc::POLLIN as u32);
        self.watched.push(descriptor);
        self.push(token, Operation::Readable, [entry.build()]);
    }

    /// Asks for the end of the operation with this token. See [`Outcome::Cancelled`].
    pub(crate) fn cancel(&mut self, target: Token) {
        let entry = opcode::AsyncCancel::new(target.to_user_data()).build();
        self.enqueue(&[entry.user_data(target.to_cancellation())]);
    }

    /// Hands what was pushed to the kernel, lets it do deferred work, and waits.
    ///
    /// # Errors
    ///
    /// None that passes: an interrupted call or a full completion queue only ends the wait.
    /// `EBADR` when the kernel had no memory to keep a completion: what it was of is unknown.
    pub(crate) fn submit(&mut self, wait: Wait) -> io::Result<()> {
        while self.has_deferred() {
            let left = self.deferred.len();
            let entered = self.enter_without_waiting();
            self.handle_entered(entered)?;
            if self.has_deferred() && self.deferred.len() == left {
                // The kernel takes nothing just now: its completions are to be handled first.
                return Ok(());
            }
        }
        let entered = match if self.completed.is_empty() { wait } else { Wait::Poll } {
            Wait::Poll => self.enter_without_waiting(),
            Wait::Forever => self.uring.submitter().submit_and_wait(1),
            Wait::AtMost(limit) => {
                let limit = Timespec::from(limit);
                let arguments = SubmitArgs::new().timespec(&limit);
                self.uring.submitter().submit_with_args(1, &arguments)
            }
        };
        self.handle_entered(entered)
    }

    /// Returns whether there is a completion to take. Looks into memory only, unless there is work
    /// that the kernel has put off.
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

    /// The next completion that an earlier [`submit`](Self::submit) brought, and after the last of
    /// them the next end of a send that reported none.
    pub(crate) fn next_completion(&mut self) -> Option<Completion> {
        if self.completed.is_empty() {
            self.reap();
        }
        while let Some(entry) = self.completed.pop_front() {
            self.activity.completions += 1;
            let completion = self.interpret(&entry);
            if completion.is_some() {
                return completion;
            }
            if self.ticks {
                self.tick();
            }
        }
        self.next_silent_send()
    }

    /// The end of a send that the kernel has taken and that did not fail. A failure completes within
    /// the call in which the kernel takes the send, so it has been handled by now.
    fn next_silent_send(&mut self) -> Option<Completion> {
        let (token, parts) = self.memory.sends.finish_silent(self.taken)?;
        self.end(token, Subject::Operation);
        let length = parts.len();
        Some(Completion { token, more: false, outcome: Outcome::Sent(parts, Ok(length)) })
    }

    /// The bytes of a lease of this ring.
    pub(crate) fn bytes(&self, lease: &Lease) -> &[u8] {
        self.memory.buffers.bytes(lease)
    }

    /// Takes a lease back.
    pub(crate) fn recycle(&mut self, lease: Lease) {
        self.memory.buffers.recycle(lease);
    }

    /// Receive buffers that no lease keeps from the kernel, and all there are.
    pub(crate) fn free_buffers(&self) -> (usize, usize) {
        (self.memory.buffers.free_buffers(), self.memory.buffers.count())
    }

    /// Bytes of each receive buffer.
    pub(crate) fn buffer_size(&self) -> usize {
        self.memory.buffers.buffer_size()
    }

    fn fd(&self, token: Token) -> Fd {
        Fd(self.sockets.connection(token.slot).as_raw_fd())
    }

    /// Submits entries of which one completes.
    fn push<const N: usize>(
        &mut self,
        token: Token,
        operation: Operation,
        entries: [squeue::Entry; N],
    ) {
        assert_eq!(token.operation, operation, "a token names the operation it is used for");
        self.sockets.begin(token);
        self.enqueue(&entries.map(|entry| entry.user_data(token.to_user_data())));
    }

    fn enqueue(&mut self, entries: &[squeue::Entry]) {
        self.in_flight += 1;
        self.enqueued += entries.len() as u64;
        if !self.deferred.is_empty() || !self.offer(entries) {
            self.deferred.push_back(entries.into());
        }
    }

    /// Puts all of these entries into the submission queue, since those that are linked must reach the
    /// kernel together, unless it is too full.
    fn offer(&mut self, entries: &[squeue::Entry]) -> bool {
        // SAFETY: what an entry points to stays valid and unmoved until its completion: receive
        // buffers and parts of sends are owned by `memory`, scatter lists and the interval of
        // timeouts are boxed there, and nothing else here points anywhere.
        unsafe { self.uring.submission().push_multiple(entries) }.is_ok()
    }

    /// Moves what was deferred into the queue as far as it goes; returns whether some is left.
    fn has_deferred(&mut self) -> bool {
        while let Some(entries) = self.deferred.pop_front() {
            if !self.offer(&entries) {
                self.deferred.push_front(entries);
                return true;
            }
        }
        self.deferred.shrink_to(0);
        false
    }

    fn reap(&mut self) {
        self.completed.extend(self.uring.completion());
    }

    /// Takes the completions that there are. A failure that passes is none; one for want of memory is
    /// waited for, unless there are completions whose memory comes back.
    fn handle_entered(&mut self, entered: io::Result<usize>) -> io::Result<()> {
        const MEMORY_RETRY_INTERVAL: Duration = Duration::from_millis(1);
        self.activity.enters += 1;
        self.look_at_submissions();
        self.reap();
        let error = match entered {
            Ok(submitted) => {
                self.activity.submissions += submitted as u64;
                return Ok(());
            }
            Err(error) => error,
        };
        match error.raw_os_error() {
            Some(libc::EINTR | libc::ETIME | libc::EBUSY) => Ok(()),
            Some(libc::EAGAIN) => {
                if self.completed.is_empty() {
                    thread::sleep(MEMORY_RETRY_INTERVAL);
                }
                Ok(())
            }
            Some(libc::EBADR) => Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "the kernel dropped completions for want of memory (EBADR): give the host or the \
                 container more",
            )),
            _ => Err(error),
        }
    }

    /// Sees how far the kernel came. While completions are kept aside for want of room it is not
    /// known which of those that it took have failed.
    fn look_at_submissions(&mut self) {
        let deferred: usize = self.deferred.iter().map(|entries| entries.len()).sum();
        let queue = self.uring.submission();
        if queue.cq_overflow() {
            self.activity.overflows += 1;
        } else {
            self.taken = self.enqueued - (deferred + queue.len()) as u64;
        }
    }

    fn enter_without_waiting(&self) -> io::Result<usize> {
        // The crate keeps the queue's tail private; `submission_shared` reads it.
        // SAFETY: no other submission queue is alive: every use of one ends in its statement.
        let waiting = unsafe { self.uring.submission_shared() }.len() as u32;
        let submitter = self.uring.submitter();
        // SAFETY: no argument is passed, and the flag allows that.
        unsafe { submitter.enter::<libc::sigset_t>(waiting, 0, ENTER_GETEVENTS, None) }
    }

    /// The completion that an entry is; a tick is none.
    fn interpret(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let (token, subject) = Token::of_completion(entry.user_data());
        let more = cqueue::more(entry.flags());
        if !more {
            self.end(token, subject);
        }
        let result = match entry.result() {
            negative @ ..0 => Err(Errno::from_raw_os_error(-negative)),
            count => Ok(count as u32),
        };
        let outcome = match (subject, token.operation) {
            (Subject::Cancellation, _) => Outcome::Cancelled(result.map(drop)),
            (_, Operation::Accept) => Outcome::Accepted(result.map(|descriptor| {
                // SAFETY: the kernel just made this descriptor, and nobody else knows it.
                unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
            })),
            (_, Operation::Receive) => Outcome::Received(self.received(entry, result)),
            (_, Operation::Send) => {
                let parts = self.memory.sends.finish(token);
                Outcome::Sent(parts, result.map(|length| length as usize))
            }
            (_, Operation::Writable) => Outcome::Writable(result.map(can_be_sent_on)),
            (_, Operation::Readable) => Outcome::Readable(result.map(drop)),
            (_, Operation::Ready) => Outcome::Ready,
            (_, Operation::Tick) => return None,
        };
        Some(Completion { token, more, outcome })
    }

    fn end(&mut self, token: Token, subject: Subject) {
        self.in_flight -= 1;
        if subject == Subject::Operation {
            self.sockets.end(token);
        }
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
        const PASSES: usize = 100;
        const PASS: Duration = Duration::from_millis(10);
        self.ticks = false;
        self.in_flight -= self.deferred.len();
        self.enqueued -= self.deferred.drain(..).map(|entries| entries.len() as u64).sum::<u64>();
        let _ = self.submit(Wait::Poll);
        let limit = Timespec::new().sec(1);
        let _ = self.uring.submitter().register_sync_cancel(Some(limit), CancelBuilder::any());
        for _ in 0..PASSES {
            while self.next_completion().is_some() {}
            if self.in_flight == 0 || self.submit(Wait::AtMost(PASS)).is_err() {
                return;
            }
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

/// Limits the kernel threads (`io-wq`) for the rings of the calling thread, where it has one already.
///
/// No operation of ours is meant to run on one. Should a peer bring that about all the same, one
/// thread is the most it gets: the kernel keeps the limit with the thread, not with a ring. An older
/// kernel than 5.15 knows none.
pub(crate) fn limit_kernel_workers() {
    if let Ok(uring) = IoUring::new(1) {
        limit_workers_of(&uring);
    }
}

fn limit_workers_of(uring: &IoUring) {
    let mut bounded_and_unbounded = [1, 1];
    let _ = uring.submitter().register_iowq_max_workers(&mut bounded_and_unbounded);
}

/// Interprets what a poll for writing found: room, or an end that a send will report.
fn can_be_sent_on(events: u32) -> bool {
    const SENDABLE: i16 = libc::POLLOUT | libc::POLLERR | libc::POLLHUP;
    events & SENDABLE as u32 != 0
}
