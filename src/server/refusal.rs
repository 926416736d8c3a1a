//! Why the kernel refuses what a start needs, and what to do about it.

use std::io;
use std::net::SocketAddr;

use crate::address::{Address, interfaces};
use crate::sockets::{PortUse, use_of_port};
use crate::sys;

/// An error with its remedy.
pub(super) fn explain(error: &io::Error) -> String {
    let hint = match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => "no interface of this host has that address",
        Some(libc::EACCES) => {
            "ports below net.ipv4.ip_unprivileged_port_start (1024) need CAP_NET_BIND_SERVICE"
        }
        _ => return sys::explain_resources(error),
    };
    format!("{error}: {hint}")
}

/// Explains an address that cannot be listened on.
pub(super) fn explain_listen(error: &io::Error, address: SocketAddr, shares_port: bool) -> String {
    if let Some(hint) = explain_interface(error, address) {
        return format!("{error}: {hint}");
    }
    if error.kind() != io::ErrorKind::AddrInUse {
        return explain(error);
    }
    let own_uid = rustix::process::geteuid().as_raw();
    let hint = explain_use(use_of_port(address).as_ref(), address.port(), shares_port, own_uid);
    format!("{error}: {hint}")
}

/// The interface is missing, in the address or on this host.
fn explain_interface(error: &io::Error, address: SocketAddr) -> Option<String> {
    match error.raw_os_error()? {
        libc::EINVAL if Address::from(address).lacks_zone() => Some(format!(
            "a link-local address needs its interface: write [{}%NAME]:{}; {}",
            address.ip(),
            address.port(),
            interfaces(),
        )),
        libc::ENODEV => Some(format!("no interface has that number; {}", interfaces())),
        _ => None,
    }
}

fn explain_use(found: Option<&PortUse>, port: u16, shares_port: bool, own_uid: u32) -> String {
    match found {
        Some(PortUse::Listener(address, owner)) => {
            let remedy = match (owner.uid == own_uid, shares_port) {
                (true, false) => {
                    "stop it, or listen on another port; for an overlapping restart start both \
                     with --share-port"
                }
                (true, true) => {
                    "it does not share its port: start it with --share-port too, stop it, or \
                     listen on another port"
                }
                (false, false) => "stop it, or listen on another port",
                (false, true) => {
                    "only processes of one user can share a port: run this one as that user, stop \
                     the other, or listen on another port"
                }
            };
            format!("the port is in use: {owner} listens on {address}; {remedy}")
        }
        Some(PortUse::Connection(owner)) => format!(
            "the port is in use: {owner} has an outgoing connection from port {port}, or one that \
             was accepted there; wait for its end, or listen on another port; sysctl -w \
             net.ipv4.ip_local_reserved_ports={port} keeps outgoing connections off it"
        ),
        Some(PortUse::EndedConnection) => format!(
            "the port is in use: a connection from port {port} has ended, and the kernel keeps the \
             port for a minute (TIME_WAIT); wait, or listen on another port"
        ),
        None => "the port is in use: nobody is seen to listen on it, so it is bound by a process \
                 that does not listen yet; wait, or listen on another port"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_link_local_address_without_its_interface_is_told_how_to_name_it() {
        let explain = |errno, address: &str| {
            let address = address.parse().expect("an address");
            explain_listen(&io::Error::from_raw_os_error(errno), address, false)
        };
        let text = explain(libc::EINVAL, "[fe80::1]:7");
        assert!(text.contains("write [fe80::1%NAME]:7; name one of this host's: "), "{text}");
        assert!(!explain(libc::EINVAL, "[fe80::1%2]:7").contains("NAME"));
        assert!(!explain(libc::EINVAL, "[::1]:7").contains("NAME"));
        let text = explain(libc::ENODEV, "[fe80::1%99]:7");
        assert!(text.contains("no interface has that number; name one"), "{text}");
    }

    #[test]
    fn sharing_is_proposed_only_where_it_would_help() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("bound");
        let uid = rustix::process::geteuid().as_raw();
        let found = use_of_port(address);
        let explain = |shares_port, own_uid| {
            explain_use(found.as_ref(), address.port(), shares_port, own_uid)
        };
        assert!(explain(false, uid).ends_with("start both with --share-port"));
        assert!(explain(true, uid).contains("it does not share its port: "));
        assert!(explain(false, uid + 1).ends_with("; stop it, or listen on another port"));
        assert!(explain(true, uid + 1).contains("run this one as that user"));
    }

    #[test]
    fn without_a_listener_the_port_is_named() {
        let ended = explain_use(Some(&PortUse::EndedConnection), 7070, true, 0);
        assert!(ended.contains("a connection from port 7070 has ended"), "{ended}");
        let nobody = explain_use(None, 7070, true, 0);
        assert!(nobody.contains("nobody is seen to listen"), "{nobody}");
    }
}
