//! Asynchronous over completion: a tokio-uring task for each connection on one io_uring,
//! `tokio-uring-echo ADDR [CPUS]`.
//!
//! Operations own the buffer that they are given and hand it back with their result.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;

use ringback_peers::{BUFFER_BYTES, is_gone};
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::TcpStream;

fn main() -> ExitCode {
    ringback_peers::run(|listener| {
        // Without the last flag completions interrupt the thread; with DEFER_TASKRUN in its place
        // this runtime would never see them.
        let mut ring = tokio_uring::uring_builder();
        ring.setup_single_issuer().setup_coop_taskrun();
        Ok(tokio_uring::builder().uring_builder(&ring).start(serve(listener))?)
    })
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    let listener = tokio_uring::net::TcpListener::from_std(listener);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio_uring::spawn(echo(stream))),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// An error is the end of this connection, which its peer sees.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (length, received) = stream.read(buffer).await;
        let length = length?;
        if length == 0 {
            return Ok(());
        }
        let (sent, taken_back) = stream.write_all(received.slice(..length)).await;
        sent?;
        buffer = taken_back.into_inner();
    }
}
