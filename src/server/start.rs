//! How a server starts: a driver that works, listeners, workers.

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;

use super::keepalive::Keepalive;
use super::listener::{self, Listeners, SocketOptions};
use super::worker::{Shared, Workers};
use super::{Config, Server, StartError, inherited, limits};
use crate::cpus::PinningRefusal;
use crate::driver::{DriverKind, ShutdownSignal, fallback_warning};
use crate::lifecycle::Admission;
use crate::protocol::Protocol;

/// Something to know of a server that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It serves as well as it can here.
    Note(String),
    /// It would serve better if something were mended.
    Warning(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(text) => write!(f, "note: {text}"),
            Self::Warning(text) => write!(f, "warning: {text}"),
        }
    }
}

/// Starts on these listeners that outlive the server, or on listeners of its own where there are
/// none.
pub(super) fn start<P: Protocol>(
    config: &Config<P>,
    inherited: Vec<TcpListener>,
) -> Result<Server, StartError> {
    config.check()?;
    let mut notices = Vec::new();
    if let Err(error) = limits::raise_descriptor_limit() {
        notices.push(Notice::Warning(format!(
            "the descriptor limit cannot be raised: {error}; raise it before the start: ulimit -n"
        )));
    }
    let driver = match try_out(config.driver, &mut notices) {
        Err(refusal) if config.may_fall_back => fall_back(config, &refusal, &mut notices)?,
        result => result?,
    };
    let options = SocketOptions {
        share_port: config.share_port,
        send_buffer: config.send_buffer,
        keepalive: config.keepalive.map(Keepalive::after),
    };
    let mut shared = share(config, driver)?;
    shared.settings.inherits_listeners = !inherited.is_empty();
    let listeners = if inherited.is_empty() {
        listener::listen(&config.addresses, config.cpus.len(), options, &mut notices)?
    } else {
        inherited::deal(inherited, config.cpus.len(), options)?
    };
    let local_addresses = listeners.local_addresses.clone();
    let workers = start_workers(config, listeners, &mut shared, &mut notices)?;
    let Shared { driver, is_pinned, shutdown, .. } = shared;
    let cpus = config.cpus.clone();
    Ok(Server { driver, notices, cpus, is_pinned, local_addresses, workers, shutdown })
}

fn try_out(driver: DriverKind, notices: &mut Vec<Notice>) -> Result<DriverKind, StartError> {
    let remark = driver
        .try_out()
        .map_err(|refusal| StartError::Driver { driver, obstacle: refusal.to_string() })?;
    notices.extend(remark.map(|remark| Notice::Note(remark.to_owned())));
    Ok(driver)
}

fn share<P: Protocol>(config: &Config<P>, driver: DriverKind) -> Result<Shared<P>, StartError> {
    Ok(Shared {
        protocol: config.protocol.clone(),
        driver,
        is_pinned: config.pin && PinningRefusal::detect().is_none(),
        settings: config.settings(),
        admission: Arc::new(Admission::new(config.admission_limits())),
        shutdown: Arc::new(ShutdownSignal::new()?),
    })
}

/// Several servers may have found io_uring working at the same time, and not have memory for all.
/// So workers that cannot start are replaced by others, behind the same listening sockets: nobody
/// who is in their queues is reset.
fn start_workers<P: Protocol>(
    config: &Config<P>,
    listeners: Listeners,
    shared: &mut Shared<P>,
    notices: &mut Vec<Notice>,
) -> Result<Workers, StartError> {
    if !config.may_fall_back || shared.driver == DriverKind::FALLBACK {
        return Workers::start(&config.cpus, listeners.of_workers, shared);
    }
    // Where descriptors do not go for it, a refusal is final.
    let kept = listeners.try_clone().ok();
    match (Workers::start(&config.cpus, listeners.of_workers, shared), kept) {
        (Err(refusal @ StartError::Worker { .. }), Some(kept)) => {
            shared.driver = fall_back(config, &refusal, notices)?;
            Workers::start(&config.cpus, kept, shared)
        }
        (result, _) => result,
    }
}

/// The driver that serves where the configured one was refused.
fn fall_back<P: Protocol>(
    config: &Config<P>,
    refusal: &StartError,
    notices: &mut Vec<Notice>,
) -> Result<DriverKind, StartError> {
    let driver = DriverKind::FALLBACK;
    Config { driver, ..config.clone() }.check()?;
    let obstacle = match refusal {
        StartError::Driver { obstacle, .. } => obstacle.clone(),
        StartError::Worker { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    // What was to be said of the driver that does not serve.
    notices.retain(|notice| matches!(notice, Notice::Warning(_)));
    notices.push(Notice::Warning(fallback_warning(obstacle)));
    Ok(driver)
}
