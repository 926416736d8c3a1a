//! Multiplexed: one thread, poll(2), `poll-echo ADDR [CPUS]`.
//!
//! The kernel is handed the whole list of connections every time and looks at each of them: the
//! cost of a wait grows with the connections there are, not with those that are ready.

use std::error::Error;
use std::net::TcpListener;
use std::process::ExitCode;

use ringback_peers::{BUFFER_BYTES, Connection, Echo, Fate, accept};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

fn main() -> ExitCode {
    ringback_peers::run(serve)
}

fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let mut connections = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut ready = Vec::new();
    loop {
        let has_newcomers = wait(&listener, &connections, &mut ready)?;
        // From the end: what takes the place of one that is closed has had its turn.
        for index in ready.drain(..).rev() {
            if connections[index].serve(&mut buffer) == Fate::Closed {
                connections.swap_remove(index);
            }
        }
        while has_newcomers && let Some(connection) = accept(&listener)? {
            connections.push(connection);
        }
    }
}

/// Waits until something is ready; leaves the places of the ready connections in `ready`, in
/// ascending order, and returns whether there are newcomers.
///
/// The list borrows every descriptor, so it is made anew for each wait: eight bytes a connection,
/// little beside what the kernel does with them.
fn wait(
    listener: &TcpListener,
    connections: &[Connection],
    ready: &mut Vec<usize>,
) -> Result<bool, Errno> {
    let mut list = Vec::with_capacity(1 + connections.len());
    list.push(PollFd::new(listener, PollFlags::IN));
    list.extend(connections.iter().map(|connection| {
        let interest = if connection.is_sending() { PollFlags::OUT } else { PollFlags::IN };
        PollFd::new(connection, interest)
    }));
    match poll(&mut list, None) {
        Err(Errno::INTR) => return Ok(false),
        count => count?,
    };
    let is_ready = |entry: &PollFd<'_>| !entry.revents().is_empty();
    ready.extend((0..connections.len()).filter(|index| is_ready(&list[index + 1])));
    Ok(is_ready(&list[0]))
}
