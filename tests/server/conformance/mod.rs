//! One suite for all drivers: what they do for a peer does not depend on how they do it.

#![allow(clippy::duplicate_mod, reason = "each driver has modules of its own from the same files")]

mod differential;

/// The whole suite once more, for this driver.
macro_rules! conformance {
    ($module:ident, $driver:ident) => {
        #[path = "."]
        mod $module {
            const DRIVER: ringback::server::DriverKind = ringback::server::DriverKind::$driver;

            mod bulk;
            mod churn;
            mod drain;
            mod echo;
            mod hostile;
            mod last_words;
            mod least;
            mod limits;
            mod memory;
            mod pause;
            mod scarcity;
            mod spin;
            mod stop;
            mod threads;
        }
    };
}

conformance!(uring, Uring);
conformance!(tokio_uring, TokioUring);
conformance!(epoll, Epoll);
