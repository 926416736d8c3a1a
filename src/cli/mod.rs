//! The command lines: parsed low, resolved high.
//!
//! A module per program turns words into what the libraries take, checks what can be checked
//! before anything starts, and names cause and fix when it cannot be done.

pub mod addresses;
#[cfg(feature = "server")]
pub mod doctor;
#[cfg(feature = "load")]
mod gate;
#[cfg(feature = "load")]
mod interrupt;
#[cfg(feature = "load")]
pub mod load;
#[cfg(feature = "load")]
mod placement;
#[cfg(feature = "load")]
mod progress;
#[cfg(feature = "load")]
mod rates;
#[cfg(feature = "server")]
pub mod requests;
#[cfg(feature = "server")]
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
