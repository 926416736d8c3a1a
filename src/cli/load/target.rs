//! The target, from its name.

use std::net::ToSocketAddrs;

use clap::CommandFactory;

use super::Cli;
use super::error::LoadError;
use crate::address::parse_socket_address;
use crate::load::Target;

pub(super) fn resolve(target: &str) -> Result<Target, LoadError> {
    let is_plausible = target.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !is_plausible {
        return Err(LoadError::usage(not_a_target(target)));
    }
    if target.contains('%') {
        // The resolver takes no interface in brackets.
        let address = parse_socket_address(target)
            .map_err(|error| LoadError::usage(format!("TARGET {target:?}: {error}")))?;
        return Ok(Target { name: target.to_owned(), addresses: vec![address] });
    }
    let addresses = target
        .to_socket_addrs()
        .map_err(|error| LoadError::nothing(format!("cannot resolve {target}: {error}")))?;
    Ok(Target { name: target.to_owned(), addresses: addresses.collect() })
}

fn not_a_target(word: &str) -> String {
    let cli = Cli::command();
    let commands: Vec<&str> = cli.get_subcommands().map(|command| command.get_name()).collect();
    if commands.contains(&word) {
        return format!("{word} must come first: write ringback-load {word}, then its options");
    }
    let hint = if word.contains(':') {
        String::new()
    } else {
        format!("; commands are {}", commands.join(", "))
    };
    format!(
        "TARGET {word:?} is not HOST:PORT: write 127.0.0.1:65432, [::1]:65432 or name:65432{hint}"
    )
}
