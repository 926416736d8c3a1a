//! Asynchronous over completion: a monoio task for each connection on one io_uring,
//! `monoio-echo ADDR [CPUS]`.
//!
//! Operations own the buffer that they are given and hand it back with their result.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use monoio::{IoUringDriver, RuntimeBuilder};
use ringback_peers::{BUFFER_BYTES, is_gone};

fn main() -> ExitCode {
    ringback_peers::run(|listener| {
        let mut runtime = RuntimeBuilder::<IoUringDriver>::new().build()?;
        Ok(runtime.block_on(serve(listener))?)
    })
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    let listener = monoio::net::TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(monoio::spawn(echo(stream))),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// An error is the end of this connection, which its peer sees.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (length, received) = stream.read(buffer).await;
        if length? == 0 {
            return Ok(());
        }
        let (sent, taken_back) = stream.write_all(received).await;
        sent?;
        buffer = taken_back;
    }
}
