//! The server that is started in this process, if the command line names no other.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use tracing::warn;

use super::super::log_notice;
use super::error::LoadError;
use crate::load::{self, Config, Target};
use crate::protocol::{Framed, Protocol, Raw};
use crate::server::{self, Server, StartError};

#[derive(Debug)]
pub(super) struct Embedded(Server);

impl Embedded {
    /// Starts a server that takes what this configuration sends, with one worker, on this CPU if it
    /// can be; points the configuration at it.
    pub(super) fn start(config: &mut Config, cpu: usize) -> Result<Self, LoadError> {
        let server = match config.protocol {
            load::Protocol::Raw => start(Raw, cpu),
            load::Protocol::Framed => {
                let default = Framed::default();
                let max_frame = default.max_frame.max(config.sizes.largest() as u32);
                start(Framed { max_frame, ..default }, cpu)
            }
        };
        let server = server.map_err(|error| failed(&error))?;
        config.target = Target::at(server.local_addresses()[0]);
        config.server = load::Server::Embedded {
            thread_ids: server.thread_ids(),
            cpus: server.cpus().to_vec(),
        };
        Ok(Self(server))
    }

    pub(super) fn stop(self) -> Result<(), LoadError> {
        self.0.stop().map(drop).map_err(|error| failed(&error))
    }
}

fn start(protocol: impl Protocol, cpu: usize) -> Result<Server, StartError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut settings = server::Config::with_protocol(vec![address], protocol);
    settings.cpus = vec![cpu];
    if let Some(warning) = settings.choose_driver().warning() {
        warn!("{warning}");
    }
    let server = Server::start(&settings)?;
    server.notices().iter().for_each(log_notice);
    Ok(server)
}

fn failed(error: &dyn Error) -> LoadError {
    LoadError::nothing(format!(
        "cannot start the embedded server: {error}; or name a TARGET to measure"
    ))
}
