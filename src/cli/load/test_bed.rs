//! The embedded server, if the command line names no other.
//!
//! The library's instrument never starts a server; it is told the address, and for the report
//! whose threads those are.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::interrupt::on_signals;
use super::error::LoadError;
use super::measure::Setup;
use crate::load::{Config, RunError, Target};
use crate::server::Server;
use crate::{load, protocol, say, server};

/// The server that is to be started in this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct EmbeddedServer {
    /// Its protocol, with room for the messages that will be sent.
    pub(super) protocol: protocol::Config,
    /// Where its one worker is pinned, if it can be.
    pub(super) cpu: usize,
}

impl EmbeddedServer {
    /// A server that takes what this configuration sends.
    pub(super) fn suiting(config: &Config, cpu: usize) -> Self {
        let protocol = match config.protocol {
            load::Protocol::Raw => protocol::Config::Raw,
            load::Protocol::Framed => {
                let default = protocol::FramedConfig::default();
                let max_frame = default.max_frame.max(config.sizes.largest() as u32);
                protocol::Config::Framed(protocol::FramedConfig { max_frame, ..default })
            }
        };
        Self { protocol, cpu }
    }
}

/// A setup in place, ready to be measured as often as is wanted.
#[derive(Debug)]
pub(super) struct TestBed {
    config: Config,
    server: Option<Server>,
}

impl TestBed {
    /// Starts the embedded server if the setup has one, and points the configuration at it. From
    /// now on a signal ends the runs early.
    pub(super) fn start(setup: Setup) -> Result<Self, LoadError> {
        let Setup { mut config, embedded } = setup;
        on_signals(config.interrupt.clone()).map_err(RunError::System)?;
        let Some(EmbeddedServer { protocol, cpu }) = embedded else {
            return Ok(Self { config, server: None });
        };
        let mut settings = server::Config::new(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
        settings.protocol = protocol;
        settings.cpus = vec![cpu];
        if let Some(warning) = settings.choose_driver().warning() {
            say(format_args!("warning: {warning}"));
        }
        let server = Server::start(&settings).map_err(|error| cannot_serve(&error))?;
        server.notices().iter().for_each(say);
        config.target = Target::at(server.local_addresses()[0]);
        config.server = load::Server::Embedded {
            thread_ids: server.thread_ids(),
            cpus: server.cpus().to_vec(),
        };
        Ok(Self { config, server: Some(server) })
    }

    /// A measurement's target, load and length.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Stops the embedded server.
    pub(super) fn stop(self) -> Result<(), LoadError> {
        match self.server {
            Some(server) => server.stop().map(|_| ()).map_err(|error| cannot_serve(&error)),
            None => Ok(()),
        }
    }
}

fn cannot_serve(error: &dyn std::error::Error) -> LoadError {
    LoadError::Server(error.to_string())
}
