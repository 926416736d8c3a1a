//! The echo server.

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory};
use ringback::address::format_socket_address;
use ringback::cli::doctor::Doctor;
use ringback::cli::exit_codes::server as exit;
use ringback::cli::health::Health;
use ringback::cli::manual::Manual;
use ringback::cli::requests::{MORE_SIGNALS, on_signals};
use ringback::cli::sandbox::{Closed, Sandbox};
use ringback::cli::serve::{Cli, Command, Protocol, Serve, describe};
use ringback::cli::settings::{self, Settings, SettingsError};
use ringback::cli::signals::EndSignals;
use ringback::cli::supervisor::{Facts, Options, Stages, Supervisor};
use ringback::cli::systemd::{Notifier, inherited_listeners};
use ringback::cli::{self, log_notice};
use ringback::doctor::Diagnosis;
use ringback::log;
use ringback::protocol::{self, Raw};
use ringback::server::{Config, Server, StartError};
use tracing::{error, info, warn};

fn main() -> ExitCode {
    // Before anything is opened, whose number could be theirs.
    let inherited = inherited_listeners();
    // Before all else: until then a signal kills the process, or is lost where it is PID 1.
    let signals = EndSignals::catch(&MORE_SIGNALS);
    match settings::parse(std::env::args_os()) {
        Ok((command, matches)) => {
            execute(&command, &matches, signals, inherited).unwrap_or_else(|error| {
                let error = StartError::System(error);
                // There may be no log to say it in.
                let _ = writeln!(io::stderr(), "ringback: {error}");
                ExitCode::from(exit_code_of(&error))
            })
        }
        Err(message) => cli::print(&message, &Cli::command(), exit::USAGE),
    }
}

/// Fails when the kernel refuses what a command needs: signal handlers and threads.
fn execute(
    command: &Command,
    matches: &ArgMatches,
    signals: io::Result<EndSignals>,
    inherited: io::Result<Vec<TcpListener>>,
) -> io::Result<ExitCode> {
    let signals = signals?;
    match command {
        Command::Serve(_) => serve(matches, signals, inherited?),
        Command::Doctor(options) => aside(signals, || examine(options)),
        Command::ExampleConfig => aside(signals, || print(&settings::example())),
        Command::Health(options) => aside(signals, || probe(options)),
        Command::Manual(manual) => aside(signals, || document(manual)),
    }
}

/// Runs a command that serves nobody: signals end it as they end any program.
fn aside(signals: EndSignals, command: impl FnOnce() -> ExitCode) -> io::Result<ExitCode> {
    let _log = log::start(log::Options::text("ringback"))?;
    signals.leave()?;
    Ok(command())
}

fn serve(
    matches: &ArgMatches,
    signals: EndSignals,
    inherited: Vec<TcpListener>,
) -> io::Result<ExitCode> {
    let stages = Stages::default();
    on_signals(signals, stages.clone())?;
    let resolved = Settings::resolve(matches, std::env::vars_os());
    let options = resolved.as_ref().map(|settings| settings.options.log_options());
    let _log = log::start(options.unwrap_or_else(|_| log::Options::text("ringback")))?;
    let settings = match resolved {
        Ok(settings) => settings,
        Err(error) => return Ok(refuse(&error)),
    };
    settings.notes.iter().for_each(|note| info!("note: {note}"));
    stages.configure(settings.options.drain_delay);
    Ok(match settings.options.protocol {
        Protocol::Raw => serve_in(Raw, "raw", &settings, stages, inherited),
        Protocol::Framed => {
            serve_in(settings.options.framed(), "framed", &settings, stages, inherited)
        }
    })
}

fn serve_in(
    protocol: impl protocol::Protocol,
    name: &'static str,
    settings: &Settings,
    stages: Stages,
    inherited: Vec<TcpListener>,
) -> ExitCode {
    let (config, warnings) = settings.options.resolve(protocol);
    warnings.iter().for_each(|warning| warn!("{warning}"));
    if let Err(error) = config.check() {
        return refuse(&settings.blame(error.option(), &describe(&error)));
    }
    // With inherited sockets it is theirs that count, and to listen tells.
    if inherited.is_empty()
        && let Err(error) = settings.options.check_admin()
    {
        return refuse(&settings.blame("admin", &error));
    }
    if settings.options.check {
        return check(settings, &config);
    }
    if stages.is_ending() {
        info!("ended by a signal before it listened");
        return ExitCode::SUCCESS;
    }
    let notifier = match Notifier::connect() {
        Ok(notifier) => notifier,
        Err(error) => return fail(&error.to_string(), exit::UNAVAILABLE),
    };
    if let Err(error) = settings.options.confine() {
        return fail(
            &format!(
                "--pin off: the workers cannot be kept to --cpus: {error}; or leave one of the \
                 two out"
            ),
            exit::UNAVAILABLE,
        );
    }
    let options = Options {
        notifier,
        patience: settings.options.drain_delay + config.longest_drain(),
        admin: settings.options.admin(),
        hang_timeout: settings.options.hang_timeout(),
        facts: Facts {
            driver: config.driver,
            protocol: name,
            workers: config.cpus.len(),
            max_connections: config.max_connections,
            memory_bound: config.memory_bound().bytes(),
        },
    };
    match Supervisor::start(options, stages) {
        Ok(supervisor) => run(&config, inherited, settings.options.sandbox, &supervisor),
        Err(error) => fail(&error.to_string(), exit::UNAVAILABLE),
    }
}

fn run(
    config: &Config<impl protocol::Protocol>,
    inherited: Vec<TcpListener>,
    sandbox: Sandbox,
    supervisor: &Supervisor,
) -> ExitCode {
    if !inherited.is_empty() {
        let sockets = inherited.len();
        info!(
            sockets,
            "note: {sockets} inherited sockets (LISTEN_FDS) take the place of the configured addresses"
        );
    }
    let server = match Server::start_on(config, inherited) {
        Ok(server) => server,
        Err(error) => return fail(&error.to_string(), exit_code_of(&error)),
    };
    server.notices().iter().for_each(log_notice);
    info!("{}", server.description());
    if let Some(address) = supervisor.admin() {
        info!(address = %address, "admin on http://{address}");
    }
    supervisor.watch(&server);
    // The names of their interfaces are asked for while that is allowed.
    let addresses = server.local_addresses().iter().copied().map(format_socket_address);
    let addresses: Vec<_> = addresses.collect();
    match sandbox.close(&server) {
        Ok(Closed::Yes(line)) => info!("{line}"),
        Ok(Closed::No(warning)) => warn!("{warning}"),
        Err(error) => return fail(&error.to_string(), exit::UNAVAILABLE),
    }
    for address in addresses {
        info!(address, "listening on {address}");
    }
    supervisor.announce();
    match server.wait() {
        Ok(counters) => {
            info!("{counters}");
            ExitCode::from(if counters.has_losses() { exit::LOSSES } else { 0 })
        }
        Err(error) => {
            info!("{}", error.counters);
            fail(&error.to_string(), exit::INTERNAL)
        }
    }
}

fn check(settings: &Settings, config: &Config<impl protocol::Protocol>) -> ExitCode {
    info!("the configuration is valid; {}", config.memory_bound());
    print(&settings.to_toml(&Serve::resolved(config)))
}

fn examine(options: &Doctor) -> ExitCode {
    let diagnosis = Diagnosis::of_this_host();
    let printed = print(&options.report(&diagnosis));
    if printed == ExitCode::SUCCESS && !diagnosis.is_ok() {
        return ExitCode::from(exit::UNAVAILABLE);
    }
    printed
}

fn document(manual: &Manual) -> ExitCode {
    match manual.execute(Cli::command()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), exit::INTERNAL),
    }
}

fn probe(options: &Health) -> ExitCode {
    match options.ask(std::env::var_os("RINGBACK_ADMIN")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), exit::NOT_READY),
    }
}

/// Whoever closes the pipe has read enough.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write to stdout: {error}"), exit::INTERNAL)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn refuse(error: &SettingsError) -> ExitCode {
    let code = match error {
        SettingsError::Usage(_) => exit::USAGE,
        SettingsError::Invalid { .. } | SettingsError::Unreadable { .. } => exit::CONFIG,
    };
    fail(&error.to_string(), code)
}

fn exit_code_of(error: &StartError) -> u8 {
    match error {
        StartError::Config(_) => exit::USAGE,
        // Of the host, all others.
        _ => exit::UNAVAILABLE,
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    error!("{message}");
    ExitCode::from(code)
}
