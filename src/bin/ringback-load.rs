//! The load generator.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use ringback::cli::exit_codes::load as exit_codes;
use ringback::cli::{self, load::Cli};
use ringback::log;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => return cli::print(&message, &Cli::command(), exit_codes::USAGE),
    };
    match log::start(log::Options::text("ringback-load")) {
        Ok(_log) => cli.execute().unwrap_or_else(|error| error.report()),
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "ringback-load: cannot start a thread: {error}; raise ulimit -u"
            );
            ExitCode::from(exit_codes::NOTHING)
        }
    }
}
