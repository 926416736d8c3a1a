//! The target, from its name.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use clap::CommandFactory;

use super::super::mistakes::{late_command, misspelt_command};
use super::Cli;
use super::error::LoadError;
use crate::address::parse_socket_address;
use crate::load::Target;

pub(super) fn resolve(target: &str) -> Result<Target, LoadError> {
    let is_plausible = target.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host = !host.contains(':') || host.contains(['[', '%']);
        let is_host = is_host || host.parse::<Ipv6Addr>().is_ok();
        is_host
            && !host.is_empty()
            && !host.contains('/')
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !is_plausible {
        return Err(LoadError::usage(not_a_target(target)));
    }
    if target.contains('%') {
        // The resolver takes no interface in brackets.
        let address = parse_socket_address(target)
            .map_err(|error| LoadError::usage(format!("TARGET {target:?}: {error}")))?;
        return Ok(Target::new(target, vec![address]));
    }
    let addresses = target
        .to_socket_addrs()
        .map_err(|error| LoadError::nothing(format!("cannot resolve {target}: {error}")))?;
    Ok(Target::new(target, addresses.collect()))
}

/// The message about a word that is no target, with one that may be meant.
fn not_a_target(word: &str) -> String {
    let cli = Cli::command();
    let of_command = late_command(word, &cli).or_else(|| misspelt_command(word, &cli));
    if let Some(remedy) = of_command {
        return remedy;
    }
    let commands: Vec<&str> = cli.get_subcommands().map(|command| command.get_name()).collect();
    let hint = if word.contains(['.', ':']) || word.parse::<u16>().is_ok() {
        String::new()
    } else {
        format!("; commands are {}", commands.join(", "))
    };
    format!("TARGET {word:?} is not HOST:PORT: {}{hint}", meant(word))
}

fn meant(word: &str) -> String {
    /// The default port of `ringback serve`.
    const PORT: u16 = 65432;
    let port = word.strip_prefix(':').unwrap_or(word).parse::<u16>();
    if let Some((_, rest)) = word.split_once("://") {
        return format!("it is a URL: write {}", rest.split('/').next().unwrap_or_default());
    }
    match (port, word.parse::<IpAddr>()) {
        (Ok(port), _) => format!("write 127.0.0.1:{port}"),
        (_, Ok(ip)) => format!("write {}", SocketAddr::new(ip, PORT)),
        _ if !word.contains(':') && !word.is_empty() => format!("write {word}:{PORT}"),
        _ => "write 127.0.0.1:65432, [::1]:65432 or name:65432".to_owned(),
    }
}
