//! The load generator's library against servers made of plain threads, such as behave and such as
//! do not, and against the real one.

mod accounting;
mod connect;
mod faults;
mod intervals;
mod layers;
mod reconnect;
mod ringback;
mod service;
mod sizes;
#[path = "../support/sources.rs"]
mod sources;
mod support;
