//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared by all workers of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    max_connections: usize,
    max_per_address: Option<usize>,
    admitted: Mutex<Admitted>,
}

#[derive(Debug, Default)]
struct Admitted {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Admission {
    pub(crate) fn new(max_connections: usize, max_per_address: Option<usize>) -> Self {
        Self { max_connections, max_per_address, admitted: Mutex::default() }
    }

    /// Whether [`admit`](Self::admit) needs to know the peer's address.
    pub(crate) fn asks_for_address(&self) -> bool {
        self.max_per_address.is_some()
    }

    /// Takes a place for a connection, if there is one. Every place taken is given back with
    /// [`release`](Self::release) and the same address.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> bool {
        let mut admitted = self.admitted();
        if admitted.total >= self.max_connections {
            return false;
        }
        if let (Some(limit), Some(address)) = (self.max_per_address, address) {
            let count = admitted.by_address.entry(address).or_default();
            if *count >= limit {
                return false;
            }
            *count += 1;
        }
        admitted.total += 1;
        true
    }

    /// Gives a place back.
    pub(crate) fn release(&self, address: Option<IpAddr>) {
        let mut admitted = self.admitted();
        admitted.total -= 1;
        let Some(address) = address.filter(|_| self.asks_for_address()) else { return };
        let count = admitted.by_address.get_mut(&address).expect("it was admitted");
        *count -= 1;
        if *count == 0 {
            admitted.by_address.remove(&address);
        }
    }

    /// Connections that there are.
    pub(crate) fn len(&self) -> usize {
        self.admitted().total
    }

    fn admitted(&self) -> MutexGuard<'_, Admitted> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)));
    const B: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2)));

    #[test]
    fn places_are_limited_in_all_and_for_each_address() {
        let admission = Admission::new(3, Some(2));
        assert!(admission.admit(A) && admission.admit(A));
        assert!(!admission.admit(A), "two from one address");
        assert!(admission.admit(B));
        assert!(!admission.admit(B), "three in all");
        admission.release(A);
        assert!(admission.admit(B) && !admission.admit(A));
        for address in [A, B, B] {
            admission.release(address);
        }
        assert!(admission.admitted().by_address.is_empty());
    }
}
