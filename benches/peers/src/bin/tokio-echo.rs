//! Asynchronous over readiness: a tokio task for each connection on a current-thread runtime,
//! `tokio-echo ADDR [CPUS]`.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use ringback_peers::{BUFFER_BYTES, is_gone};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn main() -> ExitCode {
    ringback_peers::run(|listener| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        Ok(runtime.block_on(serve(listener))?)
    })
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(echo(stream))),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// An error is the end of this connection, which its peer sees.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        buffer.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        stream.write_all(&buffer).await?;
    }
}
