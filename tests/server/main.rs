//! The server, in this process and as the program, against peers that behave and peers that do not.

mod admin;
mod conformance;
mod driver_choice;
mod hang;
mod logs;
mod placement;
mod ports;
mod sandbox;
mod signals;
mod starved;
mod stderr;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod units;
