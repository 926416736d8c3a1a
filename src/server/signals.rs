//! SIGTERM and SIGINT: the first drains, the second stops.

use std::io;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Shutdown;
use crate::say;

/// From now on SIGTERM and SIGINT shut the server down instead of killing the process.
///
/// # Errors
///
/// When the handlers or the thread that waits for them cannot be had.
pub fn shut_down_on_signals(shutdown: Shutdown) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut arrived = signals.forever();
        if arrived.next().is_some() {
            shutdown.drain();
            say("shutting down: finishing what was received; signal again to stop at once");
        }
        for _ in arrived {
            shutdown.stop();
        }
    })?;
    Ok(())
}
