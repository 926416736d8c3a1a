//! The load generator.

use std::process::ExitCode;

use clap::Parser;
use ringback::cli::load::Cli;

fn main() -> ExitCode {
    Cli::parse().execute().unwrap_or_else(|error| error.report())
}
