//! ringback: a TCP echo server on io_uring, and the instrument that measures it.
//!
//! This page is the map of the source. Two programs stand on one library: `ringback` serves,
//! [`ringback-load`](load) measures.
//!
//! # Layers
//!
//! ```text
//!  bin/ringback            bin/ringback-load
//!      │                          │
//!    server ──────┐             load
//!      │          │               │
//!    driver ── lifecycle          │
//!     │   ╲       │               │
//!    sys   ╲── protocol ──────────┘
//! ```
//!
//! An arrow points down only, and these are the rules that keep each layer honest:
//!
//! - [`protocol`] knows bytes: no sockets, clocks, threads, allocation per message. It is what the
//!   fuzzers attack.
//! - `lifecycle` knows what a connection may do next: watermarks, deadlines, drain. Pure as well:
//!   time is an argument.
//! - `sys` is the only place with `unsafe`. Its `Ring` owns every buffer that an operation in
//!   flight names, so its safe interface cannot touch memory the kernel may write. It knows nothing
//!   of protocols.
//! - `driver` moves bytes between the kernel and the core on one CPU. What a connection does is
//!   decided once, in `driver::connection` and `driver::connections`, over leases of whatever
//!   buffers a driver receives into; the three drivers make system calls in their order. The loops of
//!   the native and of the epoll driver are generic over a `Kernel` each, so the simulation in `testing`
//!   runs the loops that serve.
//! - [`server`] owns listeners, workers, placement and shutdown.
//! - [`doctor`] checks a host as a server would, and reports what it lacks.
//! - [`load`] is the instrument. It shares the protocol core and nothing else with the server: an
//!   instrument must not share the bugs of what it measures. (Of `sys` it uses what its own sockets
//!   and the processes that it starts need and no safe wrapper has.)
//! - [`address`], `cgroup`, [`cpus`] and `sockets` are facts about the host, as the kernel shows
//!   them; every layer may ask them.
//! - [`cli`] turns words into configurations and carries them out, for both programs. It is above
//!   everything else, and the only place that knows both server and instrument: the server that
//!   `ringback-load` embeds is started there. Signals are its business too.
//! - [`mod@log`] and [`units`] are below everything else: lines for the operator, which no thread waits
//!   to write, and numbers with units as people write them.
//!
//! # The way of a message
//!
//! 1. The kernel picks a buffer from the worker's ring of receive buffers, writes the bytes, and
//!    posts a completion.
//! 2. `sys::Ring` hands the bytes out as a lease: readable, and out of the kernel's reach.
//! 3. `driver::uring` finds the connection by slot and generation; when it has its turn,
//!    `driver::connection` shows the bytes to its protocol core.
//! 4. The core answers with ranges of the received stream: [`Output::Forward`] these,
//!    [`Output::Discard`] those.
//! 5. Forwarded parts, still in the buffer they were received into, move into the connection's one
//!    send, coalesced with everything else that is ready. It takes what the socket has room for and
//!    never waits.
//! 6. When the send completes, the leases are recycled, and the buffer returns to the kernel. What
//!    was not sent waits for room, copied out of its buffer unless it fills a good part of that.
//!
//! No byte of a raw message or of a frame that arrives whole is copied by us while its peer reads.
//!
//! # To measure
//!
//! [`guide::measuring`] says what the verdicts promise, and each cause of an invalid measurement;
//! [`guide::many_hosts`] makes one measurement of many generators.
//!
//! # To operate
//!
//! [`guide::operating`] is for whoever runs the server: settings, probes and metrics, restarts, the
//! sandbox.
//!
//! # Words
//!
//! | word | idea |
//! | --- | --- |
//! | core | the state machine of one connection's protocol: bytes in, ranges of the stream out |
//! | lease | the only right to read received bytes in a buffer that the kernel has given up |
//! | owned bytes | bytes copied out of their buffer, or made by the core, in memory of our own |
//! | part | a stretch of bytes to decide on or to send: a lease or owned bytes |
//! | part of a run | the share of it that one of several generators makes, on hosts of their own |
//! | control bytes | bytes that the core makes itself, such as a PONG or a GOAWAY |
//! | forward, discard | the core's two decisions on received bytes: send them back, release them |
//! | dirty | a connection that has something to do when its worker next goes through them |
//! | turn | a connection's chance to work, bounded by a budget so that others get theirs |
//! | window | receive buffers that the kernel holds at a time: few, so that they stay in cache |
//! | spill | memory of our own for bytes that wait for their peer or for the rest of a frame |
//! | eviction | the end of the connection whose bytes × time in the spill is largest, when that is full |
//! | throttle | to stop reading a peer from the high-water mark of unsent bytes to the low one |
//! | permit | an admitted connection's place in the limits; given back when it ends |
//! | overflow | connections beyond the limits, accepted only to be refused as busy |
//! | hold-off | a listener that closes drops new handshakes, so that closing resets nobody |
//! | accept mode | a worker's decision on its listeners: accept, pause, or close |
//! | drain | the orderly end of a server: no new connections, received bytes answered, then FIN |
//! | quiet | a drained connection without input or pending bytes for this long is finished |
//! | linger | dropping input after our FIN, so that a close does not reset a peer that reads |
//! | idle | nothing received from the peer or acknowledged by it for the idle timeout |
//! | stall | bytes pending, and the peer acknowledged none of them for the stall timeout |
//! | probe | a question to the kernel: how much did the peer acknowledge, and is it over |
//! | loss | bytes that a shutdown kept from a peer that should have had them; exit code 1 |
//! | generation | the number that distinguishes a completion for an earlier user of a slot |
//!
//! # To build another service on this
//!
//! Implement [`protocol::Protocol`] and start a [`server::Server`] of it: everything below and above
//! stays. `examples/ping_server.rs` does so with the `PING` of Redis; the others in `examples/` show
//! the client's core over a plain socket, a server inside a test, and a test that fails when a latency
//! does.
//!
//! [`Output::Forward`]: protocol::Output::Forward
//! [`Output::Discard`]: protocol::Output::Discard

#![cfg_attr(
    not(all(feature = "server", feature = "load")),
    allow(dead_code, unused_imports, reason = "facts about the host are read for both")
)]

// Sizes in bytes are multiplied and added as `usize`, tokens carry 64 bits.
#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "ringback reckons sizes with 64 bits, which this target does not have: \
     build for a 64-bit one, such as x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu"
);

pub mod address;
mod cgroup;
pub mod cli;
pub mod cpus;
#[cfg(feature = "server")]
pub mod doctor;
#[cfg(feature = "server")]
mod driver;
pub mod guide;
#[cfg(feature = "server")]
mod lifecycle;
#[cfg(feature = "load")]
pub mod load;
pub mod log;
#[cfg(feature = "server")]
pub mod metrics;
pub mod protocol;
#[cfg(feature = "server")]
pub mod server;
mod sockets;
mod sys;
#[doc(hidden)]
#[cfg(feature = "server")]
pub mod testing;
pub mod units;
