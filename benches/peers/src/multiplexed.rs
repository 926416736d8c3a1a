//! One thread over level-triggered epoll, for connections of any kind.

use std::error::Error;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::connection::{Echo, Fate, accept};
use crate::{BUFFER_BYTES, EVENTS};

/// No connection has this descriptor.
const LISTENER: u64 = u64::MAX;

/// Serves what connects, as `E` does it; returns only when it failed.
pub fn serve<E: Echo>(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    Server::<E>::new(listener)?.run()
}

struct Server<E> {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By the number of their descriptor.
    connections: Vec<Option<E>>,
    buffer: Vec<u8>,
}

impl<E: Echo> Server<E> {
    fn new(listener: TcpListener) -> Result<Self, Box<dyn Error>> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let buffer = vec![0; BUFFER_BYTES];
        Ok(Self { epoll, listener, connections: Vec::new(), buffer })
    }

    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        loop {
            let (ready, _) = match epoll::wait(&self.epoll, &mut events, None) {
                Err(Errno::INTR) => continue,
                ready => ready?,
            };
            for event in ready {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    descriptor => self.serve(descriptor as usize)?,
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), Errno> {
        while let Some(connection) = accept::<E>(&self.listener)? {
            let descriptor = connection.as_fd().as_raw_fd() as usize;
            let data = EventData::new_u64(descriptor as u64);
            epoll::add(&self.epoll, &connection, data, EventFlags::IN)?;
            if descriptor >= self.connections.len() {
                self.connections.resize_with(descriptor + 1, || None);
            }
            self.connections[descriptor] = Some(connection);
        }
        Ok(())
    }

    fn serve(&mut self, descriptor: usize) -> Result<(), Errno> {
        let Some(connection) = &mut self.connections[descriptor] else { return Ok(()) };
        let was_sending = connection.is_sending();
        if connection.serve(&mut self.buffer) == Fate::Closed {
            // Closing the descriptor takes it out of the epoll set.
            self.connections[descriptor] = None;
        } else if connection.is_sending() != was_sending {
            let interest = if was_sending { EventFlags::IN } else { EventFlags::OUT };
            let data = EventData::new_u64(descriptor as u64);
            epoll::modify(&self.epoll, &*connection, data, interest)?;
        }
        Ok(())
    }
}
