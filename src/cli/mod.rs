//! The command lines: parsed low, resolved high.
//!
//! A module per program turns words into what the libraries take, checks what can be checked
//! before anything starts, and names cause and fix when it cannot be done.

pub mod addresses;
#[cfg(feature = "server")]
pub mod doctor;
#[cfg(feature = "server")]
mod endpoint;
pub mod exit_codes;
#[cfg(feature = "load")]
mod gate;
#[cfg(feature = "server")]
pub mod health;
#[cfg(feature = "load")]
mod interrupt;
#[cfg(feature = "load")]
pub mod load;
#[cfg(feature = "load")]
mod look;
pub mod manual;
mod mistakes;
#[cfg(feature = "load")]
mod moment;
#[cfg(feature = "load")]
mod placement;
#[cfg(feature = "load")]
mod progress;
#[cfg(feature = "load")]
mod rates;
#[cfg(feature = "server")]
pub mod requests;
#[cfg(feature = "server")]
pub mod sandbox;
#[cfg(feature = "server")]
pub mod serve;
#[cfg(feature = "server")]
pub mod settings;
pub mod signals;
#[cfg(feature = "server")]
pub mod supervisor;
#[cfg(feature = "server")]
pub mod systemd;
mod version;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::Command;

/// Prints help, the version, or what is wrong with a command line of this program; returns how it
/// ends: with 0, with `usage`, or with 1 when what was asked for could not be written. Whoever closes
/// the pipe has what it wanted.
pub fn print(message: &clap::Error, cli: &Command, usage: u8) -> ExitCode {
    let program = cli.get_name();
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(version) = version::asked_for(program, &arguments) {
        let written = io::stdout().write_all(version.as_bytes());
        return ended(written, program);
    }
    if let Some(remedy) = mistakes::explain(message, cli, &arguments) {
        let _ = writeln!(io::stderr(), "{program}: {remedy}");
        return ExitCode::from(usage);
    }
    let written = message.print().and_then(|()| io::stdout().flush());
    if message.use_stderr() { ExitCode::from(usage) } else { ended(written, program) }
}

/// The end of a program that wrote to stdout what was asked for, or could not.
fn ended(written: io::Result<()>, program: &str) -> ExitCode {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "{program}: cannot write to stdout: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Logs a notice of a server that serves.
#[cfg(feature = "server")]
pub fn log_notice(notice: &crate::server::Notice) {
    match notice {
        crate::server::Notice::Note(text) => tracing::info!("note: {text}"),
        crate::server::Notice::Warning(text) => tracing::warn!("{text}"),
    }
}
