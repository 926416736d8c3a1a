//! The server as it is seen beside its replies: its threads and their CPUs, where it is on this
//! host and ours to look at.

use std::net::{SocketAddr, UdpSocket};

use rustix::process::Pid;

use crate::load::config::{Config, Server, Target};
use crate::load::record::cpu::{OwnThreads, ServerThreads};
use crate::sockets::Listeners;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerView {
    pub(crate) threads: Result<ServerThreads, Hidden>,
    /// The CPUs that they use, before the run by their masks alone; none where they are not seen.
    pub(crate) cpus: Vec<usize>,
}

/// Why the server's threads are not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// It is on another host.
    OtherHost,
    /// It is on this one, and another user's or another container's.
    OtherUser,
    /// It is some part of this process.
    ThisProcess,
    /// Its processes or threads came and went in the window, and took their accounts with them; or
    /// those that are seen did nothing, while somebody answered.
    Transient,
    /// The kernel keeps no account of its threads' waits.
    NoAccount,
}

/// CPUs of the processes that listen at a target of this host; none where they cannot be seen.
pub fn server_cpus(target: &Target) -> Vec<usize> {
    let local = target.addresses.iter().filter(|address| is_of_this_host(**address));
    local
        .filter_map(|address| ServerThreads::listening_on(*address))
        .map(|threads| threads.cpus())
        .next()
        .unwrap_or_default()
}

impl ServerView {
    /// Looks for the server at the address that was connected to.
    pub(crate) fn of(config: &Config, target: SocketAddr) -> Self {
        let threads = match &config.server {
            Server::Started { id, .. } => i32::try_from(*id)
                .ok()
                .and_then(Pid::from_raw)
                .map(ServerThreads::OfGroup)
                .ok_or(Hidden::OtherUser),
            Server::Embedded { thread_ids, .. } => {
                Ok(ServerThreads::Embedded(OwnThreads(thread_ids.clone())))
            }
            Server::External if !is_of_this_host(target) => Err(Hidden::OtherHost),
            Server::External => ServerThreads::listening_on(target).ok_or_else(|| {
                let is_own = Listeners::at(target).are_held_by(std::process::id());
                if is_own { Hidden::ThisProcess } else { Hidden::OtherUser }
            }),
        };
        let cpus = threads.as_ref().map(ServerThreads::cpus).unwrap_or_default();
        Self { threads, cpus }
    }

    /// The server, as it is named to people.
    pub(crate) fn name(&self) -> String {
        match self.threads.as_ref().ok().map(ServerThreads::process) {
            Some(None) => "the embedded server".to_owned(),
            Some(Some(process)) => format!("the server (process {})", process.as_raw_pid()),
            None => "the server".to_owned(),
        }
    }
}

pub(crate) fn shared_cpus(server: &[usize], generator: &[usize]) -> Vec<usize> {
    server.iter().copied().filter(|cpu| generator.contains(cpu)).collect()
}

/// Returns whether this is an address of ours: no other can be bound.
fn is_of_this_host(mut address: SocketAddr) -> bool {
    address.set_port(0);
    address.ip().is_loopback() || UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_of_this_process_and_another_host_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let of = |address: SocketAddr| {
            ServerView::of(&Config::new(Target::at(address)), address).threads.unwrap_err()
        };
        assert_eq!(of(own), Hidden::ThisProcess);
        // Reserved for documentation (RFC 5737): nobody has it.
        assert_eq!(of("192.0.2.1:7".parse().unwrap()), Hidden::OtherHost);
        drop(listener);
        assert_eq!(of(own), Hidden::OtherUser);
        assert!(server_cpus(&Target::at(own)).is_empty());
    }

    #[test]
    fn cpus_that_both_use_are_shared() {
        assert_eq!(shared_cpus(&[0, 2, 3], &[1, 2, 3]), [2, 3]);
        assert!(shared_cpus(&[0, 2, 3], &[1]).is_empty());
    }
}
