//! The TCP sockets of this host and the processes that have them, as `/proc` shows them.
//!
//! Only reads, and only reports what it sees: the descriptors of other users' processes are hidden
//! from all but root.

mod listeners;
mod owner;
mod port;
mod table;

pub(crate) use listeners::Listeners;
pub(crate) use owner::numbers_in;
pub(crate) use port::{PortUse, use_of_port};
