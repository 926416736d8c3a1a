//! Life of a connection, decided once for every driver.
//!
//! No sockets, no clock, no memory of anybody's bytes. A driver reports what happened and when; it
//! is told whether to receive, when to send FIN, when to close, and when to ask again.

mod accepting;
mod admission;
mod connection;
mod limits;
mod timers;

pub(crate) use accepting::{AcceptMode, Accepting};
pub(crate) use admission::{Admission, AdmissionLimits, Decision, Exceeded, Permit};
pub(crate) use connection::{Action, Cause, Lifecycle, OnReceive, Probe};
pub(crate) use limits::{DrainLimits, Limits};
pub(crate) use timers::{Alarm, Timers, earliest};
