//! Multiplexed: one thread, level-triggered epoll, `epoll-echo ADDR [CPUS]`.
//!
//! One hot buffer for all connections, and two system calls an echo beside the wait, which many
//! connections share.

use std::process::ExitCode;

use ringback_peers::{Connection, multiplexed};

fn main() -> ExitCode {
    ringback_peers::run(multiplexed::serve::<Connection>)
}
