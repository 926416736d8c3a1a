//! Parts that every peer needs: its command line, its CPU, its listener, its word that it is ready.
//!
//! A peer is the best honest short echo server of its I/O model, started as `PEER ADDR [CPUS]`; with
//! several CPUs, as in `0,1`, it serves on a thread and with a listener for each:
//!
//! | model | peers |
//! | --- | --- |
//! | blocking | `blocking-echo` |
//! | non-blocking | `nonblocking-echo` |
//! | multiplexed | `poll-echo`, `epoll-echo`, `splice-echo`, `framed-echo` |
//! | asynchronous | `tokio-echo`, `monoio-echo`, `tokio-uring-echo`, `ring-echo` |
//!
//! All are right in the same way: what arrives goes back once and in order, a half-closed peer gets
//! the rest and then a FIN, a reset ends its connection alone, and a peer that does not read is not
//! read from. None has limits, timeouts or a drain: that is what a server is for. One that cannot
//! accept any more says why and ends, since a measurement with fewer connections is another one.
//!
//! `epoll-client` is their counterpart: what a closed loop costs at least. `floor` is what the kernel
//! costs both, and `idle-client` has connections that cost nothing but memory.
//!
//! glommio is not among them. It takes a listener over only through `unsafe`, compiles a liburing of
//! its own with a C compiler, and would more than double what this package depends on.

mod connection;
mod load;
pub mod multiplexed;

pub use connection::{Connection, Echo, Fate, accept, receive_some, send_some};
pub use load::{Client, Load, Meter, parse_count};

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::{self, ExitCode};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use socket2::{Domain, Socket, Type};

/// Bytes a peer reads at once: the longest message of the usual measurements.
pub const BUFFER_BYTES: usize = 64 << 10;

/// Events that a peer takes from epoll at once.
pub const EVENTS: usize = 512;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

type Serve = fn(TcpListener) -> Result<(), Box<dyn Error>>;

/// Runs a peer on listeners made from the command line; returns only when it failed.
pub fn run(serve: Serve) -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[..] {
        [_, address] => exit_code(serve_on(address, &[], serve)),
        [_, address, cpus] => {
            let cpus: Vec<&str> = cpus.split(',').collect();
            exit_code(serve_on(address, &cpus, serve))
        }
        _ => usage("PEER ADDR [CPU[,CPU]...]"),
    }
}

/// Says how a program is called, and ends as `sysexits.h` has it.
pub fn usage(line: &str) -> ExitCode {
    eprintln!("usage: {line}");
    ExitCode::from(64)
}

/// How a program ends, and why if it failed.
pub fn exit_code(outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", std::env::args().next().unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

/// Keeps this thread, and those that it will start, on one CPU.
pub fn pin(cpu: &str) -> Result<(), Box<dyn Error>> {
    let number: usize = cpu.parse().map_err(|_| format!("{cpu:?} is not the number of a CPU"))?;
    if number >= CpuSet::MAX_CPU {
        return Err(format!("there is no CPU {number}").into());
    }
    let mut cpus = CpuSet::new();
    cpus.set(number);
    sched_setaffinity(None, &cpus)
        .map_err(|error| format!("cannot run on CPU {number}: {error}"))?;
    Ok(())
}

/// Lets this process have as many descriptors as it may give itself.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Reads an address as peers are given it.
pub fn parse_address(text: &str) -> Result<SocketAddr, Box<dyn Error>> {
    Ok(text.parse().map_err(|_| format!("{text:?} is not IP:PORT"))?)
}

/// Returns whether a failed accept concerns that one connection only, whose peer has already left.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}

/// Serves on the first of the CPUs, and on a thread for each of the others.
fn serve_on(address: &str, cpus: &[&str], serve: Serve) -> Result<(), Box<dyn Error>> {
    raise_descriptor_limit()?;
    let address = parse_address(address)?;
    if let [first, ..] = cpus {
        pin(first)?;
    }
    let others = cpus.get(1..).unwrap_or_default();
    let listener = listen(address, !others.is_empty())
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    for cpu in others {
        let (cpu, listener) = ((*cpu).to_owned(), listen(address, true)?);
        thread::spawn(move || {
            // With one worker less it would be another server.
            exit_code(pin(&cpu).and_then(|()| serve(listener)));
            process::exit(1);
        });
    }
    // Not before all do: who connects now may reach any.
    eprintln!("listening on {address}");
    serve(listener)
}

/// Connections inherit TCP_NODELAY from their listener (tcp(7) of Linux), which saves each a call.
fn listen(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
