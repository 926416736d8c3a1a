//! Means of closing a server in, and of letting its listeners go without resetting anybody.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;

use crate::doctor::check::Check;
use crate::server;
use crate::sys;

pub(crate) fn seccomp() -> Check {
    const NAME: &str = "seccomp";
    match sys::try_filters() {
        Ok(()) => Check::ok(NAME, "filters work"),
        Err(error) => Check::warn(
            NAME,
            format!("{error}: the system calls of a server cannot be filtered (--sandbox)"),
            "allow seccomp(2) in the profile of the container or service",
        ),
    }
}

/// Tried on a listener of its own.
pub(crate) fn hold_off() -> Check {
    const NAME: &str = "SO_ATTACH_FILTER";
    let tried = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| server::try_hold_off(listener.as_fd()));
    match tried {
        Ok(()) => Check::ok(NAME, "a server that drains can hold new handshakes off"),
        Err(error) => Check::warn(
            NAME,
            format!("{error}: who connects in the last moment of a drain may be reset"),
            "restart behind a socket unit (scripts/deploy/systemd/ringback.socket), or run as root",
        ),
    }
}
