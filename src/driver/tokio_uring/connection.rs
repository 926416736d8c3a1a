//! The task of one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Shutdown, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use ::tokio_uring::net::TcpStream;
use rustix::io::{Errno, retry_on_intr};

use super::receive_buffer::ReceiveBuffer;
use super::waker::Waker;
use super::{Shared, errno_of};
use crate::driver::connection::{Action, Interest};
use crate::driver::peer;
use crate::driver::slab::Key;
use crate::protocol::Protocol;
use crate::sys::{Watched, descriptor_of};

/// A receive in flight; it comes back with its result and its memory.
type Receive = Pin<Box<dyn Future<Output = (io::Result<usize>, Vec<u8>)>>>;

/// A connection and what is in flight for it.
///
/// Sends are plain system calls that never wait. Those of the runtime wait in the kernel, on a
/// thread of its own for each peer that has half-closed, and cannot be told not to. A receive waits by
/// poll, but the kernel may give one that meets an urgent byte to a thread as well (seen on 6.18):
/// there is at most one for each worker, whatever its peers do.
pub(super) struct Connection<P: Protocol> {
    shared: Rc<Shared<P>>,
    key: Key,
    waker: Rc<Waker>,
    stream: Rc<TcpStream>,
    buffer: ReceiveBuffer,
    receive: Option<Receive>,
    is_interrupted: bool,
    is_full: bool,
    /// The watch for room to send into, made when there was none for the first time.
    writable: Option<Watched<Rc<TcpStream>>>,
}

impl<P: Protocol> Connection<P> {
    /// Takes a blocking socket over: io_uring answers for one that does not block that there is
    /// nothing, instead of waiting.
    pub(super) fn new(shared: Rc<Shared<P>>, key: Key, waker: Rc<Waker>, socket: OwnedFd) -> Self {
        Self {
            key,
            waker,
            stream: Rc::new(TcpStream::from_std(StdStream::from(socket))),
            buffer: ReceiveBuffer::new(Rc::clone(&shared.large_buffers)),
            receive: None,
            is_interrupted: false,
            is_full: false,
            writable: None,
            shared,
        }
    }

    /// Serves until the connection is gone.
    pub(super) async fn serve(mut self) {
        while let Some(interest) = self.advance() {
            self.start_receive(interest);
            self.shared.end_turn();
            poll_fn(|context| self.poll_event(context)).await;
        }
        self.shared.end_turn();
        // There is room for another, or the last connection is gone.
        self.shared.accept_task.wake();
    }

    /// Does what the connection needs until there is something to wait for; nothing at the end.
    fn advance(&mut self) -> Option<Interest> {
        let shared = Rc::clone(&self.shared);
        let mut connections = shared.connections.borrow_mut();
        let (now, key) = (Instant::now(), self.key);
        while let Some(action) = connections.advance(now, key, self.buffer.shared()) {
            let socket = descriptor_of(&self.stream);
            match action {
                Action::Probe => {
                    // See `Sending::try_again` of the native driver.
                    self.is_full = false;
                    connections.handle_probe(now, key, peer::probe(socket));
                }
                Action::SendFin => peer::shut_down_writing(socket),
                Action::Wait(interest) if interest.write && !self.is_full => {
                    let connection = connections.get_mut(key).expect("it was just advanced");
                    let parts = connection.take_outgoing(peer::MAX_PARTS);
                    let buffer = self.buffer.shared();
                    let sent = retry_on_intr(|| peer::send(socket, &parts, buffer));
                    self.is_full =
                        sent.map_or_else(|error| error == Errno::AGAIN, |sent| sent < parts.len());
                    connections.handle_sent(now, key, parts, sent, buffer);
                }
                Action::Wait(interest) => {
                    connections.settle(now, key, interest.read, self.buffer.shared());
                    return Some(interest);
                }
                Action::Close(_) if self.receive.is_some() => {
                    connections.settle(now, key, false, self.buffer.shared());
                    self.interrupt();
                    return Some(Interest { read: false, write: false });
                }
                Action::Close(mode) => {
                    let unacknowledged = peer::prepare_close(socket, mode);
                    connections.remove(now, key, unacknowledged);
                    return None;
                }
            }
        }
        None
    }

    /// Makes the receive in flight end. Dropping it would leave its memory to the kernel.
    fn interrupt(&mut self) {
        if !std::mem::replace(&mut self.is_interrupted, true) {
            // It fails only where the receive has failed already.
            let _ = self.stream.shutdown(Shutdown::Read);
        }
    }

    fn start_receive(&mut self, interest: Interest) {
        if interest.read && self.receive.is_none() {
            let (stream, memory) = (Rc::clone(&self.stream), self.buffer.lend());
            self.receive = Some(Box::pin(async move { stream.read(memory).await }));
        }
    }

    /// Ready when something happened that may change what to do next.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut has_happened = self.waker.poll(context).is_ready();
        if let Some(receive) = &mut self.receive
            && let Poll::Ready((result, memory)) = receive.as_mut().poll(context)
        {
            self.receive = None;
            self.handle_received(result, memory);
            has_happened = true;
        }
        if self.is_full && self.poll_writable(context).is_ready() {
            self.is_full = false;
            has_happened = true;
        }
        if has_happened { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready when the socket may have room. Where it cannot be watched the connection fails.
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let polled = match &self.writable {
            Some(watched) => watched.poll_writable(context),
            None => Watched::writable(Rc::clone(&self.stream))
                .and_then(|watched| self.writable.insert(watched).poll_writable(context)),
        };
        match polled {
            Ok(polled) => polled,
            Err(error) => {
                let error = errno_of(&error);
                self.shared.connections.borrow_mut().handle_failure(self.key, error);
                Poll::Ready(())
            }
        }
    }

    fn handle_received(&mut self, result: io::Result<usize>, memory: Vec<u8>) {
        let mut connections = self.shared.connections.borrow_mut();
        self.buffer.take_back(memory);
        match result {
            Ok(0) => connections.handle_eof(self.key),
            Ok(length) => {
                let (now, key) = (Instant::now(), self.key);
                let span = self.buffer.shared().lease(length);
                connections.handle_received(now, key, span, self.buffer.shared());
                self.buffer.fit(length);
            }
            Err(error) => connections.handle_failure(self.key, errno_of(&error)),
        }
    }
}
