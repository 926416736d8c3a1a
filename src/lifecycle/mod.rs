//! What a connection may do next, decided once for every driver.
//!
//! Pure: no sockets, no clock, no memory of anybody's bytes. A driver reports what happened and
//! when; it is told whether to receive, when to send FIN, when to close, and when to ask again.

mod connection;
mod timers;

pub(crate) use connection::{DrainLimits, Fate, Lifecycle, Limits, Step};
pub(crate) use timers::{Alarm, Timers};
