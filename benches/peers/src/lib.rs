//! What every peer needs: its command line, its CPU, its listener, its word that it is ready.
//!
//! A peer is the best honest short echo server of its I/O model, started as `PEER ADDR [CPU]`.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use rustix::thread::{CpuSet, sched_setaffinity};
use socket2::{Domain, Socket, Type};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Runs a peer on a listener made from the command line; returns only when it failed.
pub fn run(serve: fn(TcpListener) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let (program, address, cpu) = match &arguments[..] {
        [program, address] => (program, address, None),
        [program, address, cpu] => (program, address, Some(cpu)),
        _ => {
            eprintln!("usage: PEER ADDR [CPU]");
            return ExitCode::from(64);
        }
    };
    match start(address, cpu.map(String::as_str)).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(address: &str, cpu: Option<&str>) -> Result<TcpListener, Box<dyn Error>> {
    if let Some(cpu) = cpu {
        pin(cpu.parse().map_err(|_| format!("{cpu:?} is not the number of a CPU"))?)?;
    }
    let address = address.parse().map_err(|_| format!("{address:?} is not IP:PORT"))?;
    let listener =
        listen(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    eprintln!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

fn pin(cpu: usize) -> Result<(), Box<dyn Error>> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(format!("there is no CPU {cpu}").into());
    }
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    sched_setaffinity(None, &cpus).map_err(|error| format!("cannot run on CPU {cpu}: {error}"))?;
    Ok(())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
