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
            Some(delay) if signal == SIGTERM => end(&stages, Ending::After(delay)),
            Some(_) => end(&stages, Ending::Now),
        },
    })
}

fn end(stages: &Stages, ending: Ending) {
    // First: what workers have to say of it follows.
    if !stages.is_ending() {
        match ending {
            Ending::After(delay) if !delay.is_zero() => {
                info!(
                    "leaving: serving on for {delay:?}, then draining; signal again to stop at once"
                );
            }
            _ => info!("shutting down: finishing what was received; signal again to stop at once"),
        }
    }
    stages.end(Instant::now(), ending);
}
