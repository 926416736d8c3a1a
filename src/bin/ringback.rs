//! The echo server.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use ringback::cli::doctor::Doctor;
use ringback::cli::serve::{Cli, Command, Serve};
use ringback::doctor::Diagnosis;
use ringback::say;
use ringback::server::{Server, StartError, shut_down_on_signals};

/// Exit codes of `sysexits.h`, and 1 for a shutdown with losses.
mod exit {
    pub(super) const LOSSES: u8 = 1;
    pub(super) const USAGE: u8 = 64;
    pub(super) const UNAVAILABLE: u8 = 69;
    pub(super) const INTERNAL: u8 = 70;
}

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { command: Command::Serve(options) }) => serve(&options),
        Ok(Cli { command: Command::Doctor(options) }) => examine(&options),
        Err(usage) => {
            let code = if usage.use_stderr() { exit::USAGE } else { 0 };
            // Nobody is left to be told when the terminal is gone.
            let _ = usage.print();
            ExitCode::from(code)
        }
    }
}

fn serve(options: &Serve) -> ExitCode {
    let (config, warnings) = options.resolve();
    for warning in warnings {
        say(format_args!("warning: {warning}"));
    }
    if options.check {
        return match config.check() {
            Ok(()) => {
                say(format_args!("the configuration is valid; {}", config.memory_bound()));
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string(), exit::USAGE),
        };
    }
    let server = match Server::start(&config) {
        Ok(server) => server,
        Err(error) => return fail(&error.to_string(), exit_code_of(&error)),
    };
    if let Err(error) = shut_down_on_signals(server.shutdown()) {
        let error = StartError::System(error);
        return fail(&error.to_string(), exit_code_of(&error));
    }
    say(server.description());
    for address in server.local_addresses() {
        say(format_args!("listening on {address}"));
    }
    match server.wait() {
        Ok(counters) => {
            say(counters);
            ExitCode::from(if counters.has_losses() { exit::LOSSES } else { 0 })
        }
        Err(error) => {
            say(&error.counters);
            fail(&error.to_string(), exit::INTERNAL)
        }
    }
}

fn examine(options: &Doctor) -> ExitCode {
    let diagnosis = Diagnosis::of_this_host();
    match io::stdout().write_all(options.report(&diagnosis).as_bytes()) {
        // Whoever closes the pipe has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write the report: {error}"), exit::INTERNAL)
        }
        _ if diagnosis.is_ok() => ExitCode::SUCCESS,
        _ => ExitCode::from(exit::UNAVAILABLE),
    }
}

fn exit_code_of(error: &StartError) -> u8 {
    match error {
        StartError::Config(_) => exit::USAGE,
        StartError::Driver { .. }
        | StartError::Listen { .. }
        | StartError::Worker { .. }
        | StartError::NoDescriptor(_)
        | StartError::System(_) => exit::UNAVAILABLE,
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    say(format_args!("ringback: {message}"));
    ExitCode::from(code)
}
