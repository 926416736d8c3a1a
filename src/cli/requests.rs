//! Signals as requests to a server, from before it starts: the first drains it, the second stops
//! it.

use std::io;
use std::process;
use std::time::Instant;

use signal_hook::consts::{SIGTERM, SIGUSR1};
use tracing::info;

use super::signals::EndSignals;
use super::supervisor::{Ending, Stages};

/// Signals that a server takes beside those that end it.
pub const MORE_SIGNALS: [i32; 1] = [SIGUSR1];

/// From now on the signals are requests to the server of these stages. Before its settings are known,
/// which a file may keep waiting for, they end the process.
///
/// # Errors
///
/// When there can be no thread that waits for them.
pub fn on_signals(signals: EndSignals, stages: Stages) -> io::Result<()> {
    signals.watch(move |signal| match signal {
        SIGUSR1 => match stages.counters() {
            Some(counters) => info!("{counters}"),
            None => info!("nothing was counted yet"),
        },
        signal => match stages.drain_delay() {
            None => process::exit(0),
            Some(delay) if signal == SIGTERM => stages.end(Instant::now(), Ending::After(delay)),
            Some(_) => stages.end(Instant::now(), Ending::Now),
        },
    })
}
