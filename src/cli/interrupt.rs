//! Signals to the load generator: the first ends the run with a report, the second ends the
//! program, as does SIGQUIT at once.

use std::io;
use std::process;

use signal_hook::consts::SIGQUIT;

use super::exit_codes::load::{INTERRUPTED, QUIT};
use super::signals::EndSignals;
use crate::load::Interrupt;
use crate::load::study::compare::kill_servers;

/// From now on the first request to end raises the interrupt, and the next one ends the process at
/// once.
///
/// # Errors
///
/// When the handlers or the thread that waits for them cannot be had.
pub(super) fn on_signals(interrupt: Interrupt) -> io::Result<()> {
    EndSignals::catch(&[SIGQUIT])?.watch(move |signal| {
        if interrupt.is_raised() || signal == SIGQUIT {
            // Nothing is dropped on this way out.
            kill_servers();
            let code = if signal == SIGQUIT { QUIT } else { INTERRUPTED };
            process::exit(code.into());
        }
        interrupt.raise();
    })
}
