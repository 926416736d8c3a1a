//! Asynchronous over completion, by hand: one io_uring, `ring-echo ADDR [CPUS]`.
//!
//! The shortest honest server on the `io-uring` crate alone, in the order of liburing's
//! `examples/echo-server.c`. The life of a buffer:
//!
//! 1. The kernel takes it from the ring of provided buffers and receives into it.
//! 2. It joins the queue of its connection; the first of a queue is being sent.
//! 3. When all of it is sent it is provided again.
#![expect(unsafe_code, reason = "a ring by hand: each block says why it is sound")]

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::ExitCode;
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::net::SendFlags;

const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 8192;
/// A power of two.
const BUFFERS: u16 = 4096;
const BUFFER_BYTES: usize = 4 << 10;
/// A connection with so many buffers queued is not received from.
const MAX_QUEUE: usize = 16;

fn main() -> ExitCode {
    ringback_peers::run(|listener| Server::new(listener)?.run())
}

/// Kind of operation a completion is of: in the upper half of its `user_data`, above the
/// descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Operation {
    Accept,
    Receive,
    Send,
    Cancel,
}

struct Server {
    uring: IoUring,
    listener: TcpListener,
    buffers: Buffers,
    /// By the number of their descriptor.
    connections: Vec<Option<Connection>>,
    /// Those that found no buffer.
    starved: VecDeque<i32>,
}

struct Connection {
    /// Closed with the connection.
    _socket: OwnedFd,
    queue: VecDeque<Received>,
    is_receiving: bool,
    is_cancelling: bool,
    is_sending: bool,
    /// The peer's FIN came, or an error: no more is received.
    is_over: bool,
}

/// Bytes of a buffer that are not sent yet.
struct Received {
    buffer: u16,
    start: usize,
    end: usize,
}

impl Server {
    fn new(listener: TcpListener) -> Result<Self, Box<dyn Error>> {
        let uring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(SUBMISSIONS)?;
        let buffers = Buffers::provide(&uring)?;
        let (connections, starved) = (Vec::new(), VecDeque::new());
        Ok(Self { uring, listener, buffers, connections, starved })
    }

    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        self.accept()?;
        let mut completions = Vec::new();
        loop {
            match self.uring.submit_and_wait(1) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                submitted => submitted?,
            };
            completions.extend(self.uring.completion());
            for completion in completions.drain(..) {
                self.handle(&completion)?;
            }
            for _ in 0..self.starved.len().min(self.buffers.free) {
                let descriptor = self.starved.pop_front().expect("there are as many");
                self.advance(descriptor)?;
            }
        }
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<(), Box<dyn Error>> {
        let user_data = completion.user_data();
        let descriptor = user_data as u32 as i32;
        let result = match completion.result() {
            error @ ..0 => Err(Errno::from_raw_os_error(-error)),
            count => Ok(count as usize),
        };
        match user_data >> 32 {
            operation if operation == Operation::Accept as u64 => {
                return self.accepted(result, cqueue::more(completion.flags()));
            }
            operation if operation == Operation::Receive as u64 => {
                self.received(descriptor, result, completion.flags());
            }
            operation if operation == Operation::Send as u64 => self.sent(descriptor, result),
            _ => return Ok(()),
        }
        self.advance(descriptor)
    }

    fn accepted(&mut self, result: Result<usize, Errno>, more: bool) -> Result<(), Box<dyn Error>> {
        match result {
            Ok(descriptor) => {
                if descriptor >= self.connections.len() {
                    self.connections.resize_with(descriptor + 1, || None);
                }
                // SAFETY: the kernel just made this descriptor, for us.
                let socket = unsafe { OwnedFd::from_raw_fd(descriptor as i32) };
                self.connections[descriptor] = Some(Connection::new(socket));
                self.advance(descriptor as i32)?;
            }
            Err(Errno::CONNABORTED) => {}
            Err(error) => return Err(error.into()),
        }
        if more { Ok(()) } else { self.accept() }
    }

    fn received(&mut self, descriptor: i32, result: Result<usize, Errno>, flags: u32) {
        let connection = connection(&mut self.connections, descriptor);
        if !cqueue::more(flags) {
            (connection.is_receiving, connection.is_cancelling) = (false, false);
        }
        if let Some(buffer) = cqueue::buffer_select(flags) {
            self.buffers.free -= 1;
            match result {
                Ok(end @ 1..) => connection.queue.push_back(Received { buffer, start: 0, end }),
                _ => self.buffers.give_back(buffer),
            }
        }
        match result {
            Ok(0) => connection.is_over = true,
            Ok(_) | Err(Errno::CANCELED) => {}
            Err(Errno::NOBUFS) => self.starved.push_back(descriptor),
            Err(_) => connection.is_over = true,
        }
    }

    fn sent(&mut self, descriptor: i32, result: Result<usize, Errno>) {
        let connection = connection(&mut self.connections, descriptor);
        connection.is_sending = false;
        let Ok(length) = result else {
            connection.is_over = true;
            connection.queue.drain(..).for_each(|rest| self.buffers.give_back(rest.buffer));
            return;
        };
        let first = connection.queue.front_mut().expect("it was being sent");
        first.start += length;
        if first.start == first.end {
            self.buffers.give_back(first.buffer);
            connection.queue.pop_front();
        }
    }

    /// Submits what the connection lacks; closes it when it is over and nothing is in flight.
    fn advance(&mut self, descriptor: i32) -> Result<(), Box<dyn Error>> {
        let Some(connection) = &mut self.connections[descriptor as usize] else { return Ok(()) };
        let (fd, mut entries) = (Fd(descriptor), Vec::new());
        if let Some(first) = connection.queue.front().filter(|_| !connection.is_sending) {
            connection.is_sending = true;
            let bytes = self.buffers.bytes(first);
            let send = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32);
            let send = send.flags(SendFlags::NOSIGNAL.bits() as i32).build();
            entries.push((Operation::Send, send));
        }
        let is_full = connection.queue.len() >= MAX_QUEUE;
        if connection.is_receiving && !connection.is_cancelling && (is_full || connection.is_over) {
            connection.is_cancelling = true;
            let target = user_data(Operation::Receive, descriptor);
            entries.push((Operation::Cancel, opcode::AsyncCancel::new(target).build()));
        }
        let may_receive = !connection.is_receiving && !connection.is_over && !is_full;
        if may_receive && self.buffers.free > 0 {
            connection.is_receiving = true;
            entries.push((Operation::Receive, opcode::RecvMulti::new(fd, 0).build()));
        } else if may_receive {
            self.starved.push_back(descriptor);
        }
        if connection.is_over && !connection.is_receiving && !connection.is_sending {
            // Its number may be another's from now on.
            self.starved.retain(|starved| *starved != descriptor);
            self.connections[descriptor as usize] = None;
        }
        entries.into_iter().try_for_each(|(operation, entry)| {
            self.submit(&entry.user_data(user_data(operation, descriptor)))
        })
    }

    fn accept(&mut self) -> Result<(), Box<dyn Error>> {
        let listener = self.listener.as_raw_fd();
        let entry = opcode::AcceptMulti::new(Fd(listener)).build();
        self.submit(&entry.user_data(user_data(Operation::Accept, listener)))
    }

    fn submit(&mut self, entry: &squeue::Entry) -> Result<(), Box<dyn Error>> {
        // SAFETY: an entry points into the buffers at most, which are mapped for good, and a
        // connection's descriptor is not closed while something is in flight for it.
        while unsafe { self.uring.submission().push(entry) }.is_err() {
            self.uring.submit()?;
        }
        Ok(())
    }
}

impl Connection {
    fn new(socket: OwnedFd) -> Self {
        Self {
            _socket: socket,
            queue: VecDeque::new(),
            is_receiving: false,
            is_cancelling: false,
            is_sending: false,
            is_over: false,
        }
    }
}

/// The buffers that the kernel receives into, and the ring through which it is given them.
struct Buffers {
    memory: *mut u8,
    entries: *mut BufRingEntry,
    tail: u16,
    /// Those that no connection has.
    free: usize,
}

impl Buffers {
    fn provide(uring: &IoUring) -> io::Result<Self> {
        let count = usize::from(BUFFERS);
        let entries = map(count * size_of::<BufRingEntry>())?.cast();
        let mut buffers = Self { memory: map(count * BUFFER_BYTES)?, entries, tail: 0, free: 0 };
        // SAFETY: the entries are mapped, on a page of their own, and as many as is said.
        unsafe {
            uring.submitter().register_buf_ring_with_flags(entries as u64, BUFFERS, 0, 0)?;
        }
        (0..BUFFERS).for_each(|buffer| buffers.give_back(buffer));
        Ok(buffers)
    }

    fn bytes(&self, received: &Received) -> &[u8] {
        let start = usize::from(received.buffer) * BUFFER_BYTES + received.start;
        // SAFETY: the kernel received these bytes and does not touch them before they are given
        // back, which who holds a `Received` has not done.
        unsafe { std::slice::from_raw_parts(self.memory.add(start), received.end - received.start) }
    }

    fn give_back(&mut self, buffer: u16) {
        let index = usize::from(self.tail % BUFFERS);
        // SAFETY: the index is within the mapped entries, of which the kernel reads none before
        // the tail is moved past it.
        let entry = unsafe { &mut *self.entries.add(index) };
        // SAFETY: the offset is within the mapped buffers.
        entry.set_addr(unsafe { self.memory.add(usize::from(buffer) * BUFFER_BYTES) } as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, which is mapped and aligned.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
        self.free += 1;
    }
}

/// Memory that stays to the end of the process; it is there before anything is measured.
fn map(length: usize) -> io::Result<*mut u8> {
    let (access, flags) =
        (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::POPULATE);
    // SAFETY: a new mapping at an address of the kernel's choice disturbs nobody.
    Ok(unsafe { mmap_anonymous(ptr::null_mut(), length, access, flags) }?.cast())
}

fn user_data(operation: Operation, descriptor: i32) -> u64 {
    (operation as u64) << 32 | u64::from(descriptor as u32)
}

fn connection(connections: &mut [Option<Connection>], descriptor: i32) -> &mut Connection {
    connections[descriptor as usize].as_mut().expect("it is closed when nothing is in flight")
}
