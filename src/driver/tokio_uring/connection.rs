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
use bytes::BytesMut;

use super::bell::Bell;
use super::buffer::Buffer;
use super::{Shared, errno_of};
use crate::driver::copying::{Act, Interest};
use crate::driver::peer;
use crate::driver::slab::Key;
use crate::sys::{Detached, Owned, descriptor_of};

/// An operation in flight; it comes back with its result and its memory.
type Operation<B> = Pin<Box<dyn Future<Output = (io::Result<usize>, B)>>>;

/// A connection and what is in flight for it.
pub(super) struct Connection {
    shared: Rc<Shared>,
    key: Key,
    bell: Rc<Bell>,
    stream: Rc<TcpStream>,
    buffer: Buffer,
    receive: Option<Operation<Vec<u8>>>,
    send: Option<(Operation<BytesMut>, Detached)>,
}

impl Connection {
    /// Takes a blocking socket over: io_uring answers for one that does not block that there is
    /// nothing, instead of waiting.
    pub(super) fn new(shared: Rc<Shared>, key: Key, bell: Rc<Bell>, socket: OwnedFd) -> Self {
        Self {
            key,
            bell,
            stream: Rc::new(TcpStream::from_std(StdStream::from(socket))),
            buffer: Buffer::new(Rc::clone(&shared)),
            receive: None,
            send: None,
            shared,
        }
    }

    /// Serves until the connection is gone.
    pub(super) async fn serve(mut self) {
        while let Some(interest) = self.advance() {
            self.begin(interest);
            self.shared.wake_others();
            poll_fn(|context| self.poll_event(context)).await;
        }
        self.shared.wake_others();
        // A place is free, or the last connection is gone.
        self.shared.reception.ring();
    }

    /// Does what the session says until there is something to wait for; nothing at the end.
    fn advance(&mut self) -> Option<Interest> {
        let mut session = self.shared.session.borrow_mut();
        let now = Instant::now();
        loop {
            let socket = descriptor_of(&self.stream);
            match session.advance(now, self.key) {
                Act::Wait(interest) => return Some(interest),
                Act::Probe => session.handle_probe(now, self.key, peer::probe(socket)),
                Act::SendFin => peer::shut_down_writing(socket),
                Act::Interrupt { is_sending } => {
                    let how = if is_sending { Shutdown::Both } else { Shutdown::Read };
                    // It fails only where the operations have failed already.
                    let _ = self.stream.shutdown(how);
                }
                Act::Close(manner) => {
                    if let Some((account, queued)) = peer::prepare_close(socket, manner) {
                        session.handle_left_behind(account, queued);
                    }
                    return None;
                }
            }
        }
    }

    fn begin(&mut self, interest: Interest) {
        let mut session = self.shared.session.borrow_mut();
        if interest.read && self.receive.is_none() {
            session.begin_receive(self.key);
            let (stream, buffer) = (Rc::clone(&self.stream), self.buffer.lend());
            self.receive = Some(Box::pin(async move { stream.read(buffer).await }));
        }
        if interest.write
            && let Some(part) = session.begin_send(self.key)
        {
            let (bytes, detached) = part.detach();
            self.send = Some((Box::pin(self.stream.write(bytes).submit()), detached));
        }
    }

    /// Ready when something happened that may change what to do next.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut has_happened = self.bell.poll(context).is_ready();
        if let Some(receive) = &mut self.receive
            && let Poll::Ready((result, buffer)) = receive.as_mut().poll(context)
        {
            self.receive = None;
            self.handle_received(result, buffer);
            has_happened = true;
        }
        if let Some((send, detached)) = &mut self.send
            && let Poll::Ready((result, bytes)) = send.as_mut().poll(context)
        {
            let part = Owned::attach(bytes, *detached);
            self.send = None;
            let mut session = self.shared.session.borrow_mut();
            session.send_ended(
                Instant::now(),
                self.key,
                part,
                result.map_err(|error| errno_of(&error)),
            );
            has_happened = true;
        }
        if has_happened { Poll::Ready(()) } else { Poll::Pending }
    }

    fn handle_received(&mut self, result: io::Result<usize>, buffer: Vec<u8>) {
        let mut session = self.shared.session.borrow_mut();
        let now = Instant::now();
        match &result {
            Ok(0) => session.handle_eof(now, self.key),
            // A send takes its time here: what is forwarded waits for it.
            Ok(length) => {
                session.handle_received(now, self.key, &buffer[..*length], &mut |_| Ok(0));
            }
            Err(error) => session.receive_ended(self.key, errno_of(error)),
        }
        self.buffer.take_back(buffer, result.unwrap_or(0));
    }
}
