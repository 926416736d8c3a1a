//! The load generator's library against servers made of plain threads: such as behave, and such as
//! do not.

mod connect;
mod faults;
mod intervals;
mod reconnect;
mod service;
mod sizes;
mod support;
