//! How many connections there may be, in all and from one peer, and how many beyond that are told
//! that there is no room.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared by all workers of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    admitted: Mutex<Admitted>,
}

/// Connections at the same time, over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdmissionLimits {
    pub(crate) max_connections: usize,
    /// From one peer: an IPv4 address or an IPv6 /64. `None` is no limit.
    pub(crate) max_per_peer: Option<NonZero<usize>>,
    /// Beyond the others: accepted only to be told that there is no room.
    pub(crate) max_overflow: usize,
}

/// Permission to have a connection. Each that was given is given back with
/// [`release`](Admission::release).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Within the limits; with the peer, where somebody counts by it.
    Admitted(Option<Peer>),
    /// Beyond them: only to be told that there is no room.
    Overflow,
}

/// Answer to a connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// None: it is to be closed at once.
    pub(crate) permit: Option<Permit>,
    /// The limit for which it is refused.
    pub(crate) exceeded: Option<Exceeded>,
}

/// A limit of [`AdmissionLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    InAll,
    OfAddress,
}

/// Whom the limit per address counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Peer(IpAddr);

#[derive(Debug, Default)]
struct Admitted {
    total: usize,
    overflow: usize,
    by_peer: HashMap<Peer, usize>,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        Self { limits, admitted: Mutex::default() }
    }

    /// Returns whether [`admit`](Self::admit) needs to know the peer's address.
    pub(crate) fn asks_for_address(&self) -> bool {
        self.limits.max_per_peer.is_some()
    }

    /// Decides on a connection that was accepted from this address.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> Decision {
        let peer = address.filter(|_| self.asks_for_address()).map(Peer::at);
        let mut admitted = self.admitted();
        let exceeded = admitted.exceeded(&self.limits, peer);
        let permit = if exceeded.is_none() {
            admitted.add(peer);
            Some(Permit::Admitted(peer))
        } else if admitted.overflow < self.limits.max_overflow {
            admitted.overflow += 1;
            Some(Permit::Overflow)
        } else {
            None
        };
        Decision { permit, exceeded }
    }

    /// A connection is gone: another may come in its place.
    pub(crate) fn release(&self, permit: Permit) {
        let mut admitted = self.admitted();
        match permit {
            Permit::Admitted(peer) => admitted.remove(peer),
            Permit::Overflow => decrease(&mut admitted.overflow),
        }
    }

    /// Permits that were given and not given back.
    pub(crate) fn permits(&self) -> usize {
        let admitted = self.admitted();
        admitted.total + admitted.overflow
    }

    fn admitted(&self) -> MutexGuard<'_, Admitted> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    /// The limit that has no room for one more of this peer.
    fn exceeded(&self, limits: &AdmissionLimits, peer: Option<Peer>) -> Option<Exceeded> {
        let of_peer = peer.and_then(|peer| self.by_peer.get(&peer)).copied().unwrap_or(0);
        let max_of_peer = limits.max_per_peer.map_or(usize::MAX, NonZero::get);
        if self.total >= limits.max_connections {
            Some(Exceeded::InAll)
        } else if of_peer >= max_of_peer {
            Some(Exceeded::OfAddress)
        } else {
            None
        }
    }

    fn add(&mut self, peer: Option<Peer>) {
        self.total += 1;
        if let Some(peer) = peer {
            *self.by_peer.entry(peer).or_default() += 1;
        }
    }

    fn remove(&mut self, peer: Option<Peer>) {
        decrease(&mut self.total);
        let Some(peer) = peer else { return };
        let count = self.by_peer.get_mut(&peer).expect("it was added");
        decrease(count);
        if *count == 0 {
            self.by_peer.remove(&peer);
        }
    }
}

fn decrease(count: &mut usize) {
    *count = count.checked_sub(1).expect("every permit is released once");
}

impl Peer {
    /// An IPv6 host has a /64 at least, and takes any of its addresses (RFC 4291, RFC 8981).
    fn at(address: IpAddr) -> Self {
        const NETWORK: u128 = !0 << 64;
        match address {
            IpAddr::V4(_) => Self(address),
            IpAddr::V6(ip) => Self(Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AdmissionLimits =
        AdmissionLimits { max_connections: 3, max_per_peer: NonZero::new(2), max_overflow: 1 };

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().expect("an address"))
    }

    fn admitted(decision: Decision) -> Permit {
        assert_eq!(decision.exceeded, None);
        decision.permit.expect("there is room")
    }

    fn refused(exceeded: Exceeded, permit: Option<Permit>) -> Decision {
        Decision { permit, exceeded: Some(exceeded) }
    }

    #[test]
    fn connections_are_limited_in_all_and_for_each_peer() {
        let admission = Admission::new(LIMITS);
        let (a, b) = (at("127.0.0.1"), at("127.0.0.2"));
        let mut permits = vec![admitted(admission.admit(a)), admitted(admission.admit(a))];
        let told = refused(Exceeded::OfAddress, Some(Permit::Overflow));
        assert_eq!(admission.admit(a), told, "two from one address");
        permits.push(admitted(admission.admit(b)));
        let untold = refused(Exceeded::InAll, None);
        assert_eq!(admission.admit(b), untold, "three in all, and one is told so already");
        admission.release(Permit::Overflow);
        assert_eq!(admission.admit(b), refused(Exceeded::InAll, Some(Permit::Overflow)));
        admission.release(permits.remove(0));
        permits.push(admitted(admission.admit(b)));
        permits.into_iter().chain([Permit::Overflow]).for_each(|permit| admission.release(permit));
        let left = admission.admitted();
        assert_eq!((left.total, left.overflow, left.by_peer.len()), (0, 0, 0));
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let admission = Admission::new(LIMITS);
        for address in ["2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"] {
            admitted(admission.admit(at(address)));
        }
        let told = refused(Exceeded::OfAddress, Some(Permit::Overflow));
        assert_eq!(admission.admit(at("2001:db8::2")), told);
        admitted(admission.admit(at("2001:db8:0:1::1")));
    }

    #[test]
    fn who_is_refused_leaves_no_entry() {
        let admission = Admission::new(AdmissionLimits { max_connections: 0, ..LIMITS });
        for last in 0..100 {
            admission.admit(Some([127, 0, 0, last].into()));
        }
        assert!(admission.admitted().by_peer.is_empty());
    }

    #[test]
    #[should_panic(expected = "every permit is released once")]
    fn a_permit_that_was_never_given_cannot_be_released() {
        Admission::new(LIMITS).release(Permit::Overflow);
    }
}
