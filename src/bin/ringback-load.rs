//! The load generator.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use ringback::cli::load::{Args, LoadError, Plan};
use ringback::server::{self, Server};

fn main() -> ExitCode {
    match Args::parse().resolve().and_then(measure) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}

fn measure(mut plan: Plan) -> Result<ExitCode, LoadError> {
    let server = start_embedded(&mut plan)?;
    let outcome = plan.execute();
    if let Some(server) = server {
        server.stop().map_err(|error| LoadError::Server(error.to_string()))?;
    }
    outcome
}

/// Starts the server that the plan asks for, if it does, and points the plan at it.
fn start_embedded(plan: &mut Plan) -> Result<Option<Server>, LoadError> {
    let Some(embedded) = plan.embedded else { return Ok(None) };
    let mut config = server::Config::new(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
    config.protocol = embedded.protocol;
    config.cpus = vec![embedded.cpu];
    let server = Server::start(&config).map_err(|error| LoadError::Server(error.to_string()))?;
    plan.measure_embedded(server.local_addresses()[0], server.thread_ids(), vec![embedded.cpu]);
    Ok(Some(server))
}
