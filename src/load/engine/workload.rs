//! The content of a run's messages, one for all its threads.

use std::net::TcpStream;

use super::connection::Connection;
use super::pattern::{Pattern, Position};
use super::wire::{self, Wire};
use crate::load::config::part::Part;
use crate::load::config::sizes::{SizeDraw, Sizes};
use crate::load::config::{Config, Protocol};

/// The bytes and the lengths of messages, and how a connection carries them.
pub(crate) struct Workload {
    pub(crate) pattern: Pattern,
    pub(crate) sizes: Sizes,
    seed: u64,
    part: Part,
    protocol: Protocol,
    depth: usize,
    messages_per_connection: u64,
}

impl Workload {
    pub(crate) fn of(config: &Config) -> Self {
        let longest_slice = wire::longest_slice(config.protocol, config.sizes.largest());
        Self {
            pattern: Pattern::new(config.seed, longest_slice),
            sizes: config.sizes.clone(),
            seed: config.seed,
            part: config.share(),
            protocol: config.protocol,
            depth: config.depth,
            messages_per_connection: config.reconnect.unwrap_or(u64::MAX),
        }
    }

    /// Connection number `number` of this generator, over a connected, non-blocking socket. The first
    /// ones carry the bytes that they would if one generator made the whole run.
    pub(crate) fn connection(&self, number: usize, socket: TcpStream) -> Connection {
        let number = self.part.number_in_run(number);
        let wire = Wire::new(self.protocol, self.depth, Position::start_of(number));
        let sizes = SizeDraw::new(self.seed, number);
        Connection::new(socket, wire, sizes, self.depth, self.messages_per_connection)
    }
}
