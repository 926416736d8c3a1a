//! The embedded server, if the command line names no other.
//!
//! The library's instrument never starts a server; it is told the address, and for the report
//! whose threads those are.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::interrupt::on_signals;
use super::error::LoadError;
use super::measure::Setup;
use crate::load::{Config, RunError, Target};
use crate::protocol::{Framed, Protocol, Raw};
use crate::server::{Server, StartError};
use crate::{load, say, server};

/// The server that is to be started in this process: one that takes what is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct EmbeddedServer {
    /// Where its one worker is pinned, if it can be.
    pub(super) cpu: usize,
}

impl EmbeddedServer {
    fn start(self, config: &Config) -> Result<Server, StartError> {
        match config.protocol {
            load::Protocol::Raw => self.start_in(Raw),
            load::Protocol::Framed => {
                let default = Framed::default();
                let max_frame = default.max_frame.max(config.sizes.largest() as u32);
                self.start_in(Framed { max_frame, ..default })
            }
        }
    }

    fn start_in(self, protocol: impl Protocol) -> Result<Server, StartError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut settings = server::Config::with_protocol(vec![address], protocol);
        settings.cpus = vec![self.cpu];
        if let Some(warning) = settings.choose_driver().warning() {
            say(format_args!("warning: {warning}"));
        }
        let server = Server::start(&settings)?;
        server.notices().iter().for_each(say);
        Ok(server)
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
        let Some(embedded) = embedded else { return Ok(Self { config, server: None }) };
        let server = embedded.start(&config).map_err(|error| cannot_serve(&error))?;
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
