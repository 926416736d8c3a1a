//! Facts about a host: what it offers a server and what it lacks, each fact with a verdict and,
//! where it could be better, with what mends it.
//!
//! Looks and tries, changes nothing: a port of the loopback interface is listened on for a moment.
//! All that can be tried is tried, the rest is read; what cannot be read is reported as unknown.

mod check;
mod checks;
mod host;
mod report;

use std::net::SocketAddr;

use rlimit::Resource;

use crate::server::{Config, DriverKind};

pub use check::{Check, Status};
use host::Host;

/// Everything that was found out about the host.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    checks: Vec<Check>,
    /// The driver that `--driver auto` takes.
    driver: DriverKind,
}

impl Diagnosis {
    /// Looks at this host as a server of the default configuration would, and starts one, which raises
    /// the soft limit of descriptors.
    pub fn of_this_host() -> Self {
        // Before a server is started.
        let descriptors = Resource::NOFILE.get();
        let address: SocketAddr = Config::DEFAULT_ADDRESS.parse().expect("it is an address");
        let mut config = Config::new(vec![address]);
        let choice = config.choose_driver();
        let host = Host::below("/");
        let mut checks = vec![checks::ring::kernel()];
        checks.extend(checks::ring::features());
        checks.extend([
            checks::ring::switch(&host, choice.driver == DriverKind::Uring),
            checks::serving::driver(&choice),
            checks::serving::try_out(&config),
            checks::limits::descriptors(&descriptors, &config),
            checks::limits::memlock(&config),
            checks::cpu::affinity(),
            checks::cpu::pinning(),
            checks::cpu::quota(&host),
            checks::cpu::clock(&host),
            checks::cpu::governor(&host),
        ]);
        checks.extend(checks::network::all(&host, address.port()));
        checks.extend([
            checks::sandbox::seccomp(),
            checks::sandbox::hold_off(),
            checks::memory::bound(&host, &config),
        ]);
        Self { checks, driver: choice.driver }
    }

    /// Returns whether a server can run here.
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.status != Status::Fail)
    }

    /// The facts, in the order of the report.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}
