//! Non-blocking: one thread asks every socket in turn and never waits,
//! `nonblocking-echo ADDR [CPUS]`.
//!
//! It burns its CPU whether there is something to do or not: that is the model. What it spends on a
//! message is what time there was, divided by the messages, so its CPU a message says nothing. With
//! one busy connection nothing answers sooner; with many, each waits until all others were asked.

use std::error::Error;
use std::net::TcpListener;
use std::process::ExitCode;

use ringback_peers::{BUFFER_BYTES, Connection, Echo, Fate, accept};

fn main() -> ExitCode {
    ringback_peers::run(serve)
}

fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        connections.extend(accept(&listener)?);
        connections.retain_mut(|connection| connection.serve(&mut buffer) == Fate::Open);
    }
}
