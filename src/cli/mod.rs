//! The command lines: parsed low, resolved high.
//!
//! A module per program turns words into what the libraries take, checks what can be checked
//! before anything starts, and names cause and fix when it cannot be done.

pub mod addresses;
mod assertion;
pub mod doctor;
mod gate;
mod interrupt;
pub mod load;
mod placement;
mod progress;
mod rates;
pub mod requests;
pub mod serve;
pub mod signals;
pub mod sizes;
pub mod units;
