//! Many runs that differ only in their rate: a sweep over given rates, and the search for the
//! highest rate at which assertions hold. Both are uses of one series of probes.

pub mod compare;
pub mod find_max;
mod knee;
mod plan;
mod probe;
mod search;
mod supervise;
pub mod sweep;
#[cfg(test)]
mod testing;

pub use self::find_max::find_max;
pub use self::probe::{Event, Step, probe_time};
pub use self::sweep::sweep;
