//! The load generator's library against servers made of plain threads, such as behave and such as
//! do not, and against the real one.

mod accounting;
mod compare_panic;
mod connect;
mod faults;
mod forking;
#[path = "../support/host.rs"]
#[expect(dead_code, unreachable_pub, reason = "other tests need the rest")]
mod host;
mod intervals;
mod reconnect;
mod ringback;
mod service;
mod sizes;
mod support;
#[path = "../support/tools.rs"]
#[expect(dead_code, unreachable_pub, reason = "other tests need the rest")]
mod tools;
