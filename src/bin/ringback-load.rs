//! The load generator.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use ringback::cli::{self, load::Cli};
use ringback::log;

/// Of a program that cannot begin.
const EXIT_NOTHING: u8 = 1;
/// Of a command line that is not possible.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => return cli::print(&message, "ringback-load", EXIT_USAGE),
    };
    match log::start(log::Options::text("ringback-load")) {
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
