//! The echo server.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use ringback::address::format_socket_address;
use ringback::cli;
use ringback::cli::doctor::Doctor;
use ringback::cli::requests::EndRequests;
use ringback::cli::serve::{Cli, Command, Protocol, Serve};
use ringback::cli::signals::EndSignals;
use ringback::doctor::Diagnosis;
use ringback::protocol::{self, Raw};
use ringback::server::{Config, Server, StartError};
use ringback::{log, say};

/// Exit codes of `sysexits.h`, and 1 for a shutdown with losses.
mod exit {
    pub(super) const LOSSES: u8 = 1;
    pub(super) const USAGE: u8 = 64;
    pub(super) const UNAVAILABLE: u8 = 69;
    pub(super) const INTERNAL: u8 = 70;
}

fn main() -> ExitCode {
    // Before anything else: until then a signal kills the process, or is lost where it is PID 1.
    let signals = EndSignals::catch(&[]);
    match Cli::try_parse() {
        Ok(cli) => execute(&cli.command, signals).unwrap_or_else(|error| {
            let error = StartError::System(error);
            // There may be no log to say it in.
            let _ = writeln!(io::stderr(), "ringback: {error}");
            ExitCode::from(exit_code_of(&error))
        }),
        Err(message) => cli::print(&message, "ringback", exit::USAGE),
    }
}

/// Fails when the kernel refuses what every command needs: signal handlers and two threads.
fn execute(command: &Command, signals: io::Result<EndSignals>) -> io::Result<ExitCode> {
    let signals = signals?;
    let _log = log::start()?;
    Ok(match command {
        Command::Serve(options) => serve(options, &EndRequests::carried_by(signals)?),
        Command::Doctor(options) => {
            signals.leave()?;
            examine(options)
        }
    })
}

fn serve(options: &Serve, requests: &EndRequests) -> ExitCode {
    match options.protocol {
        Protocol::Raw => serve_in(Raw, options, requests),
        Protocol::Framed => serve_in(options.framed(), options, requests),
    }
}

fn serve_in(
    protocol: impl protocol::Protocol,
    options: &Serve,
    requests: &EndRequests,
) -> ExitCode {
    let (config, warnings) = options.resolve(protocol);
    for warning in warnings {
        say(format_args!("warning: {warning}"));
    }
    if options.check {
        return check(&config);
    }
    if requests.have_come() {
        say("ended by a signal before it listened");
        return ExitCode::SUCCESS;
    }
    let server = match Server::start(&config) {
        Ok(server) => server,
        Err(error) => return fail(&error.to_string(), exit_code_of(&error)),
    };
    server.notices().iter().for_each(say);
    say(server.description());
    for address in server.local_addresses() {
        say(format_args!("listening on {}", format_socket_address(*address)));
    }
    requests.end(server.shutdown());
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

fn check(config: &Config<impl protocol::Protocol>) -> ExitCode {
    match config.check() {
        Ok(()) => {
            say(format_args!("the configuration is valid; {}", config.memory_bound()));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string(), exit::USAGE),
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
        | StartError::Pin { .. }
        | StartError::Worker { .. }
        | StartError::NoDescriptor(_)
        | StartError::System(_) => exit::UNAVAILABLE,
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    say(format_args!("ringback: {message}"));
    ExitCode::from(code)
}
