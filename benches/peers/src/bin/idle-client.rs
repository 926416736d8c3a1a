//! Connections that do nothing: `idle-client ADDR CONNECTIONS`.
//!
//! Each exchanges one message, so that the server has made whatever it makes for a connection. Then
//! it says how many are idle and keeps them until it is ended.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;

use ringback_peers::{exit_code, parse_address, parse_count, raise_descriptor_limit, usage};

const MESSAGE: [u8; 64] = [b'x'; 64];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [address, connections] => exit_code(idle(address, connections)),
        _ => usage("idle-client ADDR CONNECTIONS"),
    }
}

fn idle(address: &str, connections: &str) -> Result<(), Box<dyn Error>> {
    let address = parse_address(address)?;
    let connections = parse_count("connections", connections, usize::MAX)?;
    raise_descriptor_limit()?;
    let mut idle = Vec::new();
    for _ in 0..connections {
        let mut socket = TcpStream::connect(address)
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        socket.write_all(&MESSAGE)?;
        socket.read_exact(&mut [0; MESSAGE.len()])?;
        idle.push(socket);
    }
    eprintln!("idle connections: {}", idle.len());
    loop {
        thread::park();
    }
}
