//! Command lines, parsed low and resolved high: from words to the configuration of a run.

mod cpus;
pub mod serve;

pub use cpus::{CpuList, CpuListError};
