//! A server inside a test: on a free port, in this process, gone at its end.
//!
//! ```text
//! cargo test --example embedded_server
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use ringback::server::{Config, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::new(vec!["127.0.0.1:0".parse()?]);
    let server = Server::start(&config)?;
    let reply = echo(server.local_addresses()[0], b"Hello, world")?;
    assert_eq!(reply, b"Hello, world");
    server.stop()?;
    Ok(())
}

/// Stands for the code under test.
fn echo(address: SocketAddr, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(message)?;
    socket.shutdown(Shutdown::Write)?;
    let mut reply = Vec::new();
    socket.read_to_end(&mut reply)?;
    Ok(reply)
}

#[test]
fn every_byte_comes_back_and_is_counted() {
    let mut config = Config::new(vec!["127.0.0.1:0".parse().expect("an address")]);
    // Where io_uring is blocked, as in most containers, epoll serves.
    config.choose_driver();
    let server = Server::start(&config).expect("a loopback port is free");
    let message = vec![7; 1 << 20];
    assert!(echo(server.local_addresses()[0], &message).expect("it echoes") == message);
    let counters = server.stop().expect("no worker fails");
    assert_eq!((counters.bytes_received, counters.bytes_sent), (1 << 20, 1 << 20));
    assert!(!counters.has_losses());
}
