//! Who keeps a port from being listened on.

use std::net::SocketAddr;

use super::owner::Owner;
use super::table::{self, Entry, State};

/// Use of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortUse {
    /// Somebody listens on it, at this address.
    Listener(SocketAddr, Owner),
    /// It is the local port of a connection.
    Connection(Owner),
    /// It was that of a connection which has ended, and is kept for a minute.
    EndedConnection,
}

/// The use of a port that is in the way of listening on `address`: a listener, if there is one.
/// `None` where the tables show nothing, as of sockets that are bound and do not listen yet.
pub(crate) fn use_of_port(address: SocketAddr) -> Option<PortUse> {
    let entry = most_telling(table::read(), address)?;
    let owner = || Owner::of(entry.inode, entry.uid);
    Some(match entry.state {
        State::Listening => PortUse::Listener(entry.local, owner()),
        State::Connected => PortUse::Connection(owner()),
        State::Ended => PortUse::EndedConnection,
    })
}

fn most_telling(entries: Vec<Entry>, address: SocketAddr) -> Option<Entry> {
    let rank = |entry: &Entry| match entry.state {
        // What is at the very address says more than what is at all.
        State::Listening if entry.local.ip() == address.ip() => 0,
        State::Listening => 1,
        State::Connected => 2,
        State::Ended => 3,
    };
    entries.into_iter().filter(|entry| overlap(entry.local, address)).min_by_key(rank)
}

/// A socket on the unspecified IPv6 address may be there for IPv4 too.
fn overlap(taken: SocketAddr, wanted: SocketAddr) -> bool {
    let (ip, wanted_ip) = (taken.ip(), wanted.ip());
    let is_same_family = ip.is_ipv4() == wanted_ip.is_ipv4();
    taken.port() == wanted.port()
        && (ip == wanted_ip
            || (ip.is_unspecified() && (ip.is_ipv6() || is_same_family))
            || (wanted_ip.is_unspecified() && is_same_family))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn entry(local: &str, state: State) -> Entry {
        Entry { local: local.parse().expect("an address"), state, uid: 0, inode: 1 }
    }

    #[test]
    fn what_is_in_the_way_is_found_and_listeners_first() {
        let entries = [
            entry("127.0.0.1:80", State::Connected),
            entry("10.0.0.1:80", State::Listening),
            entry("[::]:80", State::Listening),
            entry("127.0.0.1:81", State::Ended),
        ];
        let found = |address: &str| {
            let address = address.parse().expect("an address");
            most_telling(entries.to_vec(), address).map(|entry| entry.local.to_string())
        };
        assert_eq!(found("10.0.0.1:80").as_deref(), Some("10.0.0.1:80"));
        assert_eq!(found("127.0.0.1:80").as_deref(), Some("[::]:80"));
        assert_eq!(found("[::1]:80").as_deref(), Some("[::]:80"));
        assert_eq!(found("0.0.0.0:81").as_deref(), Some("127.0.0.1:81"));
        assert_eq!(found("[::]:81"), None);
        assert_eq!(found("127.0.0.2:81"), None);
    }

    #[test]
    fn our_own_sockets_are_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let listening = listener.local_addr().expect("bound");
        let stream = TcpStream::connect(listening).expect("queued");
        let connected = stream.local_addr().expect("connected");
        let own = format!("(process {} of user ", std::process::id());
        match (use_of_port(listening), use_of_port(connected)) {
            (Some(PortUse::Listener(address, owner)), Some(PortUse::Connection(other))) => {
                assert_eq!((address, &owner), (listening, &other));
                assert!(owner.to_string().contains(&own), "{owner}");
            }
            uses => panic!("{uses:?}"),
        }
    }
}
