//! The generator: connections, what is due when, and the threads that send it.

pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod connection_slot;
mod deadlines;
pub(crate) mod dial;
mod pattern;
pub(crate) mod poller;
pub(crate) mod preflight;
pub(crate) mod schedule;
pub(crate) mod wire;
pub(crate) mod worker;
pub(crate) mod worker_pool;
pub(crate) mod workload;
