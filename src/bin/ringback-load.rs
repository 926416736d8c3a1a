//! The load generator.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use ringback::cli::load::Cli;
use ringback::log;

/// Of a program that cannot begin.
const EXIT_NOTHING: u8 = 1;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match log::start() {
        Ok(_log) => cli.execute().unwrap_or_else(|error| error.report()),
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "ringback-load: cannot start a thread: {error}; raise ulimit -u"
            );
            ExitCode::from(EXIT_NOTHING)
        }
    }
}
