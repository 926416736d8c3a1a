//! Blocking: a thread for each connection, `blocking-echo ADDR [CPUS]`.
//!
//! The kernel's scheduler is the event loop: every message wakes its own thread. A connection costs
//! a thread's kernel stack and a buffer; where no further thread is to be had, the connection that
//! needed it is closed and the others go on.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

use ringback_peers::{BUFFER_BYTES, is_gone};

/// Of address space; a page or two of it is ever used.
const STACK_BYTES: usize = 64 << 10;

fn main() -> ExitCode {
    ringback_peers::run(serve)
}

fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => serve_on_own_thread(stream),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn serve_on_own_thread(stream: TcpStream) {
    // An error is the end of this connection, which its peer sees.
    let body = move || drop(echo(stream));
    if let Err(error) = thread::Builder::new().stack_size(STACK_BYTES).spawn(body) {
        eprintln!("no thread for a connection, closed it: {error}");
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => stream.write_all(&buffer[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
