//! A setup in place: signals are heard, and the server is there.
//!
//! A run never starts a server; it is given the address, and for the report the server's threads.

use super::super::interrupt::on_signals;
use super::embedded::Embedded;
use super::error::LoadError;
use super::measure::Setup;
use crate::load::{Config, RunError};

/// A setup in place, ready to be measured as often as is wanted.
#[derive(Debug)]
pub(super) struct TestBed {
    config: Config,
    server: Option<Embedded>,
}

impl TestBed {
    /// Starts the embedded server if the setup has one, and points the configuration at it. From
    /// now on a signal ends the runs early.
    pub(super) fn start(setup: Setup) -> Result<Self, LoadError> {
        let Setup { mut config, server_cpu } = setup;
        on_signals(config.interrupt.clone()).map_err(RunError::System)?;
        let server = server_cpu.map(|cpu| Embedded::start(&mut config, cpu)).transpose()?;
        Ok(Self { config, server })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn stop(self) -> Result<(), LoadError> {
        self.server.map_or(Ok(()), Embedded::stop)
    }
}
