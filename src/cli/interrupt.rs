//! SIGINT and SIGTERM for the load generator: the first ends the run with a report, the second
//! ends the program.

use std::io;
use std::process;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::load::Interrupt;
use crate::load::compare::kill_servers;

/// What a shell reports of a program that SIGINT ended: 128 and the signal's number.
const EXIT_INTERRUPTED: i32 = 130;

/// From now on the first SIGINT or SIGTERM raises the interrupt, and the next one ends the
/// process at once.
///
/// # Errors
///
/// When the handlers or the thread that waits for them cannot be had.
pub(super) fn on_signals(interrupt: Interrupt) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if interrupt.is_raised() {
                // Nothing is dropped on this way out.
                kill_servers();
                process::exit(EXIT_INTERRUPTED);
            }
            interrupt.raise();
        }
    })?;
    Ok(())
}
