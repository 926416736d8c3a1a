//! The command lines: parsed low, resolved high.
//!
//! A module per program turns words into what the libraries take, checks what can be checked
//! before anything starts, and names cause and fix when it cannot be done.

pub mod addresses;
pub mod doctor;
mod gate;
mod interrupt;
pub mod load;
mod placement;
mod progress;
mod rates;
pub mod requests;
pub mod serve;
pub mod signals;

use std::io::{self, ErrorKind, Write};

/// Prints help, the version, or what is wrong with a command line.
///
/// # Errors
///
/// When it could not be written, unless its reader is gone: that one has what it wanted.
pub fn print(message: &clap::Error) -> io::Result<()> {
    match message.print().and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
